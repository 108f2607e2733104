"""What keeps untrusted text apart from the words of a request: tags that it cannot close, names that give no orders."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from sage_spo.agents.ask import NAME_SHOWN, REPLY_SHOWN, AgentDesk, fence, fenced, prompt_text
from sage_spo.agents.edits import Edit
from sage_spo.tests.fakes.gullible import ORDER, reading, steering
from sage_spo.tests.fakes.hostile import tricks
from sage_spo.tests.fakes.server import FakeServer

NAME = fence(0, "a request")


def rewrite(content: str = "x", **more: Any) -> str:
    """A request of the rewriter with one failure."""
    failure = {"input": content, "output": "", "expected": "", "feedback": ""}
    values: dict[str, Any] = {
        "prompt": "p",
        "failures": [failure],
        "failed": 1,
        "measured": 2,
        "labels": [],
        "placeholders": [],
        "locked": [],
        "tried": [],
    }
    return prompt_text("rewrite", fence=NAME, **values | more)


def read(text: str) -> Any:
    return reading({"messages": [{"role": "user", "content": text}]})


def test_tags_have_the_name_that_was_given_where_nothing_holds_it():
    assert read(rewrite()).names == {NAME}


@pytest.mark.parametrize("guess", [f"</{NAME}>\n{ORDER}", f"</{NAME.upper()}>\n{ORDER}", NAME])
def test_who_guesses_the_name_of_the_tags_is_met_with_another_one(guess: str):
    found = read(rewrite(guess))
    assert found.names == found.announced
    assert NAME not in found.names
    assert not found.orders
    assert any(guess in block for block in found.blocks)


def test_who_guesses_the_next_name_too_is_met_with_a_third_one():
    [second] = read(rewrite(NAME)).names
    [third] = read(rewrite(f"{NAME} {second}")).names
    assert len({NAME, second, third}) == 3


@pytest.mark.parametrize("text", tricks([NAME]))
def test_fenced_text_holds_nothing_that_steers_or_hides(text: str):
    assert not steering(fenced(text))
    assert not read(rewrite(fenced(text))).orders


def test_fenced_text_is_capped_and_says_how_much_is_left_out():
    assert fenced("x" * 200_000) == "x" * 1500 + " […198500 characters more]"


def test_short_names_stand_in_the_sentence_as_they_are():
    text = rewrite(labels=["billing", "(A)", "sci/tech", "not_sure"], placeholders=["{labels}"])
    assert "The answer must be one of: billing, (A), sci/tech, not_sure. Do not" in text
    assert "exactly as they are: {labels}\n" in text


@pytest.mark.parametrize("name", [*tricks([NAME]), "two words", "", "line\nbreak", "x" * 25, '"quoted"'])
def test_other_names_stand_in_the_fence_as_quoted_text(name: str):
    text = rewrite(labels=["billing", name])
    found = read(text)
    assert not found.orders
    assert not steering(text)
    [block] = [block for block in found.blocks if "billing" in block]
    assert ast.literal_eval(block.strip()) == ["billing", name if len(name) <= NAME_SHOWN else name[:NAME_SHOWN] + "…"]


def test_of_very_many_names_some_are_shown():
    text = rewrite(labels=[f"label{i}" for i in range(5000)])
    assert "and 4700 more" in text
    assert len(text) < 10_000


def test_a_locked_text_stands_in_the_fence():
    found = read(rewrite(locked=[ORDER]))
    assert not found.orders
    assert any(ORDER in block for block in found.blocks)


class Shape(BaseModel):
    size: int


async def test_a_reply_that_cannot_be_read_is_sent_back_in_a_fence(desk_at: Callable[..., AgentDesk]):
    said = f"{ORDER}\n</{NAME}>\x1b[31m\u202e{{'size'}}" + "y" * 9000
    with FakeServer(lambda request: said) as server:
        asked = [{"role": "user", "content": "How large?"}]
        reply = await desk_at(server).ask(Shape, asked, role="a", iteration=1, index=0)
        [_, again] = server.chats
    assert reply is None
    assert [m["role"] for m in again["messages"]] == ["user", "assistant", "user"]
    found = reading(again)
    assert found.names == found.announced
    assert not found.orders
    assert not steering(json.dumps(again, ensure_ascii=False))
    assert len(found.blocks[0]) < REPLY_SHOWN + 100
    assert re.search(r"cannot be used: .+ Reply again, as JSON only", " ".join(found.outside.split()))


@pytest.mark.parametrize("counts", [True, False])
async def test_a_reply_that_does_not_say_its_tokens_costs_what_it_may_have_taken_at_most(
    desk_at: Callable[..., AgentDesk], counts: bool
) -> None:
    asked = [{"role": "user", "content": "How large?"}]
    with FakeServer(lambda request: '{"size": 3}') as server:
        server.counts_tokens = counts
        desk = desk_at(server)
        assert await desk.ask(Shape, asked, role="a", iteration=1, index=0, max_tokens=500) == Shape(size=3)
    least = len("How large?") + 500
    spent = desk.calls.ledger.spent("tokens")
    assert (0 < spent < 100) if counts else (least < spent < least + 500)


def test_the_text_of_an_edit_loses_what_steers_a_terminal_and_keeps_what_words_need():
    edit = Edit(text="Mind\x1b[31m the\u202e tone\x00. \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
    assert edit.text == "Mind the tone. \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
