"""The end of a run on a screen of 80 columns without colour."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from sage_spo.jobs.result_screen import cost_words, result_screen
from sage_spo.traces.result import Case, PromptContent, Result

SEED = PromptContent(id="seed", components={"system": "Classify the review as one of: {labels}."})
BEST = PromptContent(
    id="best",
    components={"system": "Classify the review as one of: {labels}. Answer with one word."},
    demos=[{"input": "An evening wasted on " + "very " * 40 + "little", "output": "negative"}],
)
SPEND = {
    "limits": {"target_calls": 1200},
    "spent": {"target_calls": 1196, "agent_calls": 0, "tokens": 98310, "usd": 0.0, "minutes": 3.94},
    "by_role": {
        "target": {"calls": 956, "cached": 12, "missing": 3},
        "certification": {"calls": 240, "cached": 0, "missing": 0},
    },
}


def result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "run_id": "2a65bc2d-0000-4000-8000-000000000000",
        "task": "reviews",
        "strategy": "random",
        "target": "local",
        "seed": 0,
        "verdict": "improved",
        "sentence": "Improved, and proven: 0.59 → 0.73 on 120 untouched examples (+0.14, p = 0.003).",
        "prompt": BEST,
        "best": BEST,
        "seed_prompt": SEED,
        "gain": 0.14,
        "low": 0.05,
        "high": 0.24,
        "p": 0.003,
        "alpha": 0.03,
        "seed_score": 0.59,
        "best_score": 0.73,
        "n": 120,
        "fixed": ["a", "b", "c"],
        "broken": ["d"],
        "fixed_case": Case(
            example_id="a", input="Not bad at all", expected="positive", before="negative", after="positive"
        ),
        "broken_case": Case(
            example_id="d", input="[red]Fine[/red]\x1b[31m", expected="negative", before="negative", after=""
        ),
        "estimate": 0.75,
        "iterations": 9,
        "candidates": 54,
        "accepted": 4,
        "stop": "the budget is spent",
        "spend": SPEND,
        "notes": ["This was use 2 of this test split; each use weakens what it can prove."],
    }
    return Result(**{**values, **changes})


def shown(renderable: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(renderable)
    return out.getvalue()


def test_it_says_everything_a_person_needs() -> None:
    text = shown(result_screen(result()))
    for part in (
        "Improved, and proven",
        "- Classify the review as one of: {labels}.",
        "Answer with one word.",
        "1 worked example",
        "+0.14",
        "95 % interval +0.05 to +0.24",
        "0.003",
        "“Not bad at all” (expected positive): negative → positive",
        "9 iterations, 54 candidates, 4 accepted",
        "1,196 of 1,200 target calls (12 from the cache, 3 failed)",
        "98,310 tokens, $0, 3.9 minutes",
        "sage-spo show 2a65bc2d --prompt > prompt.md",
        "use 2 of this test split",
    ):
        assert part in " ".join(text.split()), part


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    long = PromptContent(id="x", components={"system": "word " * 100 + "\n" + "x" * 300})
    text = shown(result_screen(result(best=long, prompt=long)), width)
    assert max(map(len, text.splitlines())) <= width


def test_what_models_and_data_say_neither_steers_the_terminal_nor_is_taken_for_markup() -> None:
    text = shown(result_screen(result()))
    assert "\x1b" not in text
    assert "“[red]Fine[/red]” (expected negative): negative → (nothing)" in text


def test_an_unproven_candidate_is_not_offered_as_the_prompt() -> None:
    text = shown(result_screen(result(verdict="not certified", prompt=SEED)))
    assert "not to be used" in text


def test_without_a_better_prompt_the_seed_is_shown_and_no_evidence() -> None:
    none = dict.fromkeys(("gain", "low", "high", "p", "alpha", "seed_score", "best_score", "fixed_case", "broken_case"))
    text = shown(result_screen(result(verdict="unchanged", prompt=SEED, best=SEED, **none)))
    assert "the seed, unchanged" in text
    assert "95 % interval" not in text


def test_cost_in_words() -> None:
    priced = {**SPEND, "limits": {}, "spent": {**SPEND["spent"], "usd": 0.0123, "agent_calls": 7}}
    assert cost_words(priced, "openai:x").startswith("1,196 target calls (12 from the cache, 3 failed), 7 agent calls")
    assert "$0.0123" in cost_words(priced, "openai:x")
    assert "price unknown" in cost_words(SPEND, "openai:x")
