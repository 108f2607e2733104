"""Copies of examples in a text: found by shared runs of words."""

from __future__ import annotations

import pytest

from sage_spo.agents.leaks import LEAST, RUN, Copies

INPUTS = [
    "my parcel arrived with a broken lid and the invoice was wrong too",
    "please close the account of my late uncle before the month ends",
    "where did the second charge of nine euros come from",
]
COPIES = Copies(INPUTS)


@pytest.mark.parametrize(
    "text",
    [
        INPUTS[0],
        f"Answer well. For example: {INPUTS[1]}",
        "If they say 'Close the Account, of my LATE uncle!', answer other.",
        "Such as: second charge of nine\neuros come",
        "*parcel* *arrived* *with* *a* *broken* *lid*",
    ],
)
def test_a_run_of_words_from_an_example_is_found_whatever_stands_between_the_words(text: str):
    assert COPIES.found(text)


def test_the_run_that_was_copied_is_named():
    found = COPIES.found("Say refund to: parcel arrived with a broken lid and more").split()
    assert len(found) == RUN
    assert set(found) <= set(INPUTS[0].split())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Answer with one word.",
        "A broken lid is a refund; a second charge is billing; a late uncle is other.",
        "my parcel arrived with a",
        "x" * 100_000,
    ],
)
def test_plain_rules_about_the_examples_are_no_copies(text: str):
    assert COPIES.found(text) == ""


def test_what_stood_in_the_parents_text_is_no_news():
    parent = f"Sort the ticket. {INPUTS[0]}"
    assert COPIES.found(f"{parent} Be brief.", parent) == ""
    assert COPIES.found(f"{parent} {INPUTS[1]}", parent)


def test_words_that_many_examples_share_are_the_tasks_own_language():
    inputs = [f"which of the following sentences is sarcastic {a} {a * 2} {a * 3} {a * 4} {a * 5}" for a in "bcdfghkl"]
    copies = Copies(inputs)
    assert copies.found("Say which of the following sentences is sarcastic.") == ""
    assert copies.found(f"Such as {inputs[3]}")


def test_a_run_that_only_two_examples_share_is_still_theirs():
    copies = Copies([INPUTS[0], INPUTS[0] + " again", *INPUTS[1:]])
    assert copies.found(INPUTS[0])


def test_a_short_example_is_found_whole_and_a_shorter_one_is_plain_language():
    short, shorter = " ".join(["quiet", "amber", "foxes"][:LEAST]), "amber foxes"
    copies = Copies([short, shorter, *INPUTS])
    assert copies.found(f"Answer other to {short.upper()}.")
    assert copies.found(f"Answer other to {shorter}.") == ""
    assert copies.found("quiet and amber foxes") == ""


@pytest.mark.parametrize("inputs", [[], [""], ["   ", "\n"], ["!!! ???"]])
def test_examples_without_words_say_nothing(inputs: list[str]):
    assert Copies(inputs).found("Answer with one word, whatever the ticket says. !!! ???") == ""


def test_a_text_in_a_script_without_spaces_is_found_too():
    sentence = "我昨天收到的包裹已经破损了请尽快安排退款谢谢"
    assert Copies([sentence, *INPUTS]).found(f"例如:{sentence}。")
