"""Revisions of one prompt put together: what counts as a change, and what is said twice."""

from __future__ import annotations

from sage_spo.agents.accumulate import accumulated, changes
from sage_spo.tasks.prompt import Demo, Prompt
from sage_spo.tests.fakes.landscape import make_task

TEXT = "Name the colour: {labels}.\n- Think of red.\n- Be brief."
PARENT = Prompt(components={"system": TEXT})


def child(text: str, *shown: str) -> Prompt:
    return PARENT.edited(text=text, origin="gradient", shown=shown)


def test_what_several_revisions_add_stands_in_one_and_what_was_shown_to_any():
    first, second = child(f"{TEXT}\nLook at the shelf.", "e1"), child(f"{TEXT}\nMind the stock.", "e2")
    whole = accumulated(make_task(), PARENT, [first, second])
    assert whole is not None
    assert whole.system == f"{TEXT}\nLook at the shelf.\nMind the stock."
    assert whole.shown == ("e1", "e2")
    assert whole.parents == (PARENT.id,)


def test_the_same_change_is_made_once():
    both = [child(f"{TEXT}\nLook at the shelf number."), child(f"{TEXT}\nLook at the number of the shelf.")]
    whole = accumulated(make_task(), PARENT, both)
    assert whole is not None
    assert whole.system.count("shelf") == 1


def test_another_way_to_mark_a_list_is_no_change():
    assert changes(PARENT, child(TEXT.replace("- ", "* "))) is None
    found = changes(PARENT, child(TEXT.replace("- ", "") + "\nLook again."))
    assert found is not None
    assert [e.text for e in found] == ["Look again."]


def test_a_text_of_its_own_and_other_demos_are_not_put_together():
    assert changes(PARENT, child("Something else. Quite different. {labels}")) is None
    demo = Demo(example_id="e1", input="thing", output="red")
    assert changes(PARENT, PARENT.edited(demos=[demo], origin="demos")) is None


def test_sentences_are_replaced_and_dropped_in_their_place():
    replaced = child(TEXT.replace("Be brief.", "Give one word."))
    dropped = child(TEXT.replace("\n- Think of red.", ""))
    whole = accumulated(make_task(), PARENT, [replaced, dropped])
    assert whole is not None
    assert "Give one word." in whole.system
    assert "Think of red." not in whole.system
    assert "{labels}" in whole.system
