"""The validator on prompts whose accuracy is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sage_spo.agents.operators import demo_of
from sage_spo.agents.validator import ValidationRules, Validator, bold
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Evaluator, Job
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.evaluation.panels import Panels
from sage_spo.models.retry import RetryPolicy
from sage_spo.seeding import digest
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.store import RunStore

TASK = make_task()
SEED = TASK.seed_prompt
BETTER = SEED.edited(text=f"{SEED.system} Answer with one word.", origin="better")
BEST = BETTER.edited(demos=[demo_of(e) for e in TASK.search[-3:]], origin="best")
SAME = SEED.edited(text=f"{SEED.system} Thank you.", origin="same")


@pytest.fixture
async def store(home: Path) -> AsyncIterator[RunStore]:
    opened = await RunStore.open(home)
    yield opened
    await opened.close()


def validator(store: RunStore, *, calls: int = 10_000, task=TASK, target=answer, **rules) -> Validator:
    paid = PaidCalls("run", store, Ledger(Budget(target_calls=calls)), RetryPolicy(attempts=1), seed=0)
    return Validator(Evaluator(task, make_target(target, task), paid), Panels.draw(task, 0), ValidationRules(**rules))


async def test_the_best_of_the_candidates_becomes_champion(store: RunStore):
    outcome = await validator(store).validate(SEED, [SAME, BETTER, BEST])
    assert outcome.champion == BEST
    verdicts = {v.prompt_id: v for v in outcome.verdicts}
    assert verdicts[BEST.id].outcome == "accepted"
    assert verdicts[SAME.id].outcome == "screened out"
    assert [v.prompt_id for v in outcome.verdicts] == [SAME.id, BETTER.id, BEST.id]


async def test_a_candidate_that_changes_nothing_is_never_accepted(store: RunStore):
    outcome = await validator(store).validate(SEED, [SAME])
    assert outcome.champion == SEED


async def test_threshold_asks_how_good_the_champion_is_on_the_search_split_alone(store: RunStore):
    easy = tuple(Example(id=f"easy {i}", input="red", expected="red") for i in range(200))
    judge = validator(store, task=replace(TASK, preserve=easy), target=always_right_on("red"), accept="threshold",
                      least_gain=0.3, screen=False, holdout=0, block=1000, max_race=1000)  # fmt: skip
    judge = replace(judge, rules=judge.rules.fitted(len(TASK.search)))
    await judge.evaluator.measure(Job(SEED, easy, "preserve"))
    outcome = await judge.validate(SEED, [BETTER])
    assert outcome.verdicts[0].outcome == "not better"


def always_right_on(word: str):
    def target(messages: list[Message], example: Example) -> str:
        return word if example.input == word else answer(messages, example)

    return target


async def test_a_worse_candidate_falls_out_early(store: RunStore):
    judge = validator(store)
    outcome = await judge.validate(BEST, [SEED])
    assert outcome.champion == BEST
    assert judge.evaluator.calls.ledger.spent("target_calls") <= 2 * 24


async def test_an_example_that_is_a_demo_of_either_prompt_is_left_out_of_both_sides(store: RunStore):
    judge = validator(store)
    await judge.validate(SEED, [BEST])
    measured = {r.example_id for r in judge.evaluator.records(BEST.id, "search")}
    assert measured.isdisjoint(demo.example_id for demo in BEST.demos)


async def test_what_a_candidates_writer_was_shown_is_raced_on_last_and_reported(store: RunStore):
    judge = validator(store, clearly_better=0.99999, drop_below=0.0)
    track = [e.id for e in judge.panels.track(1)]
    informed = BETTER.model_copy(update={"shown": tuple(track[:8])})
    outcome = await judge.validate(SEED, [informed])
    measured = {r.example_id for r in judge.evaluator.records(informed.id, "search")}
    assert len(measured) >= 24 + judge.rules.block
    assert outcome.verdicts[0].stats["reused"] == len(measured & set(track[:8]))
    if len(measured) < 24 + len(track):
        assert measured.isdisjoint(track[:8])


async def test_what_breaks_the_preserve_set_is_rejected_though_it_gains(store: RunStore):
    general = tuple(Example(f"g{i}", f"general question {i}", "red") for i in range(60))
    task = replace(TASK, preserve=general)

    def forgetful(messages: list[Message], example: Example) -> str:
        if example.id.startswith("g"):
            return "blue" if "Answer with" in messages[0]["content"] else "red"
        return answer(messages, example)

    outcome = await validator(store, task=task, target=forgetful).validate(SEED, [BETTER])
    assert outcome.champion == SEED
    assert outcome.verdicts[0].outcome == "breaks too much"


async def test_too_many_missing_answers_make_it_inconclusive_never_accepted(store: RunStore):
    def fragile(messages: list[Message], example: Example) -> str:
        if "Answer with" in messages[0]["content"] and int(example.id[1:]) % 4 == 0:
            raise RuntimeError("down")
        return answer(messages, example)

    outcome = await validator(store, target=fragile).validate(SEED, [BETTER])
    assert outcome.champion == SEED
    assert outcome.verdicts[0].outcome == "inconclusive"


async def test_without_room_for_a_race_nothing_is_spent(store: RunStore):
    judge = validator(store, calls=100)
    outcome = await judge.validate(SEED, [BETTER, BEST])
    assert outcome.budget_spent
    assert judge.evaluator.calls.ledger.spent("target_calls") == 0


async def test_significant_asks_for_more_than_likely(store: RunStore):
    slight = SEED.edited(text=f"{SEED.system} Reply with a colour.", origin="slight")

    def target(messages: list[Message], example: Example) -> str:
        flipped = "Reply with" in messages[0]["content"] and int(example.id[1:]) % 12 == 0
        return example.label if flipped else answer([{"role": "system", "content": ""}], example)

    likely = await validator(store, target=target).validate(SEED, [slight])
    strict = await validator(store, target=target, accept="significant").validate(SEED, [slight])
    assert likely.champion == slight
    assert strict.champion == SEED


def test_a_panel_shows_every_label_alike_and_leaves_most_examples_to_the_race():
    panels = Panels.draw(TASK, seed=1)
    labels = [e.label for e in panels.panel(1)]
    assert {labels.count(label) for label in set(labels)} == {8}
    assert len(panels.panel(1)) + len(panels.track(1)) == len(TASK.search)
    assert {e.id for e in panels.panel(1)}.isdisjoint(e.id for e in panels.demo_pool)
    assert panels.panel(1) != panels.panel(2)
    assert Panels.draw(TASK, seed=2) != panels


async def test_without_a_screen_every_candidate_races(store: RunStore):
    judge = validator(store, screen=False, finalists=1)
    outcome = await judge.validate(SEED, [SAME, BETTER, BEST])
    assert outcome.champion == BEST
    assert all(v.stats["race"]["n"] > 0 for v in outcome.verdicts)
    assert "screened out" not in {v.outcome for v in outcome.verdicts}


async def test_a_candidate_most_of_whose_answers_are_missing_is_not_accepted_on_the_others(store: RunStore):
    def fragile(messages: list[dict[str, str]], example: Example) -> str:
        if "one word" in messages[0]["content"] and int(digest(example.id)[:6], 16) % 5:
            raise RuntimeError("out of order")
        return answer(messages, example)

    whole = {"screen": False, "accept": "argmax", "block": 1000, "max_race": 1000, "holdout": 0}
    outcome = await validator(store, target=fragile, **whole).validate(SEED, [BEST])
    assert [v.outcome for v in outcome.verdicts] == ["inconclusive"]
    assert "are missing" in outcome.verdicts[0].reason
    assert outcome.champion == SEED


LONGER = SAME
"""As good as the seed prompt, which is shorter."""


@pytest.mark.parametrize(
    ("champion", "candidate", "shorter", "accepted"),
    [
        (LONGER, SEED, 0.35, True),
        (LONGER, SEED, None, False),  # without the rule it has to be better
        (SEED, LONGER, 0.35, False),  # a longer one too
        (LONGER, SEED, 0.6, False),
        (BETTER, SEED, 0.35, False),  # it is worse
    ],
)
async def test_a_shorter_prompt_need_not_be_better_where_the_rules_say_so(
    store: RunStore, champion: Prompt, candidate: Prompt, shorter: float | None, accepted: bool
):
    judge = validator(store, shorter=shorter, screen=False, drop_below=0.1, max_race=48)
    [verdict] = (await judge.validate(champion, [candidate])).verdicts
    assert verdict.accepted is accepted
    assert verdict.outcome == ("accepted" if accepted else "not better")


def test_one_whose_edits_were_tried_one_by_one_may_be_shorter_and_about_as_good():
    rules = ValidationRules()
    assert rules.shorter is None
    assert bold(rules).shorter is not None
    assert (bold(rules).shorter or 1.0) < bold(rules).confidence < rules.confidence
    significant = ValidationRules(accept="significant")
    assert bold(significant) == significant


async def test_what_is_raced_on_the_holdout_split_is_kept_as_of_that_split(store: RunStore):
    judge = validator(store, holdout=0)
    await judge.validate(SEED, [BETTER], track=TASK.holdout, split="holdout")
    for prompt in (SEED, BETTER):
        assert judge.evaluator.records(prompt.id, "holdout")
        assert judge.evaluator.records(prompt.id, "search") == []
