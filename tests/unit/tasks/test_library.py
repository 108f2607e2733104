"""The built-in tasks load, are balanced, and start from a plain prompt."""

from __future__ import annotations

from collections import Counter

import pytest

from sage_spo.tasks.load import library_names, load_task
from sage_spo.tasks.problems import near_duplicates

METADATA = {"headlines": {"section"}, "languages": {"register"}, "reviews": {"domain"}, "tickets": {"channel", "plan"}}


def test_the_library_is_what_it_is_said_to_be() -> None:
    assert library_names() == ("headlines", "languages", "reviews", "tickets")


@pytest.mark.parametrize("name", sorted(METADATA))
def test_a_built_in_task(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert task.description
    assert len(task.everything) >= 300
    assert len(task.search) > len(task.test) > len(task.holdout)
    assert task.metric.name == "label"
    assert task.output.choices == task.labels
    assert set(task.fields) == {"input", "labels", *METADATA[name]}
    assert task.seed_prompt.system.count(".") == 1
    counts = Counter(example.expected for example in task.everything)
    assert set(counts) == set(task.labels)
    assert max(counts.values()) <= 1.5 * min(counts.values())


@pytest.mark.parametrize("name", sorted(METADATA))
def test_no_built_in_task_repeats_itself_across_splits(name: str) -> None:
    assert near_duplicates(load_task(name)) == []
