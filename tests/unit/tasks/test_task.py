"""What a task knows about its examples and its prompts."""

from __future__ import annotations

import pytest

from sage_spo.tasks.example import Example
from sage_spo.tasks.metrics import make_metric
from sage_spo.tasks.prompt import Prompt
from sage_spo.tasks.task import Task


def examples(prefix: str, **metadata: str) -> tuple[Example, ...]:
    return tuple(Example(f"{prefix}{n}", f"{prefix} text {n}", "a", metadata) for n in range(3))


@pytest.fixture
def task() -> Task:
    return Task(
        name="t",
        seed_prompt=Prompt(components={"system": "Sort {channel} messages. Be polite. {labels}", "user": "{input}"}),
        search=examples("s", channel="x", plan="y"),
        holdout=examples("h", channel="x"),
        test=examples("t", channel="x", plan="y"),
        metric=make_metric("exact"),
        locked=("Be polite.",),
    )


def test_placeholders_may_name_only_what_every_example_has(task: Task) -> None:
    assert task.fields == ("input", "labels", "channel")


def test_an_example_is_found_in_any_split(task: Task) -> None:
    assert task.example("h1") is task.holdout[1]
    with pytest.raises(KeyError):
        task.example("nobody")


def test_an_edit_that_keeps_everything_has_no_violations(task: Task) -> None:
    edited = task.seed_prompt.edited(text="Be polite. {labels} for {channel} {literal}", origin="edit")
    assert task.violations(edited) == []


def test_lost_placeholders_and_locked_texts_are_named(task: Task) -> None:
    lost = task.violations(task.seed_prompt.edited(text="Be rude. {{labels}}", origin="edit"))
    assert lost == [
        "placeholder {channel} is missing from 'system'",
        "placeholder {labels} is missing from 'system'",
        "locked text 'Be polite.' is missing from 'system'",
    ]
    assert task.violations(Prompt(components={"system": task.seed_prompt.system})) == [
        "placeholder {input} is missing from 'user'"
    ]
