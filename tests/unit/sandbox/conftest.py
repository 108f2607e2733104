"""Real sandboxes, shared by all tests of this folder: a start costs a second or more, a run some milliseconds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.e2b import E2BSandbox
from sage_spo.sandbox.inside.plan import Limits
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.sandbox.table import Table
from sage_spo.tests.fakes.e2b_server import E2BServer
from sage_spo.tests.processes import descendants

HASTY = Limits(wall=2.0, cpu=1, memory=256 << 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    real = {"sandbox", "hasty", "place", "quick"}
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
    made = LocalSandbox("local", sandbox.confinement, HASTY)
    yield made
    asyncio.run(made.aclose())


@pytest.fixture(scope="session")
def e2b_server() -> Iterator[E2BServer]:
    """The server that e2b's client finds."""
    with E2BServer() as server, pytest.MonkeyPatch.context() as patch:
        for name in ("E2B_API_URL", "E2B_SANDBOX_URL"):
            patch.setenv(name, server.environment[name])
        yield server


@pytest.fixture
def server(e2b_server: E2BServer) -> Iterator[E2BServer]:
    """The same, as new."""
    e2b_server.reset()
    yield e2b_server
    assert e2b_server.alive == []


def at_e2b(server: E2BServer, limits: Limits | None = None) -> E2BSandbox:
    """What `--sandbox e2b` gives, before this server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("E2B_API_KEY", server.key)
        return E2BSandbox(limits)


@dataclass(frozen=True)
class Place:
    """A sandbox, and how to see what it has left running."""

    sandbox: Sandbox
    server: E2BServer | None
    idle: int = 0
    """Processes that the local sandbox has without any run."""

    @property
    def under_way(self) -> int:
        """Workers, or sandboxes at e2b."""
        if self.server is not None:
            return len(self.server.alive)
        assert isinstance(self.sandbox, LocalSandbox)
        pid = self.sandbox.pid
        return len(descendants(pid)) - self.idle if pid else 0


@pytest.fixture(params=["local", "e2b"])
def place(request: pytest.FixtureRequest) -> Place:
    """Every kind of sandbox that isolates, in turn."""
    return _place(request, "sandbox", None)


@pytest.fixture(params=["local", "e2b"])
def quick(request: pytest.FixtureRequest) -> Place:
    """The same, with little time and memory."""
    return _place(request, "hasty", HASTY)


def _place(request: pytest.FixtureRequest, local: str, limits: Limits | None) -> Place:
    if request.param == "local":
        made = request.getfixturevalue(local)
        asyncio.run(made.run("", Table([])))
        return Place(made, None, len(descendants(made.pid)))
    server = request.getfixturevalue("server")
    return Place(at_e2b(server, limits), server)


@pytest.fixture
def table() -> Table:
    """Six records, half of them by phone."""
    return Table(
        {"example_id": str(at), "score": float(at % 2), "channel": "phone" if at < 3 else "mail"} for at in range(6)
    )
