"""From rows to examples: fields, ids, metadata."""

from __future__ import annotations

from typing import Any

import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.example import Example
from sage_spo.tasks.fields import Fields, to_examples
from sage_spo.tasks.files import Row


def rows(*values: dict[str, Any]) -> list[Row]:
    return [Row(f"a.jsonl line {number}", one) for number, one in enumerate(values, start=1)]


def examples(*values: dict[str, Any], fields: Fields | None = None) -> list[Example]:
    return [placed.example for placed in to_examples(rows(*values), fields or Fields())]


def test_other_fields_are_metadata_but_for_reserved_names() -> None:
    one = examples({"id": 7, "input": "x", "expected": "y", "channel": "chat", "score": 1, "plan": None, "note": " "})[
        0
    ]
    assert one == Example("7", "x", "y", {"channel": "chat"})


def test_only_named_metadata_is_kept() -> None:
    fields = Fields(input="text", expected="queue", metadata=("plan",))
    assert examples({"text": "x", "queue": "y", "plan": "free", "channel": "chat"}, fields=fields)[0].metadata == {
        "plan": "free"
    }


def test_numbers_are_text_as_input_and_stay_numbers_as_answer() -> None:
    one = examples({"input": 3, "expected": 4})[0]
    assert (one.input, one.expected, one.label) == ("3", 4, "4")


def test_ids_come_from_the_content_and_survive_reordering() -> None:
    values = [{"input": f"text {n}", "expected": "a", "channel": "x"} for n in range(5)]
    values += [
        {"input": "text 1", "expected": "a", "channel": "y"},
        {"input": "text 1", "expected": "a", "channel": "z"},
    ]
    forth = {(one.input, one.metadata["channel"]): one.id for one in examples(*values)}
    back = {(one.input, one.metadata["channel"]): one.id for one in examples(*reversed(values))}
    assert forth == back
    assert len(set(forth.values())) == 7
    assert {forth["text 1", "y"], forth["text 1", "z"], forth["text 1", "x"]} >= {
        f"{min(forth['text 1', c] for c in 'xyz')}-2"
    }


def test_a_made_id_never_meets_a_given_one() -> None:
    made = examples({"input": "x", "expected": "y"})[0].id
    ids = [one.id for one in examples({"id": made, "input": "other", "expected": "y"}, {"input": "x", "expected": "y"})]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("values", "fields", "words"),
    [
        ([{"inptu": "x", "expected": "y"}], Fields(), ["line 1", "no input field 'input'", "'inptu'"]),
        ([{"input": "x", "expcted": "y"}], Fields(), ["line 1", "no expected field", "Did you mean 'expcted'?"]),
        ([{"input": "x", "expected": "y"}, {"input": "z"}], Fields(), ["line 2", "without the expected value"]),
        ([{"input": "x", "expected": " "}], Fields(), ["line 1", "without the expected value"]),
        ([{"input": "x", "expected": float("nan")}], Fields(), ["line 1", "without the expected value"]),
        ([{"input": "", "expected": "y"}], Fields(), ["line 1", "without the input"]),
        ([{"input": {"a": 1}, "expected": "y"}], Fields(), ["line 1", "must be text"]),
        (
            [{"id": 1, "input": "x", "expected": "y"}, {"id": "1", "input": "z", "expected": "y"}],
            Fields(),
            ["line 2", "id '1'", "line 1"],
        ),
        ([{"input": "x", "expected": "y", "plan": 1}], Fields(metadata=("plna",)), ["Did you mean 'plan'?"]),
        ([{"input": "x", "expected": "y", "score": 1}], Fields(metadata=("score",)), ["rename that field"]),
    ],
)
def test_what_is_wrong_is_named_with_line_and_field(
    values: list[dict[str, Any]], fields: Fields, words: list[str]
) -> None:
    with pytest.raises(TaskError) as error:
        to_examples(rows(*values), fields)
    assert all(word in str(error.value) for word in words), str(error.value)
