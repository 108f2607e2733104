"""What can be said before the first call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sage_spo.errors import BudgetTooSmall
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.panels import Panels
from sage_spo.evaluation.preflight import plan
from sage_spo.tasks.target import Request
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.landscape import answer, make_task

TASK = make_task()
LEAST = 2 * 90 + (48 + 8) + 2 * (24 + 24 + 36)


def planned(task=TASK, **limits: float):
    target = make_target(answer, task)
    rules = {"certify": True, "alpha": 0.03, "block": 24, "holdout": 36, "max_regression": 0.05}
    return plan(task, target, Budget.parse(limits), Panels.draw(task, 0), **rules)


def test_the_least_budget_pays_the_proof_the_first_look_and_one_race():
    assert planned(target_calls=LEAST).search == LEAST - 180
    with pytest.raises(BudgetTooSmall, match=f"at least {LEAST}"):
        planned(target_calls=LEAST - 1)


def test_tokens_are_held_to_the_same_least():
    request = make_target(answer, TASK).request(TASK.seed_prompt, TASK.search[0])
    assert isinstance(request, Request)
    with pytest.raises(BudgetTooSmall, match="tokens=1000 "):
        planned(tokens=1000)
    assert planned(tokens=LEAST * 400).certification == 180


def test_a_preserve_set_too_small_to_pass_is_announced():
    note = planned(replace(TASK, preserve=TASK.search[:10]), target_calls=5000).notes
    assert any("preserve has 10 examples" in text for text in note)


def test_a_test_split_too_small_to_certify_much_is_announced():
    few = make_task((60, 20, 12))
    assert any("12 test examples certify" in text for text in planned(few, target_calls=5000).notes)
