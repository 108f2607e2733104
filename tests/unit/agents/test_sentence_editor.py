"""The sentence editor: a text that failed is not written a second time, however many sentences it has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sage_spo.agents.attempt import Attempt
from sage_spo.agents.operators import Situation, new_sentences
from sage_spo.agents.sentence_editor import Place, edit_sentence
from sage_spo.agents.units import Granularity, units
from sage_spo.seeding import generator
from sage_spo.tests.fakes.agent import ScriptedAgent
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.unit.agents.conftest import Desks


@pytest.mark.parametrize(
    ("seed", "granularity", "said"),
    [
        ("Name the colour: {labels}. Be careful.", "sentence", "Look twice."),
        ("Name the colour: {labels}. Be careful.", "sentence", "Look twice. Then look again."),
        ("Name the colour: {labels}.\n- Be careful.\n- Be quick.", "sentence", "Look twice."),
        ("Name the colour: {labels}. Be careful.", "word", "attentive"),
    ],
)
async def test_a_text_that_failed_is_not_taken_again(desk_at: Desks, seed: str, granularity: Granularity, said: str):
    task = make_task(seed_prompt=seed)
    here = Situation(task, task.seed_prompt, (), (), generator(0, "edit"))
    parts = units(seed, granularity)
    place = Place(parts[-1], len(parts) - 1, len(parts), granularity)
    with FakeServer(ScriptedAgent({"SentenceEdit": {"operation": "replace", "text": said}})) as server:
        desk = desk_at(server)
        first = await edit_sentence(here, place, [], Attempt(desk, 1, 0))
        assert first is not None
        assert said in first.prompt.system
        banned = new_sentences(first.prompt, task.seed_prompt)
        again = await edit_sentence(replace(here), place, [], Attempt(desk, 1, 1), banned)
    assert again is None or said not in again.prompt.system
