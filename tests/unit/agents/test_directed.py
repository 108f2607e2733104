"""The playbook's proposer: what it says or shows against a direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sage_spo.agents.directed import directed_operators
from sage_spo.agents.operators import MAX_DEMOS, Situation, demo_of
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.causes import LABELS, Cause, failing_for, records_of, tickets
from sage_spo.traces.rows import Record

TASK = tickets()
SEED = TASK.seed_prompt
PHONE_PRO = Cause({"channel": "phone", "plan": "pro"})
RECORDS = records_of(TASK, failing_for(PHONE_PRO, noise=0.0))
GROUP = "channel=phone & plan=pro"
ABOUT = [e for e in TASK.search if PHONE_PRO.holds(e, "")]


def wanting(label: str, other: str = "", count: int = 0) -> frozenset[str]:
    """Ids of the tickets that want this answer, and of so many that want another."""
    more = [e.id for e in TASK.search if e.label == other][:count]
    return frozenset([e.id for e in TASK.search if e.label == label][:6] + more)


def made(
    name: str, matched: frozenset[str], group: str = GROUP, prompt: Prompt = SEED, records: Sequence[Record] = RECORDS
) -> Prompt | None:
    """What the operator of that name makes of the prompt."""
    operators = {operator.__name__: operator for operator in directed_operators(matched, group)}
    return operators[name](Situation(TASK, prompt, records, TASK.search, np.random.default_rng(0)))


def demos(*labels: str) -> list[Example]:
    taken: list[Example] = []
    for label in labels:
        taken.append(next(e for e in TASK.search[::-1] if e.label == label and e not in taken))
    return taken


def showing(*labels: str) -> Prompt:
    return SEED.edited(demos=[demo_of(e) for e in demos(*labels)], origin="demos")


# -- rules ---------------------------------------------------------------------------------------------------


def test_the_rule_of_a_group_of_two_fields_is_one_sentence_in_words():
    child = made("state_rule", wanting("refund"))
    assert child is not None
    assert child.system == f"{SEED.system} If channel is phone and plan is pro, the answer is refund."
    assert child.parents == (SEED.id,)


@pytest.mark.parametrize(
    ("group", "condition"),
    [
        ("channel=phone", "If channel is phone,"),
        ("days_open >= 12", "If days open is at least 12,"),
        ("days_open < 12.5 & plan=pro", "If days open is below 12.5 and plan is pro,"),
        ("subject line=no reply", "If subject line is no reply,"),
    ],
)
def test_a_condition_reads_like_english(group: str, condition: str):
    child = made("state_rule", wanting("refund"), group)
    assert child is not None
    assert condition in child.system


@pytest.mark.parametrize(
    "group",
    [
        "expected=refund",
        "n_words >= 14",
        "10 <= n_words < 12",
        "11 <= n_words < 12 & plan=pro",
        "5 <= days_open < 9",
        'term "parcel"',
        "channel is empty",
        "output is empty",
        "shop=M&S",
        "",
    ],
)
def test_a_group_that_is_no_condition_on_a_field_makes_no_rule(group: str):
    operators = {operator.__name__ for operator in directed_operators(wanting("refund"), group)}
    assert "state_rule" not in operators or made("state_rule", wanting("refund"), group) is None


def test_where_no_answer_is_the_rule_none_is_stated():
    assert made("state_rule", wanting("refund", "billing", 6)) is None
    assert made("state_rule", wanting("refund", "billing", 2)) is not None
    assert made("state_rule", frozenset()) is None


def test_a_rule_that_stands_there_is_not_stated_again():
    child = made("state_rule", wanting("refund"))
    assert child is not None
    assert made("state_rule", wanting("refund"), prompt=child) is None


def test_the_words_that_tell_wanted_and_given_apart_are_named():
    child = made("contrast", frozenset(e.id for e in ABOUT))
    if child is not None:  # random tickets need not have telling words
        assert any(f"speak for {label}" in child.system for label in LABELS)
    assert made("contrast", frozenset()) is None


# -- demos ---------------------------------------------------------------------------------------------------


def test_one_of_the_examples_takes_the_place_of_a_demo_whose_answer_is_given_too_often():
    records = [r for r in RECORDS if r.output != "refund"]  # the others are given more often than they are right
    prompt = showing("billing", "other", "refund")
    matched = wanting("refund")
    child = made("show", matched, prompt=prompt, records=records)
    assert child is not None
    before, after = [d.example_id for d in prompt.demos], [d.example_id for d in child.demos]
    [old] = set(before) - set(after)
    assert TASK.example(old).label != "refund"
    assert len(after) == len(before)
    assert after[-1] in matched  # the last turn weighs most


def test_where_no_answer_is_given_too_often_it_is_shown_as_one_more():
    prompt = showing("refund")
    child = made("show", wanting("refund"), prompt=prompt, records=[])
    assert child is not None
    assert len(child.demos) == 2
    assert child.demos[0] == prompt.demos[0]
    assert child.demos[1].example_id in wanting("refund")


def test_there_is_room_for_so_many_demos_and_no_more():
    full = showing(*(["refund"] * MAX_DEMOS))
    assert made("show", wanting("refund"), prompt=full, records=[]) is None


def test_without_demos_a_fresh_set_ends_with_one_of_the_examples():
    assert made("show", wanting("refund")) is None
    child = made("end_with", wanting("refund"))
    assert child is not None
    assert child.demos[-1].example_id in wanting("refund")
    assert len({d.example_id for d in child.demos}) == len(child.demos)
    assert made("end_with", wanting("refund"), prompt=showing("refund")) is None


def test_examples_that_want_the_same_answer_stand_in_for_those_that_are_demos_already():
    matched = frozenset(e.id for e in demos("refund"))
    child = made("show", matched, prompt=showing("refund"), records=[])
    assert child is not None
    assert [d.output for d in child.demos] == ["refund", "refund"]


# -- the form of the answer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["output is empty", "output has several lines", "output is none of the labels"])
def test_a_group_of_outputs_gets_the_form_of_the_answer_and_nothing_else(group: str):
    assert [o.__name__ for o in directed_operators(wanting("refund"), group)] == ["answer_form"]
    child = made("answer_form", wanting("refund"), group)
    assert child is not None
    assert child.system != SEED.system
