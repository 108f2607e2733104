"""What hangs, raises or answers nonsense is one line that names the environment, and never gets any further."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from sage_spo.errors import EnvironmentFailure, TaskError
from sage_spo.tasks.environments.guard import Guarded, usable
from sage_spo.tasks.environments.http import HttpEnvironment
from sage_spo.tasks.environments.protocol import Description, Outcome, Wording
from sage_spo.tests.fakes.loopback import Loopback

SAID = Description("Find it.", "Choose.", "Answer with a word.", low=0.0, high=1.0)


class Own:
    """An environment whose methods answer what they are told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"reset": None, "describe": SAID, "parse": "a", "step": 0.5} | answers

    def _answer(self, method: str) -> Any:
        answer = self.answers[method]
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    def reset(self, seed: int) -> Any:
        return self._answer("reset")

    def describe(self) -> Any:
        return self._answer("describe")

    def parse(self, reply: str) -> Any:
        return self._answer("parse")

    def step(self, action: str, action_id: str) -> Any:
        return self._answer("step")


def guarded(seconds: float = 5.0, **answers: Any) -> Guarded:
    return Guarded(Own(**answers), "mine", seconds)


async def test_a_sound_one_is_let_through() -> None:
    environment = guarded(reset=["a", "b"], step=Outcome(0.5, 0.1, (0.5, 0.6)))
    assert await environment.reset(0) == ["a", "b"]
    assert await environment.describe() == SAID
    assert await environment.parse("x") == "a"
    assert await environment.step("a", "1.0") == Outcome(0.5, 0.1, (0.5, 0.6))
    assert await guarded(step=2).step("a", "1.0") == Outcome(2)


async def test_asynchronous_methods_are_awaited() -> None:
    async def step() -> float:
        await asyncio.sleep(0)
        return 0.25

    assert await guarded(step=step).step("a", "1.0") == Outcome(0.25)


@pytest.mark.parametrize(
    "error", [KeyError("w"), ZeroDivisionError("nought"), StopIteration("over"), ValueError("bad")]
)
async def test_one_that_raises_is_told_by_name_method_and_place(error: Exception) -> None:
    with pytest.raises(EnvironmentFailure, match=r"environment mine: step raised \w+: .*\(test_guard\.py, line \d+\)"):
        await guarded(step=error).step("a", "1.0")


async def test_one_that_hangs_is_left_behind() -> None:
    started = time.monotonic()
    with pytest.raises(EnvironmentFailure, match=r"mine hangs: step has not returned for 0\.2 s"):
        await guarded(0.2, step=lambda: time.sleep(30)).step("a", "1.0")
    assert time.monotonic() - started < 5


async def test_a_reply_without_an_action_is_no_failure() -> None:
    with pytest.raises(ValueError, match="what is that"):
        await guarded(parse=ValueError("what\n is that")).parse("x")


@pytest.mark.parametrize("found", [None, 7, "", "  ", "x" * 10_001, ["a"]])
async def test_an_action_that_is_no_text_is_a_failure(found: Any) -> None:
    with pytest.raises(EnvironmentFailure, match="parse must return a text"):
        await guarded(parse=lambda: found).parse("x")


@pytest.mark.parametrize("found", [5, "abc", [1], [""], ["a"] * 1001])
async def test_warm_starts_are_texts(found: Any) -> None:
    with pytest.raises(EnvironmentFailure, match="reset must return a list of actions"):
        await guarded(reset=lambda: found).reset(0)


@pytest.mark.parametrize(
    "value", [None, math.nan, math.inf, -math.inf, -0.1, 1.1, "0.5", True, 10**400, [0.5], np.float32("nan")]
)
def test_a_value_that_is_none_or_not_finite_or_out_of_range_is_missing(value: object) -> None:
    number, why = usable(value, 0.0, 1.0)
    assert number is None
    assert why


@pytest.mark.parametrize("value", [0, 1, 0.25, np.float32(0.5), np.int64(1)])
def test_other_values_are_floats(value: object) -> None:
    assert type(usable(value, 0.0, 1.0)[0]) is float


async def test_a_truth_that_is_none_is_left_out() -> None:
    outcome = await guarded(step=Outcome(0.5, math.nan, (0.1, math.inf))).step("a", "1.0")
    assert outcome == Outcome(0.5, None, ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": " "}, "task must be a text"),
        ({"answer": 7}, "answer must be a text"),
        ({"goal": "max"}, "goal is one of minimise, maximise"),
        ({"unreadable": "zero"}, "unreadable is one of"),
        ({"unreadable": "random"}, "unreadable can be random only where the actions are listed"),
        ({"actions": ("a",)}, "actions must be 2 to"),
        ({"actions": ("a", "a")}, "actions holds one twice"),
        ({"actions": ("a", 3)}, "actions must be 2 to"),
        ({"rounds": 0}, "rounds must be a whole number from 1"),
        ({"exemplars": 2.5}, "exemplars must be a whole number"),
        ({"eta": math.nan}, "eta must be a finite number above 0"),
        ({"low": math.inf}, "low must be a finite number"),
        ({"low": 1.0, "high": 1.0}, "low must be below high"),
        ({"goal": "minimise", "bound": -3.0}, "bound must be a finite number above 0"),
        ({"wordings": {"opro": "text"}}, r"wordings\[opro\] must be a Wording"),
        ({"wordings": {"opro": Wording("", "x")}}, r"wordings\[opro\].task must be a text"),
    ],
)
async def test_a_description_that_cannot_be_used_names_the_field(changes: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {"task": "t", "instruction": "i", "answer": "a", **changes}
    with pytest.raises(TaskError, match=f"environment mine: {words}"):
        await guarded(describe=lambda: Description(**fields)).describe()


async def test_a_description_of_another_kind_is_refused() -> None:
    with pytest.raises(TaskError, match="describe must return a Description, not a value of type dict"):
        await guarded(describe=lambda: {"task": "t"}).describe()


class Served(Loopback):
    """An environment behind an address, some of whose answers are broken at first."""

    def __init__(self, broken: int = 0) -> None:
        self.broken = broken
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/game/{path}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.Response:
        path, body = request.match_info["path"], await request.json()
        self.asked.append((path, body))
        if self.broken:
            self.broken -= 1
            return web.Response(status=503)
        replies: dict[str, Any] = {
            "reset": {"warm_starts": ["a"]},
            "describe": {
                "task": "t",
                "instruction": "i",
                "answer": "x",
                "wordings": {"opro": {"task": "o", "instruction": "p"}},
            },
            "parse": {"action": "b"} if body.get("reply") == "yes" else {"problem": "no action"},
            "step": {"value": 0.5, "regret": 0.25, "means": [0.5]},
        }
        return web.json_response(replies[path])


async def test_one_behind_an_address_is_asked_over_http_and_again_where_it_fails() -> None:
    with Served(broken=1) as server:
        environment = Guarded(HttpEnvironment(f"{server.url}/game", "run-1"), "it", 5.0)
        try:
            assert await environment.reset(3) == ["a"]
            assert (await environment.describe()).wording("opro") == Wording("o", "p")
            assert await environment.parse("yes") == "b"
            with pytest.raises(ValueError, match="no action"):
                await environment.parse("no")
            assert await environment.step("b", "1.0") == Outcome(0.5, 0.25, (0.5,))
        finally:
            await environment.aclose()
    assert server.asked[0] == server.asked[1] == ("reset", {"episode": "run-1", "seed": 3})
    assert server.asked[-1] == ("step", {"episode": "run-1", "action": "b", "action_id": "1.0"})


async def test_an_address_where_nothing_listens_is_a_failure_that_names_it() -> None:
    environment = Guarded(HttpEnvironment("http://127.0.0.1:9/game", "run"), "it", 0.5)
    with pytest.raises(EnvironmentFailure, match=r"environment it: reset failed: .*127\.0\.0\.1:9"):
        await environment.reset(0)
    await environment.aclose()


@pytest.mark.parametrize("url", ["http://", "http://user:secret@host/x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(TaskError, match="an HTTP environment is named by its address"):
        HttpEnvironment(url, "run")


async def test_a_time_out_of_its_own_is_what_it_raised_and_no_hanging() -> None:
    with pytest.raises(EnvironmentFailure, match=r"step raised TimeoutError: the door .*test_guard"):
        await guarded(step=TimeoutError("the door did not open")).step("a", "1")


@pytest.mark.parametrize("field", ["actions", "wordings"])
async def test_a_description_without_a_list_that_it_needs_names_the_field(field: str) -> None:
    with pytest.raises(TaskError, match=f"environment mine: {field} must be a"):
        await guarded(describe=replace(SAID, **{field: None})).describe()
