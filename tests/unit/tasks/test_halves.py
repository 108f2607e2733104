"""The halves of a test split: the same for the same content, even, and without an input in both."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sage_spo.tasks.example import Example
from sage_spo.tasks.halves import halves_of_test
from sage_spo.tasks.load import load_task


def test_they_are_disjoint_even_by_label_and_make_up_the_split() -> None:
    task = load_task("headlines")
    first, second = halves_of_test(task)
    assert {e.id for e in first} | {e.id for e in second} == {e.id for e in task.test}
    assert not {e.input for e in first} & {e.input for e in second}
    assert abs(len(first) - len(second)) <= 1
    here, there = (Counter(e.label for e in half) for half in (first, second))
    assert all(abs(here[label] - there[label]) <= 2 for label in task.labels)


def test_they_depend_on_the_content_alone() -> None:
    task = load_task("headlines")
    renamed = tuple(replace(e, id=f"other{i}") for i, e in enumerate(reversed(task.test)))
    again = replace(task, name="else", test=renamed)
    assert {e.content for e in halves_of_test(again)[0]} == {e.content for e in halves_of_test(task)[0]}
    fewer = replace(task, test=task.test[:-1])
    assert {e.content for e in halves_of_test(fewer)[0]} != {e.content for e in halves_of_test(task)[0]}


def test_equal_inputs_come_into_one_half() -> None:
    task = load_task("headlines")
    twins = tuple(Example(f"t{i}", "the same", "sports") for i in range(3))
    halves = halves_of_test(replace(task, test=(*task.test, *twins)))
    assert sorted(sum(e.input == "the same" for e in half) for half in halves) == [0, 3]
