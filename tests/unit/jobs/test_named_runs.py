"""The same command under the same name goes on or shows its result; what defines a run may not differ."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import RunInterrupted, UsageError
from sage_spo.graphs.run_settings import CHANGES, RunSettings
from sage_spo.jobs.api import aoptimize, optimize
from sage_spo.jobs.evaluate import evaluate
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.store import RunStore

CALL: dict[str, Any] = {"strategy": "demos", "target": answer, "budget": "target_calls=700", "run": "mine"}


def call(**changes: Any) -> dict[str, Any]:
    """The keywords of the call with some of them changed."""
    return {**CALL, **changes}


class Counted:
    """The landscape's target, counting; it stops the run when it has answered `most` calls."""

    __name__ = "answer"

    def __init__(self, most: int | None = None) -> None:
        self.calls, self.most = 0, most

    async def __call__(self, messages: list[dict[str, str]], example: Any) -> str:
        if self.calls == self.most:
            raise asyncio.CancelledError
        self.calls += 1
        return answer(messages, example)


def test_every_setting_of_a_run_is_classified() -> None:
    assert set(CHANGES) == set(RunSettings.model_fields)


def test_a_finished_run_gives_its_result_and_asks_nothing() -> None:
    first = optimize(make_task(), **CALL)
    again = Counted()
    assert optimize(make_task(), **call(target=again)) == first
    assert again.calls == 0


async def test_an_interrupted_run_goes_on_and_pays_nothing_twice() -> None:
    undisturbed = await aoptimize(make_task(), **call(run="other"))
    target = Counted()

    async def slow(messages: list[dict[str, str]], example: Any) -> str:
        await asyncio.sleep(0.002)
        return await target(messages, example)

    slow.__name__ = "answer"
    with_slow = call(target=slow)
    running = asyncio.create_task(aoptimize(make_task(), **with_slow))
    while target.calls < 150:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    result = await aoptimize(make_task(), **with_slow)
    assert (result.best, result.gain) == (undisturbed.best, undisturbed.gain)
    assert result.spend["spent"]["target_calls"] == undisturbed.spend["spent"]["target_calls"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed = 0, and is called with 1"),
        ({"strategy": "random"}, "strategy = demos, and is called with random"),
        ({"options": {"candidates": 3}}, "options candidates = 8, and is called with 3"),
        ({"budget": "target_calls=60"}, "budget target_calls = 100, and is called with 60"),
        ({"budget": "target_calls=100,minutes=3"}, "budget minutes = none, and is called with 3"),
        ({"certify": False}, "certify = True, and is called with False"),
        ({"sandbox": "none"}, "sandbox = auto, and is called with none"),
        ({"agent": "openai:x"}, "agent = none, and is called with openai:x"),
        ({"task": make_task((80, 30, 40))}, "the content of its files has changed"),
    ],
)
def test_a_setting_that_defines_the_run_is_named_with_both_values(change: dict[str, Any], words: str) -> None:
    # Too small a budget to begin with: the run is made without a call, and that is all that this takes.
    small = call(budget="target_calls=100")
    optimize(make_task(), **small)
    changed = {"task": make_task(), **small, **change}
    with pytest.raises(UsageError, match=words):
        optimize(changed.pop("task"), **changed)


def test_what_says_the_same_in_other_words_is_no_change() -> None:
    first = optimize(make_task(), **call(budget="target_calls=100"))
    same = {"options": {"candidates": 8}, "budget": {"target_calls": 100.0}, "timeout": 5.0}
    assert optimize(make_task(), **call(**same)) == first


def test_a_raised_budget_of_a_finished_run_changes_nothing_and_says_so() -> None:
    first = optimize(make_task(), **CALL)
    again = optimize(make_task(), **call(budget="target_calls=1400"))
    assert again.model_dump(exclude={"notes"}) == first.model_dump(exclude={"notes"})
    assert "The budget was raised, but run mine is finished" in again.notes[-1]


def test_a_run_whose_budget_was_too_small_begins_once_it_is_raised() -> None:
    small = optimize(make_task(), **call(budget="target_calls=100"))
    assert small.verdict == "budget too small"
    raised = optimize(make_task(), **CALL)
    assert raised.run_id == small.run_id
    assert raised.verdict == "improved"
    assert raised.spend["limits"] == {"target_calls": 700}


async def test_the_raised_budget_of_an_interrupted_run_counts() -> None:
    from langgraph.runtime import RunControl

    control = RunControl()

    def stop(event: str, fields: dict[str, Any]) -> None:
        if event == "first_look":
            control.request_drain("test")

    with pytest.raises(RunInterrupted):
        await aoptimize(make_task(), **CALL, listener=stop, control=control)
    result = await aoptimize(make_task(), **call(budget="target_calls=900"))
    assert result.spend["limits"] == {"target_calls": 900}


@pytest.mark.parametrize("name", ["", "/x", "a//b", "-x", "a b", "../x"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    if name:
        with pytest.raises(UsageError, match="a name is made of"):
            optimize(make_task(), **call(run=name))


def test_a_named_measurement_is_made_once_and_may_not_change() -> None:
    with FakeServer(lambda request: "negative") as server:
        how: dict[str, Any] = {"target": "openai:fake", "base_url": server.url, "run": "look"}
        first = evaluate("reviews", **how)
        asked = len(server.log)
        assert evaluate("reviews", **how) == first
        assert len(server.log) == asked
        with pytest.raises(UsageError, match="split = holdout, and is called with test"):
            evaluate("reviews", split="test", **how)
        with pytest.raises(UsageError, match="is the name of a measurement"):
            optimize("reviews", **how)


async def test_an_interrupted_measurement_goes_on_as_the_same_run(home: Path) -> None:
    from sage_spo.jobs.evaluate import aevaluate

    with FakeServer(lambda request: "negative", latency=0.1) as server:
        how: dict[str, Any] = {"target": "openai:fake", "base_url": server.url, "run": "look", "split": "search"}
        running = asyncio.create_task(aevaluate("reviews", **how))
        await asyncio.to_thread(server.wait_for_requests, 50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with await RunStore.open(installation().home) as store:
            begun = await store.run("look")
        server.latency = 0.0
        result = await aevaluate("reviews", **how)
    assert begun.status == "interrupted"
    assert result.run_id == begun.id
    assert result.spend["spent"]["target_calls"] == 200
    assert len(server.log) <= 200 + 32
