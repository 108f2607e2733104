"""`load_task`: every kind of source, and every way in which one can be wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.example import Example
from sage_spo.tasks.load import load_task
from sage_spo.tasks.prompt import Prompt
from sage_spo.tasks.task import Task

YAML = """\
name: desk
seed_prompt: "Classify the {channel} message as one of: {labels}."
examples: data.jsonl
metric: label
output: {max_tokens: 8, choices: labels}
"""


def records(count: int = 40, start: int = 0, prefix: str = "message") -> list[dict[str, Any]]:
    return [
        {"input": f"{prefix} {n}", "expected": ("a", "b")[n % 2], "channel": "chat"}
        for n in range(start, start + count)
    ]


def write(path: Path, values: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "data.jsonl", records())
    (tmp_path / "task.yaml").write_text(YAML)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> Path:
    text = (folder / "task.yaml").read_text()
    assert old in text
    (folder / "task.yaml").write_text(text.replace(old, new))
    return folder


def refused(source: Any, *words: str, **options: Any) -> None:
    with pytest.raises(TaskError) as error:
        load_task(source, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert error.value.exit_code == 2


def ids(task: Task) -> dict[str, set[str]]:
    return {"search": {e.id for e in task.search}, "test": {e.id for e in task.test}}


def test_a_folder_and_its_task_yaml_are_the_same_task(folder: Path) -> None:
    task = load_task(folder)
    assert (len(task.search), len(task.holdout), len(task.test)) == (20, 8, 12)
    assert task.labels == task.output.choices == ("a", "b")
    assert task.output.max_tokens == 8
    assert task.fields == ("input", "labels", "channel")
    assert ids(load_task(str(folder / "task.yaml"))) == ids(task)
    assert load_task(task) is task


def test_reordering_the_file_changes_nothing(folder: Path) -> None:
    before = load_task(folder)
    write(folder / "data.jsonl", records()[::-1])
    after = load_task(folder)
    for split in ("search", "holdout", "test"):
        assert {(e.id, e.input) for e in before.examples(split)} == {(e.id, e.input) for e in after.examples(split)}


def test_the_same_data_in_every_format_is_the_same_task(tmp_path: Path) -> None:
    table = pd.DataFrame(records())
    table.to_csv(tmp_path / "data.csv", index=False)
    table.to_parquet(tmp_path / "data.parquet")
    write(tmp_path / "data.jsonl", records())
    tasks = [load_task(tmp_path / f"data.{suffix}") for suffix in ("csv", "parquet", "jsonl")]
    assert ids(tasks[0]) == ids(tasks[1]) == ids(tasks[2])
    assert all(task.name == "data" and task.metric.name == "label" for task in tasks)


def test_keywords_say_what_a_bare_file_does_not(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", [{"q": f"{n} + 1", "r": n + 1, "w": "word"} for n in range(30)])
    task = load_task(path, input="q", expected="r", metric={"name": "numeric", "tolerance": 0.5}, seed_prompt="Add.")
    assert task.metric.name == "numeric"
    assert task.seed_prompt.system == "Add."
    assert task.output.choices == ()
    assert task.search[0].metadata == {"w": "word"}


def test_keywords_override_a_task_yaml_and_a_task(folder: Path) -> None:
    for source in (folder, load_task(folder)):
        task = load_task(source, labels=["a", "b", "c"], seed_prompt={"system": "s", "user": "{input}"})
        assert task.labels == task.output.choices == ("a", "b", "c")
        assert task.metric("c", Example("e", "", "c")).value == 1.0
        assert task.seed_prompt == Prompt(components={"system": "s", "user": "{input}"})
        assert load_task(source, metric="exact").metric.name == "exact"


def test_given_splits_are_used_as_they_are(folder: Path) -> None:
    write(folder / "a.jsonl", records(9, prefix="s"))
    write(folder / "b.jsonl", records(6, prefix="h"))
    pd.DataFrame(records(7, prefix="t")).to_csv(folder / "c.csv", index=False)
    write(folder / "general.jsonl", records(3, prefix="g"))
    edit(
        folder,
        "examples: data.jsonl",
        "examples: {search: a.jsonl, holdout: b.jsonl, test: c.csv}\npreserve: general.jsonl",
    )
    task = load_task(folder)
    assert [example.input for example in task.search] == [f"s {n}" for n in range(9)]
    assert (len(task.holdout), len(task.test), len(task.preserve)) == (6, 7, 3)
    assert task.example(task.preserve[0].id).input == "g 0"


def test_the_same_example_in_two_splits_names_both_places(folder: Path) -> None:
    write(folder / "a.jsonl", records(9, prefix="s"))
    write(folder / "b.jsonl", records(6, prefix="h"))
    write(folder / "c.jsonl", [*records(6, prefix="t"), records(1, prefix="s")[0]])
    edit(folder, "examples: data.jsonl", "examples: {search: a.jsonl, holdout: b.jsonl, test: c.jsonl}")
    refused(folder, "a.jsonl line 1 (search", "c.jsonl line 7 (test")


def test_a_preserved_example_that_is_also_in_a_split_is_refused(folder: Path) -> None:
    write(folder / "general.jsonl", records(1))
    edit(folder, "metric: label", "metric: label\npreserve: general.jsonl")
    refused(folder, "data.jsonl line 1", "general.jsonl line 1 (preserve")


def test_a_split_under_five_is_refused(folder: Path) -> None:
    write(folder / "data.jsonl", records(20))
    refused(folder, "holdout split of 4", "bring 3 more")


def test_the_split_seed_is_the_tasks_own(folder: Path) -> None:
    before = load_task(folder)
    edit(folder, "metric: label", "metric: label\nsplit: {seed: 1}")
    assert ids(load_task(folder)) != ids(before)


def test_a_seed_prompt_file_and_an_own_metric_lie_beside_the_task(folder: Path) -> None:
    (folder / "prompt.md").write_text("Sort it.\n")
    (folder / "my_metrics.py").write_text("def score(output, example):\n    return 0.5\n")
    edit(folder, '"Classify the {channel} message as one of: {labels}."', "{file: prompt.md}")
    edit(folder, "metric: label", 'metric: {function: "my_metrics:score"}')
    task = load_task(folder)
    assert task.seed_prompt.system == "Sort it."
    assert task.metric("x", task.search[0]).value == 0.5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("metric: label", "metric: lable", ["task.yaml line 4", "Unknown metric 'lable'", "Did you mean 'label'?"]),
        ("{channel}", "{chanel}", ["task.yaml line 2", "{chanel}", "Did you mean 'channel'?", "{{chanel}}"]),
        ("{channel}", "{whatever}", ["no example fills the placeholder {whatever}"]),
        ("data.jsonl", "date.jsonl", ["No such file", "Did you mean 'data.jsonl'?"]),
        ("metric: label", "metric: label\nlabels: [a, c]", ["data.jsonl line 2", "'b' is none of the labels"]),
        ("metric: label", "metric: label\nlocked: [nowhere]", ["task.yaml line 5", "nowhere"]),
        ("metric: label", "metric: numeric", ["data.jsonl line 1", "holds no number"]),
        ("metric: label", "metric: label\nfields: {input: txt}", ["data.jsonl line 1", "no input field 'txt'"]),
        ('"Classify the {channel} message as one of: {labels}."', '" "', ["task.yaml line 2", "empty"]),
        ('"Classify the {channel} message as one of: {labels}."', "{labels}", ["task.yaml line 2", "must be a text"]),
        ('"Classify the {channel} message as one of: {labels}."', "{file: no.md}", ["No such file", "no.md"]),
    ],
)
def test_what_is_wrong_with_a_task_yaml_is_named(folder: Path, old: str, new: str, words: list[str]) -> None:
    refused(edit(folder, old, new), *words)


def test_braces_that_are_no_placeholder_are_kept(folder: Path) -> None:
    edit(folder, '"Classify the {channel} message', '\'Answer as {"label": ...} or {{whatever}}. Classify')
    edit(folder, '{labels}."', "{labels}.'")
    task = load_task(folder)
    sent = task.seed_prompt.messages(task.search[0], task.labels)[0]["content"]
    assert sent == 'Answer as {"label": ...} or {whatever}. Classify as one of: a, b.'


def test_an_example_without_a_field_that_the_prompt_needs_is_named(folder: Path) -> None:
    values = records()
    del values[6]["channel"]
    values[6]["id"] = "seventh"
    write(folder / "data.jsonl", values)
    refused(folder, "data.jsonl line 7", "'seventh' has no 'channel'")


@pytest.mark.parametrize(
    ("position", "value", "words"),
    [
        (4, {"input": "x"}, ["line 5", "without the expected value"]),
        (4, {"id": "k", "input": "x", "expected": "a"}, ["line 6", "id 'k'", "line 5"]),
    ],
)
def test_a_bad_example_is_named(folder: Path, position: int, value: dict[str, Any], words: list[str]) -> None:
    values = records()
    values[position] = value
    values[position + 1]["id"] = "k"
    write(folder / "data.jsonl", values)
    refused(folder, "data.jsonl", *words)


def test_what_is_no_task_is_refused_with_the_nearest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused("tikets", "No such task", "Did you mean 'tickets'?", "reviews")
    refused("nothing/like.this", "No such file")
    refused("nothing.csv", "No such file: nothing.csv")
    refused("nothing.yaml", "No such file")
    (tmp_path / "empty").mkdir()
    refused("empty", "holds no task.yaml")
    (tmp_path / "notes.txt").write_text("x")
    refused("notes.txt", "is no task")
    refused("tickets", "input=", input="text")


def test_a_changed_seed_prompt_of_a_made_task_is_checked_too(folder: Path) -> None:
    task = load_task(folder)
    refused(task, "no example fills the placeholder {nobody}", seed_prompt="{nobody}")
    refused(task, "input=", input="x")


def test_shuffled_labels_keep_inputs_ids_splits_and_counts(folder: Path) -> None:
    task = load_task(folder)
    null = load_task(folder, shuffle_labels=3)
    assert ids(null) == ids(task)
    assert [e.input for e in null.search] == [e.input for e in task.search]
    assert Counter(e.expected for e in null.everything) == Counter(e.expected for e in task.everything)
    assert [e.expected for e in null.search] != [e.expected for e in task.search]
    assert null.name == "desk-shuffled-3"
    assert load_task(task, shuffle_labels=3) == null
    assert load_task(folder, shuffle_labels=4).search != null.search


def test_shuffling_does_not_depend_on_how_the_examples_are_split(folder: Path) -> None:
    one = {e.input: e.expected for e in load_task(folder, shuffle_labels=3).everything}
    edit(folder, "metric: label", "metric: label\nsplit: {seed: 9}")
    other = {e.input: e.expected for e in load_task(folder, shuffle_labels=3).everything}
    assert one == other


def test_a_seed_prompt_may_bring_worked_examples() -> None:
    demo = {"example_id": "", "input": "Wonderful.", "output": "positive"}
    task = load_task("reviews", seed_prompt={"components": {"system": "Sort: {labels}."}, "demos": [demo]})
    assert task.seed_prompt.components == {"system": "Sort: {labels}."}
    assert [(d.input, d.output) for d in task.seed_prompt.demos] == [("Wonderful.", "positive")]
