"""Measuring one prompt outside a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sage_spo.errors import BudgetTooSmall, UsageError
from sage_spo.jobs.evaluate import aevaluate
from sage_spo.settings import settings as installation
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.rows import Call, Run
from sage_spo.traces.store import RunStore


async def stored(run_id: str) -> tuple[Run, list[Call]]:
    store = await RunStore.open(installation().home)
    try:
        return await store.run(run_id), await store.calls(run_id)
    finally:
        await store.close()


async def test_a_score_with_its_interval_by_label_with_failures() -> None:
    task = make_task()
    found = await aevaluate(task, target=answer)
    assert found.split == "holdout"
    assert found.n == 60
    score, low, high = found.score or 0.0, found.low or 0.0, found.high or 0.0
    assert 0 < low < score < high < 1
    assert found.prompt.id == task.seed_prompt.id
    assert [line.label for line in found.by_label] == ["red", "green", "blue"]
    assert sum(line.n for line in found.by_label) == sum(line.predicted for line in found.by_label) == 60
    assert found.failed == round(60 * (1 - score))
    assert len(found.failures) == min(20, found.failed)
    assert all(f.expected != f.output for f in found.failures)
    run, calls = await stored(found.run_id)
    assert (run.strategy, run.status, len(calls)) == ("evaluate", "finished", 60)
    assert run.result == found.model_dump(mode="json")


async def test_a_better_prompt_scores_higher_and_files_are_read(tmp_path: Any) -> None:
    path = tmp_path / "better.md"
    path.write_text("Answer with the colour of the thing: {labels}.\n")
    seed = await aevaluate(make_task(), target=answer, split="search")
    better = await aevaluate(make_task(), path, target=answer, split="search")
    assert (better.score or 0.0) > (seed.score or 0.0) > 0.0
    assert better.prompt.components == {"system": "Answer with the colour of the thing: {labels}."}


async def test_what_was_asked_before_is_answered_from_the_store() -> None:
    asked: list[str] = []

    def target(messages: list[Message], example: Example) -> str:
        asked.append(example.id)
        return answer(messages, example)

    first = await aevaluate(make_task(), target=target)
    again = await aevaluate(make_task(), target=target)
    assert len(asked) == 60
    assert (first.score, first.n) == (again.score, again.n)
    assert again.spend["by_role"]["target"]["cached"] == 60


async def test_looking_at_the_test_split_is_a_use_of_it() -> None:
    first = await aevaluate(make_task(), target=answer, split="test")
    second = await aevaluate(make_task(), target=answer, split="all")
    assert "use 1 of this test split" in first.notes[0]
    assert "use 2 of this test split" in second.notes[0]
    assert second.n == 120 + 60 + 90
    assert not (await aevaluate(make_task(), target=answer)).notes


async def test_answers_that_never_came_are_missing_and_no_zeros() -> None:
    def broken(messages: list[Message], example: Example) -> str:
        if int(example.id[1:]) % 2:
            raise RuntimeError("no answer")
        return example.label

    found = await aevaluate(make_task(), target=broken)
    assert (found.score, found.n, found.missing) == (1.0, 30, 30)

    def dead(messages: list[Message], example: Example) -> str:
        raise RuntimeError("no answer")

    nothing = await aevaluate(replace(make_task(), name="other"), Prompt(components={"system": "x"}), target=dead)
    assert (nothing.score, nothing.low, nothing.n, nothing.missing) == (None, None, 0, 60)


async def test_what_cannot_be_measured_is_refused_before_a_run_is_made() -> None:
    with pytest.raises(BudgetTooSmall, match="takes 60 calls"):
        await aevaluate(make_task(), target=answer, budget="target_calls=59")
    with pytest.raises(UsageError, match="Did you mean 'holdout'"):
        await aevaluate(make_task(), target=answer, split="hold-out")
    store = await RunStore.open(installation().home)
    assert await store.runs() == []
    await store.close()


async def test_a_listener_hears_of_every_call() -> None:
    heard: list[str] = []
    await aevaluate(make_task(), target=answer, listener=lambda event, fields: heard.append(event))
    assert heard == ["measuring", *["call"] * 60]


async def test_apps_of_one_name_are_told_apart() -> None:
    await aevaluate(make_task(), target=lambda m, e: "red")
    blue = await aevaluate(make_task(), target=lambda m, e: "blue")
    assert [line.label for line in blue.by_label if line.predicted] == ["blue"]


async def test_what_is_refused_leaves_no_run_behind() -> None:
    with pytest.raises(UsageError, match="patience"):
        await aevaluate(make_task(), target=answer, run="nightly", patience=-1)
    async with await RunStore.open(installation().home) as store:
        assert await store.runs() == []
