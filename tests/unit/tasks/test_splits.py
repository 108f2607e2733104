"""Splits depend on what the examples say and on the split's seed, on nothing else."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_spo.errors import TaskError
from sage_spo.tasks.example import Example
from sage_spo.tasks.fields import Placed
from sage_spo.tasks.splits import SPLITS, Shares, check_disjoint, check_sizes, split_examples, split_sizes


def placed(count: int, labels: int = 3, prefix: str = "text") -> list[Placed]:
    return [
        Placed(Example(f"{prefix}{n}", f"{prefix} {n}", f"label {n % labels}"), f"a.jsonl line {n + 1}")
        for n in range(count)
    ]


def inputs(split: dict[str, tuple[Placed, ...]]) -> dict[str, set[str]]:
    return {name: {one.example.input for one in group} for name, group in split.items()}


@given(st.integers(30, 120), st.integers(1, 30), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_split_is_complete_disjoint_sized_and_independent_of_order(
    count: int, labels: int, seed: int, order: random.Random
) -> None:
    examples = placed(count, labels)
    shares = Shares(seed=seed)
    split = inputs(split_examples(examples, shares))
    assert {name: len(group) for name, group in split.items()} == split_sizes(count, shares)
    assert set.union(*split.values()) == {one.example.input for one in examples}
    order.shuffle(examples)
    renamed = [Placed(Example(f"other {n}", *_content(one.example)), "b.csv line 1") for n, one in enumerate(examples)]
    assert inputs(split_examples(renamed, shares)) == split


def _content(example: Example) -> tuple[str, str]:
    return example.input, example.expected


def test_another_split_seed_gives_another_split_and_global_randomness_none() -> None:
    examples = placed(60)
    first = inputs(split_examples(examples, Shares(seed=0)))
    random.seed(1)
    assert inputs(split_examples(examples, Shares(seed=0))) == first
    assert inputs(split_examples(examples, Shares(seed=1))) != first


@given(st.integers(3, 20), st.integers(10, 20))
def test_labels_are_spread_evenly(labels: int, each: int) -> None:
    split = split_examples(placed(labels * each, labels), Shares())
    for name in SPLITS:
        counts = Counter(one.example.label for one in split[name])
        for label in {f"label {n}" for n in range(labels)}:
            assert abs(counts[label] - getattr(Shares(), name) * each) < 2.0


def test_equal_inputs_come_into_one_split() -> None:
    twice = [
        Placed(Example(f"{one.example.id}-{copy}", one.example.input, f"label {copy}"), one.where)
        for one in placed(40)
        for copy in range(2)
    ]
    split = inputs(split_examples(twice, Shares()))
    assert sum(map(len, split.values())) == 40
    check_disjoint(split_examples(twice, Shares()))


@given(st.integers(0, 500))
def test_sizes_add_up_and_are_within_one_of_the_shares(count: int) -> None:
    sizes = split_sizes(count, Shares())
    assert sum(sizes.values()) == count
    assert all(abs(sizes[name] - count * getattr(Shares(), name)) < 1 for name in SPLITS)


def test_too_few_examples_say_how_many_more_are_needed() -> None:
    with pytest.raises(TaskError) as error:
        split_examples(placed(20), Shares())
    more = int(str(error.value).split("bring ")[1].split()[0])
    assert "holdout split of 4" in str(error.value)
    split_examples(placed(20 + more), Shares())
    with pytest.raises(TaskError):
        split_examples(placed(20 + more - 1), Shares())
    assert error.value.exit_code == 2


def test_repeated_inputs_do_not_fill_splits() -> None:
    repeated = [Placed(Example(str(n), f"text {n % 2}", "a"), "a.csv line 1") for n in range(60)]
    with pytest.raises(TaskError, match=r"only 2 different inputs .* bring 21 more"):
        split_examples(repeated, Shares())


def test_given_splits_need_five_examples_each() -> None:
    with pytest.raises(TaskError, match="holdout split has 2 examples; it needs 5: bring 3 more"):
        check_sizes({"search": placed(9), "holdout": placed(2), "test": placed(9)})


def test_the_same_example_in_two_splits_names_both() -> None:
    search, test = placed(6), placed(6, prefix="other")
    test.append(Placed(Example("t9", "text 2", "label 0"), "c.csv line 9"))
    with pytest.raises(TaskError) as error:
        check_disjoint({"search": search, "test": test})
    for word in ("a.jsonl line 3", "search", "text2", "c.csv line 9", "test", "t9"):
        assert word in str(error.value)


def test_an_id_in_two_splits_is_named() -> None:
    with pytest.raises(TaskError, match=r"id 'text1' is also used at a\.jsonl line 2"):
        check_disjoint({"search": placed(3), "test": [Placed(Example("text1", "new", "a"), "c.csv line 1")]})
