"""`auto`: its options, and that a member in its turn does what it does alone, on an archive that all share."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.evaluation.shrinkage import shrunken_estimates
from sage_spo.graphs.genetic import GeneticOptions
from sage_spo.graphs.portfolio_options import NAME, PortfolioOptions
from sage_spo.graphs.registry import STRATEGIES, strategy
from sage_spo.graphs.run_settings import RunSettings
from sage_spo.graphs.sage import SageOptions
from sage_spo.jobs.api import optimize
from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.rows import Decision, Record, StoredPrompt, Turn
from sage_spo.traces.store import RunStore

Left = tuple[list[Turn], list[Decision], dict[str, StoredPrompt], list[Record]]


def run(name: str = NAME, calls: int = 600, rules: dict[str, Any] | None = None, **options: Any) -> Any:
    given: dict[str, Any] = {"options": options, "rules": rules or {}, "budget": {"target_calls": calls}}
    return optimize(make_task(), strategy=name, target=answer, certify=False, **given)


def left(home: Path, run_id: str) -> Left:
    async def read() -> Left:
        async with await RunStore.open(home) as s:
            return await s.turns(run_id), await s.decisions(run_id), await s.prompts(run_id), await s.records(run_id)

    return asyncio.run(read())


def options(**given: Any) -> PortfolioOptions:
    made = RunSettings(task="t", strategy=NAME, options=given).search_options()
    assert isinstance(made, PortfolioOptions)
    return made


# -- options -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"choser": "exp3"}, r"option 'choser' of strategy auto: there is no such option\. Did you mean 'chooser'"),
        ({"chooser": "ucb"}, "option 'chooser' of strategy auto: Input should be 'thompson'"),
        ({"members": "sage+sagee"}, r"unknown 'sagee'\. Did you mean 'sage'"),
        ({"members": "sage+auto"}, "option 'members' of strategy auto: name one to 4 different strategies"),
        ({"members": "sage+sage"}, "different strategies"),
        ({"members": ""}, "name one to 4"),
        ({"members": "sage+ape+opro+demos+random"}, "name one to 4"),
        ({"sage.edits": 9}, "option 'sage.edits' of strategy auto: Input should be less than or equal to 5"),
        ({"sage.edit": 3}, "option 'sage.edit' of strategy auto: there is no such option"),
        ({"demos.candidates": 3, "members": "sage"}, "demos is none of the members"),
    ],
)
def test_what_does_not_exist_is_one_line_before_anything_is_stored(given: dict[str, Any], words: str, home: Path):
    with pytest.raises(UsageError, match=words):
        run(**given)
    assert not home.exists()


def test_a_member_is_given_its_own_options_and_one_iteration_a_turn():
    made = options(**{"members": "sage+genetic", "sage.edits": "3", "genetic.candidates": 2, "candidates": 5})
    sage, genetic = made.of_turn("sage"), made.of_turn("genetic")
    assert isinstance(sage, SageOptions)
    assert isinstance(genetic, GeneticOptions)
    assert (sage.edits, sage.candidates, sage.iterations) == (3, 5, 1)
    assert (genetic.pool, genetic.candidates, genetic.iterations) == (10, 2, 1)
    assert made.of_turn("") is made
    assert options().of_turn("genetic").candidates == GeneticOptions().candidates


def test_an_option_says_the_same_as_text_and_as_number():
    assert options(**{"sage.edits": "3"}).model_dump() == options(**{"sage.edits": 3}).model_dump()


def test_code_runs_where_a_member_runs_code():
    assert RunSettings(task="t", strategy=NAME).runs_code
    assert not RunSettings(task="t", strategy=NAME, options={"members": "random+genetic"}).runs_code


def test_members_options_are_taken_on_the_command_line(capsys: pytest.CaptureFixture[str]):
    assert main(["optimize", "headlines", "--strategy", NAME, "--option", "sage.edits=9"]) == 2
    assert "option 'sage.edits'" in capsys.readouterr().err


# -- turns ---------------------------------------------------------------------------------------------------

PICKED = {"estimate": "mean", "holdout": 60}
"""The rules of acceptance of its preset; those of a portfolio are the run's."""


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != NAME])
def test_one_that_shares_with_nobody_does_what_it_does_alone(name: str, home: Path):
    same = {"iterations": 2, "rules": PICKED if name == "picked" else {}}
    _, *alone = left(home, run(name, init="seed", **same).run_id)
    turns, *found = left(home, run(members=name, **same).run_id)
    assert {t.strategy for t in turns} == {name}
    assert [t.iteration for t in turns] == list(range(1, len(turns) + 1))

    def plain(decisions: Any, prompts: Any, records: Any) -> Any:
        said = [(d.iteration, d.index, d.prompt_id, d.champion_id, d.verdict, d.reason) for d in decisions]
        return said, list(prompts), [(r.prompt_id, r.example_id, r.repeat, r.score) for r in records]

    assert plain(*found) == plain(*alone)
    assert found[0]


def test_what_a_member_finds_the_next_one_starts_from(home: Path):
    result = run(members="random+demos", chooser="round-robin", calls=900)
    turns, decisions, prompts, _ = left(home, result.run_id)
    assert [t.strategy for t in turns[:4]] == ["random", "demos", "random", "demos"]
    accepted = {d.prompt_id: d.iteration for d in decisions if d.verdict == "accepted"}
    assert accepted
    by = {t.iteration: t.strategy for t in turns}
    mixed = [d for d in decisions if d.champion_id in accepted and by[accepted[d.champion_id]] != by[d.iteration]]
    assert mixed, "no member has met a champion of the other's"
    assert all(prompts[d.prompt_id].iteration == d.iteration for d in decisions)


def test_a_turn_is_credited_with_what_is_known_of_its_champions_now_per_call_of_its_own(home: Path):
    result = run(members="random+demos", chooser="round-robin", calls=900)
    turns, _, _, records = left(home, result.run_id)
    events = [json.loads(line) for line in (home / "runs" / result.run_id / "events.jsonl").read_text().splitlines()]
    over = [e for e in events if e["event"] == "turn_over"]
    assert [e["strategy"] for e in over] == [t.strategy for t in turns]
    first = min(t.step for t in turns)
    assert sum(e["calls"] for e in over) == sum(r.step >= first for r in records)
    scores: dict[str, dict[tuple[str, int], float]] = {}
    for r in records:
        if r.score is not None and r.prompt_id in {t.champion_id for t in turns} | {result.best.id}:
            scores.setdefault(r.prompt_id, {})[r.example_id, r.repeat] = r.score
    found = shrunken_estimates(scores)
    assert over[-1]["gain"] == pytest.approx(found[result.best.id].estimate - found[turns[-1].champion_id].estimate)


def test_one_that_knows_no_further_sits_out_and_the_run_ends_with_the_last(home: Path):
    limits: dict[str, Any] = {"demos.iterations": 1, "random.iterations": 2}
    result = run(members="demos+random", chooser="round-robin", calls=900, **limits)
    turns, *_ = left(home, result.run_id)
    assert [t.strategy for t in turns] == ["demos", "random", "random"]
    assert result.stop == "no member has a turn left"


def test_every_strategy_but_itself_is_a_node_of_its_graph():
    nodes = strategy(NAME).build().get_graph().nodes
    assert set(nodes) == {"__start__", "__end__", "choose", "credit", *STRATEGIES} - {NAME}
