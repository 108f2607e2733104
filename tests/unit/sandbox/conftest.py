"""Real sandboxes, shared by all tests of this folder: a start costs a second or more, a run some milliseconds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.plan import Limits
from sage_spo.sandbox.table import Table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real = {"sandbox", "hasty"}
    for item in items:
        if sys.platform != "linux" and isinstance(item, pytest.Function) and real & set(item.fixturenames):
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="local isolation is Linux's Landlock and seccomp"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[LocalSandbox]:
    """What `--sandbox local` gives."""
    made = make_sandbox("local")
    assert isinstance(made, LocalSandbox)
    yield made
    asyncio.run(made.aclose())


@pytest.fixture(scope="session")
def hasty(sandbox: LocalSandbox) -> Iterator[LocalSandbox]:
    """The same, with little time and memory."""
    made = LocalSandbox("local", sandbox.confinement, Limits(wall=2.0, cpu=1, memory=256 << 20))
    yield made
    asyncio.run(made.aclose())


@pytest.fixture
def table() -> Table:
    """Six records, half of them by phone."""
    return Table(
        {"example_id": str(at), "score": float(at % 2), "channel": "phone" if at < 3 else "mail"} for at in range(6)
    )
