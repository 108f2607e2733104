"""Presets and rules of acceptance: what is refused, and that `faithful` does what SPO's paper did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sage_spo.errors import UsageError
from sage_spo.graphs.registry import STRATEGIES, strategy
from sage_spo.graphs.run_settings import RunSettings
from sage_spo.jobs.api import optimize
from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.rows import Decision, Record, StoredPrompt
from sage_spo.traces.store import RunStore


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rules": {"accept": "argmx"}}, "rule 'accept' of acceptance: Input should be 'likely'"),
        ({"rules": {"acept": "argmax"}}, r"rule 'acept' .*there is no such rule\. Did you mean 'accept'"),
        ({"rules": {"confidence": 0.2}}, "rule 'confidence'"),
        ({"preset": "faithfull"}, r"strategy random has none named 'faithfull'\. Did you mean 'faithful'"),
        ({"strategy": "demos", "preset": "faithful"}, "Known: default"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_stored(given: dict, words: str, home: Path):
    with pytest.raises(UsageError, match=words):
        optimize(make_task(), target=answer, **{"strategy": "random", **given})
    assert not home.exists()


def test_a_wrong_rule_on_the_command_line_is_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["optimize", "headlines", "--rule", "acept=argmax"]) == 2
    assert "rule 'acept'" in capsys.readouterr().err


def test_what_a_run_sets_itself_comes_on_top_of_its_preset():
    settings = RunSettings(
        task="t", strategy="random", preset="faithful", options={"candidates": 5}, rules={"holdout": 10}
    )
    assert (settings.search_options().candidates, settings.search_options().iterations) == (5, 10)
    assert (settings.validation().holdout, settings.validation().accept) == (10, "argmax")


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_preset_of_every_strategy_is_made_of_options_and_rules_that_exist(name: str):
    for preset in ("default", *strategy(name).presets):
        RunSettings(task="t", strategy=name, preset=preset).check()


def test_faithful_measures_every_candidate_on_all_of_the_search_split_and_the_higher_mean_leads(home: Path):
    task = make_task((40, 20, 20))
    result = optimize(
        task, target=answer, strategy="random", preset="faithful", budget="target_calls=5000", certify=False
    )
    records, decisions, prompts = asyncio.run(_stored(home, result.run_id))
    assert {record.split for record in records} == {"search"}
    for d in decisions:  # only the examples that are a demo of one of those compared are left out
        rivals = [d.prompt_id, d.champion_id, *(e.prompt_id for e in decisions if e.iteration == d.iteration)]
        demos = {demo["example_id"] for i in rivals for demo in prompts[i].content["demos"]}
        assert d.stats["race"]["n"] == len(task.search) - len(demos)
        assert sum(r.prompt_id == d.prompt_id for r in records) >= d.stats["race"]["n"]
    assert max(d.iteration for d in decisions) == 10
    assert all(sum(d.iteration == i for d in decisions) <= 3 for i in range(1, 11))
    for accepted in (d for d in decisions if d.verdict == "accepted"):
        rivals = [d for d in decisions if d.iteration == accepted.iteration]
        assert accepted.stats["race"]["gain"] == max(d.stats["race"]["gain"] for d in rivals) > 0
    assert any(d.verdict == "accepted" for d in decisions)


async def _stored(home: Path, run_id: str) -> tuple[list[Record], list[Decision], dict[str, StoredPrompt]]:
    async with await RunStore.open(home) as store:
        return await store.records(run_id), await store.decisions(run_id), await store.prompts(run_id)
