"""A run goes on from its last checkpoint, whenever it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from sage_spo.jobs.driving import drive_graph
from sage_spo.traces.rows import RunStatus


@pytest.fixture(autouse=True)
def _folder(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)


class Counted(TypedDict):
    """What the graph of these tests keeps."""

    steps: int


def three_steps(done: list[str]) -> Callable[[Any], CompiledStateGraph[Any, Any, Any, Any]]:
    """A graph of three nodes, each of which writes its name into `done`."""

    def node(name: str) -> Any:
        def work(state: Counted) -> Counted:
            done.append(name)
            return {"steps": state["steps"] + 1}

        return work

    def build(saver: Any) -> CompiledStateGraph[Any, Any, Any, Any]:
        graph = StateGraph(Counted)
        for name in "abc":
            graph.add_node(name, node(name))
        graph.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").add_edge("c", END)
        return graph.compile(checkpointer=saver)

    return build


async def drive(build: Callable[[Any], CompiledStateGraph[Any, Any, Any, Any]]) -> list[RunStatus]:
    ends: list[RunStatus] = []

    async def close(_run: str, status: RunStatus, _error: str | None) -> None:
        ends.append(status)

    await drive_graph("run", build, {"steps": 0}, None, close=close, waits=lambda _run: False)
    return ends


@pytest.mark.parametrize("checkpoint", [1, 2, 3, 4])
async def test_it_goes_on_where_a_node_was_done_and_its_checkpoint_was_not_written(
    checkpoint: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    written = 0
    write = AsyncSqliteSaver.aput

    async def cut_short(self: AsyncSqliteSaver, *given: Any) -> Any:
        nonlocal written
        written += 1
        if written > checkpoint:
            raise ProcessLookupError("killed")
        return await write(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(AsyncSqliteSaver, "aput", cut_short)
        with pytest.raises(ProcessLookupError):
            await drive(three_steps(done))
    assert await drive(three_steps(done)) == ["finished"]
    assert done == ["a", "b", "c"]


async def test_at_the_end_it_begins_anew(home: Path) -> None:
    done: list[str] = []
    await drive(three_steps(done))
    await drive(three_steps(done))
    assert done == ["a", "b", "c", "a", "b", "c"]
