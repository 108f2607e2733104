"""The search told in plain lines."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from sage_spo.graphs.run_settings import RunSettings
from sage_spo.jobs.progress import Progress, Spent
from sage_spo.tests.fakes.landscape import make_task

PLAN = {
    "sizes": {"search": 120, "holdout": 60, "test": 90, "preserve": 0},
    "certification": 180,
    "search": 1020,
    "smallest_gain": 0.15,
    "alpha": 0.03,
    "notes": ["Two examples are alike."],
    "provider": "local",
}


def told(*events: tuple[str, dict[str, Any]], terminal: bool = False, **settings: Any) -> list[str]:
    out = io.StringIO()
    chosen = RunSettings(task="colours", **settings)
    created = {"run_id": "2a65bc2d-1", "alias": None, "settings": chosen, "task": make_task()}
    with Progress(Spent(), out=Console(file=out, width=80, force_terminal=terminal, color_system=None)) as progress:
        for event, fields in (("created", created), *events):
            progress(event, fields)
    return out.getvalue().splitlines()


def verdict(outcome: str, fixed: int = 0, broken: int = 0, better: float = 0.5, origin: str = "8 fresh demos") -> Any:
    race = {"n": 72, "fixed": fixed, "broken": broken, "better": better}
    return "verdict", {
        "iteration": 2,
        "origin": origin,
        "outcome": outcome,
        "reason": "because",
        "stats": {"race": race} if fixed or broken else {},
    }


def test_a_run_begins_with_what_the_budget_buys_and_who_sees_the_examples() -> None:
    lines = told(("plan", PLAN))
    assert lines[0].startswith("run 2a65bc2d: colours · sage on local, the built-in playbook proposes")
    assert "budget: 1,200 target calls: 180 kept for the proof, 1,020 for the search" in lines
    assert "target: local; the examples do not leave this machine" in lines
    assert "mind: Two examples are alike." in lines


def test_the_provider_that_will_see_the_examples_is_named() -> None:
    assert "will be seen by api.openai.com" in told(("plan", PLAN), target="openai:gpt-4.1")[-1]
    there = told(("plan", PLAN), target="openai:x", base_url="http://gpu.example:8000/v1")
    assert "will be seen by gpu.example" in there[-1]
    here = told(("plan", PLAN), target="openai:x", base_url="http://localhost:8000/v1")
    assert "do not leave this machine" in here[-1]
    agent = told(("plan", PLAN), agent="openai:gpt-4.1")
    assert "will be seen by api.openai.com" in agent[-1]


def test_an_iteration_in_words() -> None:
    standing = {"number": 2, "champion": "x", "score": 0.71, "low": 0.63, "high": 0.78, "n": 108}
    lines = told(
        ("proposed", {"iteration": 2, "candidates": [{"id": "x", "origin": "8 fresh demos"}] * 6}),
        verdict("accepted", 14, 4, 0.99),
        verdict("not better", 3, 5, 0.21, "shorter"),
        verdict("screened out"),
        verdict("screened out"),
        ("iteration", standing),
    )
    assert lines[1:] == [
        'iteration 2 · "8 fresh demos": fixed 14, broke 4 of 72 → accepted (better with probability 0.99)',
        'iteration 2 · "shorter": fixed 3, broke 5 of 72 → rejected (better with probability 0.21)',
        "iteration 2 · best so far 0.71 (0.63 to 0.78 on 108 examples), 2 screened out",
    ]


def test_failed_calls_are_spelled_out_three_times_only() -> None:
    lines = told(*[("call_failed", {"message": f"gave up: {i}"}) for i in range(10)])
    assert len(lines) == 4
    assert lines[1] == "a call failed and counts as missing: gave up: 0"
    assert "only counted" in lines[3]


def test_the_first_look_says_what_is_doubtful() -> None:
    look = {"score": 0.4, "n": 48, "missing": 1, "flip_rate": 0.125, "headroom": 0.6}
    lines = told(("first_look", {**look, "suspicious": ["e1"], "decoding": "label scoring"}))
    assert "the seed scores 0.40 on 48 examples, 1 missing, answers by label scoring; 12% of" in lines[1]
    assert lines[2].startswith("mind: 1 expected answers look wrong to the model; check examples e1")


def test_an_event_nobody_knows_is_passed_over() -> None:
    assert len(told(("something_new", {}), ("call", {"role": "target", "usd": 0.0, "tokens": 5}))) == 1


def test_in_a_terminal_the_budget_left_the_best_and_what_is_tried_are_displayed() -> None:
    standing = {"number": 1, "champion": "x", "score": 0.71, "low": 0.63, "high": 0.78, "n": 108}
    call = ("call", {"role": "target", "usd": 0.0, "tokens": 5})
    proposed = ("proposed", {"iteration": 2, "candidates": [{"id": "x", "origin": "shorter"}]})
    text = "\n".join(told(("plan", PLAN), ("iteration", standing), proposed, *[call] * 200, terminal=True))
    assert "target calls left" in text
    assert "1,000 of 1,200" in text
    assert "best so far       0.71 (0.63 to 0.78 on 108 examples)" in text
    assert 'iteration 2 · 1 candidate: "shorter"' in text


def test_every_limit_is_displayed_with_what_is_left_of_it() -> None:
    call = ("call", {"role": "agent", "usd": 0.5, "tokens": 40})
    text = "\n".join(told(call, call, terminal=True, budget="agent_calls=10,tokens=1000,usd=2,minutes=30"))
    for line in ("agent calls left", "8 of 10", "tokens left", "920 of 1,000", "usd left", "1.00 of 2", "minutes left"):
        assert line in text
    assert "target calls left" not in text
