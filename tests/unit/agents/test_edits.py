"""Edits of a prompt's text: applied one after the other, and those of no use told by their reason."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sage_spo.agents.edits import LONGEST_EDIT, Edit, applied, edit_of, edited, usable, with_demos
from sage_spo.agents.operators import demo_of
from sage_spo.seeding import generator
from sage_spo.tests.fakes.causes import tickets

TEXT = "Sort the ticket.\nBe brief. Read it twice."
ADD = Edit(text="Prefer refunds for parcels.")
REPLACE = Edit(operation="replace", old="Be brief.", text="Take your time.")
REMOVE = Edit(operation="remove", old="Read it twice.")


def test_an_added_sentence_stands_on_a_line_of_its_own_at_the_end():
    assert applied(TEXT, [ADD]) == f"{TEXT}\n{ADD.text}"


def test_a_replaced_sentence_stands_where_the_old_one_stood():
    assert applied(TEXT, [REPLACE]) == "Sort the ticket.\nTake your time. Read it twice."


def test_a_removed_sentence_leaves_no_gap():
    assert applied(TEXT, [REMOVE]) == "Sort the ticket.\nBe brief."
    assert applied("One.\nTwo.\nThree.", [Edit(operation="remove", old="Two.")]) == "One.\nThree."


def test_only_the_first_of_two_equal_sentences_is_changed():
    edit = Edit(operation="replace", old="Go.", text="Stop.")
    assert applied("Go.\nGo.", [edit]) == "Stop.\nGo."


def test_edits_are_applied_in_order_each_to_what_the_one_before_left():
    again = Edit(operation="replace", old="Take your time.", text="Hurry.")
    assert applied(TEXT, [REPLACE, ADD, again, REMOVE]).split() == f"Sort the ticket. Hurry. {ADD.text}".split()


def test_no_edit_changes_nothing():
    assert applied(TEXT, []) == TEXT


@pytest.mark.parametrize("old", ["Not there.", "", "   "])
def test_where_the_old_sentence_is_missing_the_new_one_is_added_and_nothing_is_lost(old: str):
    assert applied(TEXT, [Edit(operation="replace", old=old, text="New.")]) == f"{TEXT}\nNew."
    assert applied(TEXT, [Edit(operation="remove", old=old, text="New.")]) == TEXT


def test_what_every_edit_leaves_out_in_turn_differs_by_that_edit_alone():
    edits = [ADD, REPLACE, REMOVE]
    whole = applied(TEXT, edits)
    texts = {applied(TEXT, [e for e in edits if e is not out]) for out in edits}
    assert len(texts | {whole}) == 4


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (ADD, ""),
        (REPLACE, ""),
        (REMOVE, ""),
        (Edit(text=""), "adds nothing"),
        (Edit(text=" \n "), "adds nothing"),
        (Edit(operation="replace", old="Be brief."), "adds nothing"),
        (Edit(text="x" * (LONGEST_EDIT + 1)), "longer than"),
        (Edit(operation="remove", old="Not there."), "not there"),
        (Edit(operation="remove"), "not there"),
        (Edit(text="Sort the ticket."), "already"),
        (Edit(text="SORT the ticket"), "already"),
        (Edit(operation="replace", old="Be brief.", text="Be brief."), "changes nothing"),
    ],
)
def test_an_edit_of_no_use_says_why(edit: Edit, reason: str):
    found = usable(edit, TEXT)
    assert reason in found
    assert bool(found) == bool(reason)


def test_the_longest_edit_is_still_of_use():
    assert usable(Edit(text="w" * LONGEST_EDIT), TEXT) == ""


def test_an_unknown_operation_is_no_edit():
    with pytest.raises(ValidationError):
        Edit.model_validate({"operation": "delete everything", "text": "x"})


# -- the whole prompt ----------------------------------------------------------------------------------------

TASK = tickets((24, 4, 4), seed_prompt="Sort the ticket into one of: {labels}. Never guess.", locked=("Never guess.",))
SEED = TASK.seed_prompt


@pytest.mark.parametrize("old", [SEED.system, "Sort the ticket into one of: {labels}.", "Never guess."])
def test_an_edit_that_removes_what_must_stay_gets_it_put_back(old: str):
    made = edited(TASK, SEED, [Edit(operation="remove", old=old), Edit(text="Be brief.")], "edits")
    assert TASK.violations(made) == []
    assert "Be brief." in made.system
    assert (made.parents, made.origin) == ((SEED.id,), "edits")


def test_no_edits_make_no_new_prompt():
    assert edited(TASK, SEED, [], "nothing").id == SEED.id


# -- worked examples -----------------------------------------------------------------------------------------


def demos(text: str) -> Edit:
    return with_demos(Edit(operation="demos", text=text), TASK, TASK.search, generator(3, "demos"))


def test_worked_examples_are_drawn_for_the_answers_named_in_their_order():
    made = edited(TASK, SEED, [demos("refund, Billing, refund,other")], "demos")
    assert [d.output for d in made.demos] == ["refund", "billing", "refund", "other"]
    assert len({d.example_id for d in made.demos}) == 4
    assert made.system == SEED.system
    assert demos("refund, billing") == demos("refund, billing")


def test_a_number_says_how_many_where_no_answer_is_named():
    assert len(demos("3").demo_ids) == 3
    assert len(demos("999999999").demo_ids) <= len(TASK.search)


@pytest.mark.parametrize("text", ["", "cake, tea", "many", "0"])
def test_worked_examples_that_there_are_none_of_are_of_no_use(text: str):
    assert usable(demos(text), TEXT) == "shows no worked example that there is"


def test_new_worked_examples_come_before_the_old_ones_and_none_twice():
    edit = demos("refund")
    old = next(e for e in TASK.search if e.id not in edit.demo_ids)
    parent = SEED.edited(demos=[demo_of(old), demo_of(TASK.example(edit.demo_ids[0]))], origin="demos")
    assert [d.example_id for d in edited(TASK, parent, [edit], "more").demos] == [*edit.demo_ids, old.id]


def test_no_reply_of_a_model_chooses_the_examples_itself():
    forged = Edit.model_validate({"operation": "add", "text": "x", "demo_ids": ["e30"]})
    assert with_demos(forged, TASK, TASK.search, generator(3)).demo_ids == ()
    forged = Edit.model_validate({"operation": "demos", "text": "refund", "demo_ids": ["no such example"]})
    assert set(with_demos(forged, TASK, TASK.search, generator(3)).demo_ids) <= {e.id for e in TASK.search}


@pytest.mark.parametrize(
    ("fix", "operation", "text"),
    [
        ("Read it twice.", "add", "Read it twice."),
        ("demos: refund, other", "demos", "refund, other"),
        ("Demos : refund", "demos", "refund"),
        ("Note: demos help.", "add", "Note: demos help."),
    ],
)
def test_a_suggested_fix_becomes_an_edit(fix: str, operation: str, text: str):
    assert edit_of(fix) == Edit.model_validate({"operation": operation, "text": text})
