"""The playbook's edits: what each changes, and what no edit may lose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sage_spo.agents import operators as op
from sage_spo.agents import playbook
from sage_spo.agents.operators import Situation, predicted_label, sentences
from sage_spo.agents.terms import distinguishing_terms
from sage_spo.seeding import generator
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.landscape import LABELS, make_task
from sage_spo.traces.rows import Record

TASK = make_task()


def records(answers: dict[str, str]) -> list[Record]:
    """Records of a prompt that answers the examples of each true label with `answers[label]`."""
    return [
        Record("r", "p", e.id, 0, "search", "00", float(answers[e.label] == e.label), answers[e.label])
        for e in TASK.search
    ]


def situation(prompt: Prompt = TASK.seed_prompt, seed: int = 0, **answers: str) -> Situation:
    answered = records({label: answers.get(label, label) for label in LABELS})
    return Situation(TASK, prompt, answered, TASK.search[24:], generator(seed, "test"))


def with_demos(*labels: str) -> Prompt:
    pool = {label: [e for e in TASK.search if e.label == label] for label in LABELS}
    demos = [op.demo_of(pool[label].pop()) for label in labels]
    return TASK.seed_prompt.edited(demos=demos, origin="test")


def test_fresh_demos_show_every_label_equally_often():
    child = op.fresh_demos(situation())
    assert child is not None
    shown = [demo.output for demo in child.demos]
    assert {shown.count(label) for label in LABELS} == {len(shown) // 3}


def test_a_swap_takes_a_turn_of_the_label_predicted_too_often_for_one_predicted_too_rarely():
    prompt = with_demos("red", "red", "green")
    child = op.swap_demo(situation(prompt, blue="red", green="red"))
    assert child is not None
    assert [d.output for d in child.demos].count("red") == 1
    assert child.demos[2].output == "green"


def test_without_collapse_there_is_nothing_to_swap():
    assert op.swap_demo(situation(with_demos("red", "green"))) is None


def test_a_dropped_demo_is_one_of_the_label_predicted_too_often():
    child = op.drop_demo(situation(with_demos("red", "blue", "green"), blue="red"))
    assert child is not None
    assert [d.output for d in child.demos] == ["blue", "green"]


def test_the_contrast_names_the_two_labels_that_are_confused():
    child = op.contrast_confused(situation(blue="red"))
    if child is not None:  # the two labels need terms of their own
        assert "Do not confuse blue with red" in child.system


def test_an_answer_form_takes_the_place_of_another():
    child = op.answer_form(situation())
    assert child is not None
    grandchild = op.answer_form(situation(child))
    assert grandchild is not None
    assert sum(form in grandchild.system for form in op.ANSWER_FORMS["label"]) == 1


@pytest.mark.parametrize("seed", range(40))
def test_no_edit_loses_a_placeholder_or_a_locked_text(seed: int):
    locked = replace(
        TASK,
        seed_prompt=Prompt(components={"system": "Name the colour: {labels}. Be kind. Never guess."}),
        locked=("Never guess.",),
    )
    here = replace(situation(locked.seed_prompt, seed, blue="red"), task=locked)
    child = playbook.edit(here, {locked.seed_prompt.id})
    assert child is not None
    assert "{labels}" in child.system
    assert "Never guess." in child.system


def test_edits_are_new_and_repeatable():
    known = {TASK.seed_prompt.id}
    first = playbook.edit(situation(seed=3), known)
    assert first is not None
    assert first.id not in known
    assert playbook.edit(situation(seed=3), known) == first
    assert playbook.edit(situation(seed=3), known | {first.id}) != first


def test_a_label_is_read_from_an_answer_only_when_it_is_the_only_one():
    assert predicted_label("It is Red.", LABELS) == "red"
    assert predicted_label("red or blue", LABELS) == ""
    assert predicted_label("reddish", LABELS) == ""


def test_sentences_keep_headings_and_items_apart():
    assert sentences("# Task\nDo this. Then that!\n- item") == ["# Task", "Do this.", "Then that!", "- item"]


def test_distinguishing_terms_are_those_of_one_label():
    examples = [Example(str(i), f"the ball was {'kicked' if i % 2 else 'sold'} today", "ab"[i % 2]) for i in range(40)]
    assert distinguishing_terms(examples, ("a", "b"), 2) == {"a": ["sold"], "b": ["kicked"]}


def test_texts_of_a_single_word_have_no_distinguishing_terms():
    examples = [Example(str(i), "word", "ab"[i % 2]) for i in range(4)]
    assert distinguishing_terms(examples, ("a", "b"), 2) == {"a": [], "b": []}
