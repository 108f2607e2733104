"""Near duplicates across splits, against the plain definition."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_spo.tasks.example import Example
from sage_spo.tasks.metrics import make_metric
from sage_spo.tasks.problems import near_duplicates
from sage_spo.tasks.prompt import Prompt
from sage_spo.tasks.task import Task

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8).map(" ".join), max_size=6)


def task(*splits: list[str]) -> Task:
    search, holdout, test, preserve = (
        tuple(Example(f"{name}{n}", text, "x") for n, text in enumerate(texts))
        for name, texts in zip("shtp", splits, strict=True)
    )
    prompt = Prompt(components={"system": "s"})
    return Task("t", prompt, search, holdout, test, make_metric("exact"), preserve=preserve)


def overlap(one: str, other: str) -> float:
    first, second = (Counter(text.split()) + Counter(pairwise(text.split())) for text in (one, other))
    return (first & second).total() / (first | second).total()


def test_a_changed_word_is_found_across_splits_only() -> None:
    text = "my new washing machine stopped in the middle of the programme"
    pairs = near_duplicates(task([text, text + "!"], [], [text.replace("washing", "coffee").upper()], []))
    assert [(pair.first_id, pair.second_id, pair.second_split) for pair in pairs] == [
        ("s0", "t0", "test"),
        ("s1", "t0", "test"),
    ]
    assert 0.7 < pairs[0].overlap < 1.0


def test_without_words_nothing_is_a_duplicate() -> None:
    assert near_duplicates(task(["?!"], ["?!"], [], [])) == []
    assert near_duplicates(task([], [], [], [])) == []


@given(TEXTS, TEXTS, TEXTS, st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_it_is_the_jaccard_index_over_words_and_pairs(
    search: list[str], holdout: list[str], test: list[str], threshold: float
) -> None:
    texts = {
        f"{name}{n}": text
        for name, split in zip("sht", (search, holdout, test), strict=True)
        for n, text in enumerate(split)
    }
    expected = {
        (one, other): overlap(texts[one], texts[other])
        for one in texts
        for other in texts
        if "sht".index(one[0]) < "sht".index(other[0]) and overlap(texts[one], texts[other]) >= threshold - 1e-9
    }
    found = near_duplicates(task(search, holdout, test, []), threshold)
    assert {(pair.first_id, pair.second_id): pytest.approx(pair.overlap, abs=1e-6) for pair in found} == expected
    assert [pair.overlap for pair in found] == sorted((pair.overlap for pair in found), reverse=True)


def test_the_closest_pairs_come_first_and_the_threshold_is_checked() -> None:
    several = task(["a b c d e f g h"], [], ["a b c d e f g i", "a b c d e f g h"], [])
    assert [pair.second_id for pair in near_duplicates(several, 0.5, limit=1)] == ["t1"]
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(several, 0.0)
