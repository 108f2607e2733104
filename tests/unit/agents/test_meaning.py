"""Whether two instructions say the same."""

from __future__ import annotations

import pytest

from sage_spo.agents.meaning import said_before, same_meaning, words

LABELS = ("billing", "refund", "other")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Duplicate charges belong to billing.", "Duplicate charges belong to billing."),
        ("Duplicate charges belong to billing.", "Treat a duplicate charge as billing"),
        ("If a parcel is damaged, answer refund.", "Damaged parcels: refund."),
        ("Answer with one of: billing, refund, other.", "Choose billing, refund or other."),
        ("Think of the spectrum.", "THINK of the spectrum!"),
    ],
)
def test_other_wordings_of_one_rule_say_the_same(one: str, other: str):
    assert same_meaning(one, other, LABELS)
    assert same_meaning(other, one, LABELS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Duplicate charges belong to billing.", "Duplicate charges belong to refund."),
        ("Duplicate charges belong to billing.", "Damaged parcels belong to billing."),
        ("Read the subject first.", "Ignore the signature."),
        ("Mind the greeting.", ""),
        ("Parcels: refund.", "Parcels."),
    ],
)
def test_rules_about_other_things_or_with_other_answers_do_not(one: str, other: str):
    assert not same_meaning(one, other, LABELS)
    assert not same_meaning(other, one, LABELS)


@pytest.mark.parametrize(
    "labels",
    [
        ("A", "B"),
        ("no", "yes"),
        ("(A)", "(B)"),
        ("1", "2"),
        ("account closure", "account opening"),
        ("refund_request", "refund_status"),
        ("positive", "positively"),
        ("ja", "nein"),
        ("退款", "账单"),
    ],
)
def test_rules_that_differ_in_the_answer_alone_say_opposite_things_whatever_the_labels_look_like(
    labels: tuple[str, str],
):
    one, other = (f"Dormant cards with pending foreign fees are {label}." for label in labels)
    assert same_meaning(one, one, labels)
    assert not same_meaning(one, other, labels)


def test_texts_without_a_word_that_means_anything_are_compared_as_they_are():
    assert same_meaning("Use it.", "use it. ")
    assert not same_meaning("Use it.", "Do so.")
    assert same_meaning("", "")


def test_words_are_compared_by_stem_and_common_ones_left_out():
    assert words("those CHARGES, all charged") == words("charge")
    assert words("Sort the parcels and an invoice") == {"sort", "parcel", "invoic"}
    assert words("You must answer with the word when it is so.") <= {"must"}


def test_what_was_said_before_is_known_again():
    earlier = ["Read the subject first.", "Duplicate charges belong to billing."]
    assert said_before("A duplicated charge is billing.", earlier, LABELS)
    assert not said_before("A duplicated charge is refund.", earlier, LABELS)
    assert not said_before("A duplicated charge is billing.", [], LABELS)
