"""A real sandbox for tests of agents and graphs; those of the sandbox itself have their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.protocol import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """What `--sandbox local` gives. One for all tests: a start costs a second or more, a run some milliseconds."""
    made = make_sandbox("local")
    assert made is not None
    yield made
    asyncio.run(made.aclose())
