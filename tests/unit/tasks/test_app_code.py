"""Two apps of one name are told apart by their code, and one is the same after a restart."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

from sage_spo.tasks.app_code import code_of


def maker(answer: str) -> Callable[[object, object], str]:
    def app(_messages: object, _example: object) -> str:
        return answer

    return app


def graph_of(answer: str) -> object:
    def node(_state: MessagesState) -> dict[str, list[tuple[str, str]]]:
        return {"messages": [("ai", answer)]}

    builder: Any = StateGraph(MessagesState)
    return builder.add_node("node", node).add_edge(START, "node").compile()


class Versioned:
    def __init__(self, version: int) -> None:
        self.version, self.calls = version, 0

    def __call__(self, _messages: object, _example: object) -> str:
        self.calls += 1
        return str(self.version)

    def answer(self, _messages: object, _example: object) -> str:
        return str(self.version)


PAIRS = {
    "what they return": (lambda m, e: "sports", lambda m, e: "business"),
    "what they call": (lambda m, e: str.lower(m), lambda m, e: str.upper(m)),
    "the value around them": (maker("sports"), maker("business")),
    "a default": (lambda m, e, answer="a": answer, lambda m, e, answer="b": answer),
    "a partial's argument": (functools.partial(max, "a"), functools.partial(max, "b")),
    "a set": (lambda m, e: str(m in {"a", "b"}), lambda m, e: str(m in {"a", "c"})),
    "an inner function": (lambda m, e: (lambda: "a")(), lambda m, e: (lambda: "b")()),
    "the version they declare": (Versioned(1), Versioned(2)),
    "the version of a method's object": (Versioned(1).answer, Versioned(2).answer),
    "a Runnable's function": (RunnableLambda(lambda x: "a"), RunnableLambda(lambda x: "b")),
    "a graph's node": (graph_of("a"), graph_of("b")),
}


@pytest.mark.parametrize("differ", PAIRS)
def test_apps_that_differ_are_told_apart(differ: str) -> None:
    one, other = PAIRS[differ]
    assert code_of(one) != code_of(other)
    assert code_of(one) == code_of(one)


def test_what_an_app_counts_does_not_make_it_another() -> None:
    app = Versioned(1)
    before = code_of(app)
    app("", "")
    assert code_of(app) == before == code_of(Versioned(1))
    calls = 0

    def counting(_messages: object, _example: object) -> str:
        nonlocal calls
        calls += 1
        return ""

    before = code_of(counting)
    counting("", "")
    assert code_of(counting) == before


def test_a_function_that_calls_itself_ends() -> None:
    def app(messages: list[object], example: object) -> str:
        return app(messages[1:], example) if messages else ""

    assert code_of(app)


def test_it_is_the_same_in_every_process() -> None:
    program = (
        "from sage_spo.tasks.app_code import code_of\n"
        "def app(m, e, names=('a', 1)):\n    return [x for x in m if x in {'one', 'two', 'three'}]\n"
        "print(code_of(app))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
