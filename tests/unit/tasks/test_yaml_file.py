"""`task.yaml`: everything it may say, and a complaint with line and right name for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.yaml_file import TaskFile, read_task_file

WHOLE = """\
name: tickets
description: Sort support messages into queues.
seed_prompt: "Classify the message as one of: {labels}."
examples: tickets.jsonl
fields: {input: text, expected: queue, metadata: [channel, plan]}
metric: {name: numeric, tolerance: 0.01}
labels: [billing, refund, other]
output: {max_tokens: 16, choices: labels}
preserve: general.jsonl
split: {search: 0.5, holdout: 0.2, test: 0.3, seed: 0}
locked: ["one of: {labels}"]
"""
LEAST = 'name: x\nseed_prompt: "Answer."\nexamples: a.csv\nmetric: exact\n'


def read(tmp_path: Path, text: str) -> TaskFile:
    path = tmp_path / "task.yaml"
    path.write_text(text)
    return read_task_file(path)[0]


def test_a_whole_file(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE)
    assert file.seed_prompt == {"system": "Classify the message as one of: {labels}."}
    assert file.fields.metadata == ("channel", "plan")
    assert file.metric == {"name": "numeric", "tolerance": 0.01}
    assert file.labels == ("billing", "refund", "other")
    assert file.output.choices == "labels"
    assert file.split.test == 0.3
    assert file.locked == ("one of: {labels}",)


def test_what_is_left_out_has_defaults(tmp_path: Path) -> None:
    file = read(tmp_path, LEAST)
    assert (file.fields.input, file.fields.expected, file.fields.metadata) == ("input", "expected", None)
    assert file.labels is None
    assert (file.split.search, file.split.seed, file.output.max_tokens) == (0.5, 0, 256)


@pytest.mark.parametrize(
    "seed",
    [
        "seed_prompt: {system: a, user: b}",
        "seed_prompt: {components: {system: a, user: b}}",
        "components: {system: a, user: b}",
    ],
)
def test_a_seed_prompt_of_components(tmp_path: Path, seed: str) -> None:
    assert read(tmp_path, LEAST.replace('seed_prompt: "Answer."', seed)).seed_prompt == {"system": "a", "user": "b"}


def test_a_seed_prompt_in_a_file(tmp_path: Path) -> None:
    file = read(tmp_path, LEAST.replace('"Answer."', "{file: prompt.md}"))
    assert file.seed_prompt == {"system": {"file": "prompt.md"}}


def test_yes_no_and_numbers_are_labels_like_others(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "labels: [yes, no, on, 1, true, 2.5]\n").labels == (
        "yes",
        "no",
        "on",
        "1",
        "true",
        "2.5",
    )


def test_where_each_field_stands_is_known(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("# a comment\n" + LEAST)
    assert read_task_file(path)[1]["metric"] == "task.yaml line 5"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEAST + "metrik: exact\n", ["line 5", "unknown field 'metrik'", "Did you mean 'metric'?"]),
        (LEAST.replace("metric", "metrik"), ["line 4", "Did you mean 'metric'?"]),
        (LEAST + "fields: {inptu: text}\n", ["line 5", "Did you mean 'input'?"]),
        (LEAST + "output:\n  max_tokens: 5\n  choises: labels\n", ["line 7", "Did you mean 'choices'?"]),
        (LEAST + "split: {serch: 0.5}\n", ["line 5", "Did you mean 'search'?"]),
        (LEAST.replace("a.csv", "{search: a, holdout: b, tset: c}"), ["line 3", "Did you mean 'test'?"]),
        (LEAST.replace("a.csv", "{search: a, holdout: b}"), ["line 3", "examples.test", "missing"]),
        (LEAST.replace("metric: exact\n", ""), ["metric", "missing"]),
        (LEAST.replace("name: x\n", ""), ["name", "missing"]),
        (LEAST + "split: {search: 0.5, holdout: 0.5, test: 0.5}\n", ["line 5", "split", "add up to 1.5"]),
        (LEAST + "split: {search: 0}\n", ["line 5", "split.search"]),
        (LEAST + "output: {max_tokens: many}\n", ["line 5", "output.max_tokens"]),
        (LEAST + "output: {max_tokens: 0}\n", ["line 5", "output.max_tokens"]),
        (LEAST + "output: {choices: label}\n", ["line 5", "output.choices"]),
        (LEAST + "labels: billing\n", ["line 5", "labels"]),
        (LEAST + "labels: [a, A]\n", ["line 5", "'A' is given twice"]),
        (LEAST + "labels: [a, '']\n", ["line 5", "empty"]),
        (LEAST + "locked: some text\n", ["line 5", "locked"]),
        (LEAST + "components: {system: a}\n", ["not both"]),
        (LEAST + "name: y\n", ["line 5", "'name' is given twice"]),
        ("name: [1, 2\nmetric: exact\n", ["line 2", "not YAML"]),
        ("name: a: b\n", ["line 1", "not YAML"]),
        ("name: x\n\tmetric: exact\n", ["line 2", "not YAML"]),
        ("- a\n- b\n", ["not a mapping"]),
        ("", ["not a mapping"]),
        ("name: !!python/object:os.system x\n", ["line 1", "not YAML"]),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(TaskError) as error:
        read(tmp_path, text)
    assert all(word in str(error.value) for word in ["task.yaml", *words]), str(error.value)


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_bytes(b"name: x\ndescription: caf\xe9\n")
    with pytest.raises(TaskError, match=r"task.yaml line 2: byte 0xe9 is not UTF-8"):
        read_task_file(tmp_path / "task.yaml")
