"""Whatever data, models and names say is printed as it is: no markup, nothing that steers the terminal, no crash."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from sage_spo.graphs.run_settings import RunSettings
from sage_spo.jobs.cli import main
from sage_spo.jobs.evaluation_result import Evaluation, Failure, LabelScore
from sage_spo.jobs.evaluation_screen import evaluation_screen
from sage_spo.jobs.exits import ended
from sage_spo.jobs.output import print_json, printable
from sage_spo.jobs.preflight_result import Preflight, Twins
from sage_spo.jobs.preflight_screen import preflight_screen
from sage_spo.jobs.progress import Counting, Progress
from sage_spo.jobs.result_screen import result_screen
from sage_spo.jobs.run_pages import course_table, runs_table, unfinished_page
from sage_spo.jobs.so_far import BestSoFar
from sage_spo.jobs.story import chapters
from sage_spo.jobs.story_page import story_page
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.traces.result import Case, PromptContent, Result
from sage_spo.traces.rows import CodeRun, Decision, Hypothesis, Run, Spending, StoredPrompt
from sage_spo.traces.store import RunStore

EVIL = "[/] [bold]x :bell: \x1b[31mred\x1b[0m\x1b]0;t\x07\x1b[2J\x9b1A\r\u202e\u2066\u200b"
SAID = "[/] [bold]x :bell:"
RUN = "2a65bc2d-0000-4000-8000-000000000000"
PROMPT = PromptContent(
    id="p", components={"system": EVIL, EVIL: EVIL}, demos=[{"input": EVIL, "output": EVIL}], origin=EVIL
)
SPEND: dict[str, Any] = {"limits": {}, "spent": {}, "by_role": {}}
PLAN = {
    "sizes": {"search": 5, "holdout": 5, "test": 5, "preserve": 0},
    "certification": 10,
    "race": 5,
    "search": 100,
    "smallest_gain": 0.2,
    "alpha": 0.03,
    "notes": [EVIL],
}
LOOK = {"n": 4, "score": 0.5, "missing": 0, "flip_rate": 0, "decoding": EVIL, "suspicious": [EVIL], "headroom": 0.5}


def result(best: PromptContent) -> Result:
    case = Case(example_id=EVIL, input=EVIL, expected=EVIL, before=EVIL, after=EVIL)
    return Result(
        run_id=RUN,
        alias=EVIL,
        task=EVIL,
        strategy="random",
        target=EVIL,
        agent=EVIL,
        seed=0,
        verdict="improved",
        sentence=EVIL,
        prompt=best,
        best=best,
        seed_prompt=PromptContent(id="s", components={"system": "s", EVIL: ""}),
        gain=0.1,
        low=0.0,
        high=0.2,
        p=0.01,
        alpha=0.05,
        seed_score=0.1,
        best_score=0.2,
        method=EVIL,
        fixed_case=case,
        broken_case=case,
        decoding=EVIL,
        stop=EVIL,
        spend=SPEND,
        notes=[EVIL],
    )


def evaluation() -> Evaluation:
    return Evaluation(
        run_id=RUN,
        task=EVIL,
        split="holdout",
        target=EVIL,
        metric=EVIL,
        prompt=PROMPT,
        score=0.5,
        low=0.4,
        high=0.6,
        n=2,
        missing=0,
        failed=1,
        by_label=[LabelScore(label=EVIL, n=1, score=0.5, low=0, high=1, predicted=1)],
        failures=[Failure(example_id=EVIL, split="search", input=EVIL, expected=EVIL, output=EVIL, score=0)],
        decoding=EVIL,
        spend=SPEND,
        notes=[EVIL],
    )


def preflight() -> Preflight:
    twins = Twins(
        first=EVIL,
        first_split="search",
        first_input=EVIL,
        second=EVIL,
        second_split="test",
        second_input=EVIL,
        overlap=1.0,
    )
    return Preflight(
        task=EVIL,
        metric=EVIL,
        target="local",
        agent=None,
        budget={},
        label_counts={EVIL: 3},
        seed_prompt={"system": EVIL, EVIL: EVIL},
        plan=PLAN,
        most_usd=0.0,
        cost_unlimited=False,
        test_uses=0,
        near_duplicates=[twins],
        near_duplicate_count=1,
        look=LOOK,
    )


STORED = Run(RUN, EVIL, EVIL, "random", {}, status="failed", error=EVIL)
DECISIONS = [
    Decision(RUN, 1, 0, "p", "s", "accepted", EVIL, {}),
    Decision(RUN, 1, 1, "q", "s", "not measured", EVIL, {}),
]
PROMPTS = {"p": StoredPrompt(RUN, "p", 1, {}, origin=EVIL)}
EDITS = ({"operation": "add", "old": EVIL, "text": EVIL},)
SUPPORT = {
    "n": 2,
    "failures": 1,
    "other_n": 2,
    "other_failures": 1,
    "tested": "confirmed",
    "share": EVIL,
    "effect": EVIL,
}
SUPPOSED = Hypothesis(
    RUN, 1, 0, "diagnostician", EVIL, EVIL, EVIL, EVIL, (), "direction", EVIL, {**SUPPORT, "outcome": EVIL}, edits=EDITS
)
CODE = CodeRun(RUN, 1, 101, "diagnostician 1, " + EVIL, EVIL, EVIL, ({"id": EVIL, "text": EVIL},), EVIL, 0.1)
SPENDING = Spending("target", 1, 1, 0, 0, 1, 1, 0.0)


@pytest.mark.parametrize("markup", [False, True])
@pytest.mark.parametrize(
    "screen",
    [
        result_screen(result(PROMPT)),
        result_screen(result(PromptContent(id="s", components={"system": EVIL}))),
        evaluation_screen(evaluation()),
        preflight_screen(preflight()),
        runs_table([STORED]),
        unfinished_page(STORED, [SPENDING], DECISIONS, BestSoFar(prompt=PROMPT, estimate=0.7, seed_estimate=0.5, n=9)),
        course_table(DECISIONS, PROMPTS),
        story_page(chapters([SUPPOSED], [CODE], DECISIONS, PROMPTS), "x", everything=True),
    ],
    ids=["result", "unchanged", "evaluation", "preflight", "runs", "unfinished", "course", "story"],
)
def test_screens_print_it_literally(screen: RenderableType, markup: bool) -> None:
    out = io.StringIO()
    Console(file=out, width=200, markup=markup, highlight=False).print(screen)
    text = out.getvalue()
    assert SAID in text
    assert text == printable(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_prints_it_literally(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=400, force_terminal=terminal, color_system=None)
    settings = RunSettings(task=EVIL)
    with Progress(out=console) as progress:
        progress(
            "created", {"run_id": RUN, "alias": EVIL, "settings": settings, "task": replace(make_task(), name=EVIL)}
        )
        progress("plan", PLAN)
        progress("first_look", LOOK)
        progress("proposed", {"iteration": 1, "candidates": [{"id": "x", "origin": EVIL}]})
        verdict = {"iteration": 1, "origin": EVIL, "outcome": "not better", "reason": EVIL, "stats": {}}
        progress("verdict", verdict)
        progress("call_failed", {"message": EVIL})
        direction = {"claim": EVIL, "source": EVIL, "believed": "confirmed", "n": 9, "rate": 0.5, "other_rate": 0.1}
        progress("code", {"iteration": 1, "purpose": EVIL, "error": EVIL, "seconds": 0.1})
        progress("findings", {"iteration": 1, "directions": [direction]})
        progress("edit_dropped", {"iteration": 1, "edit": EVIL, "reason": EVIL, "claim": EVIL})
        progress("edits_tried", {"iteration": 1, "edits": [{"text": EVIL, "kept": True, "words": EVIL}]})
        progress("edit_dropped", {"iteration": 1, "edit": EVIL, "reason": EVIL, "claim": EVIL})
        progress("candidate_rejected", {"iteration": 1, "origin": EVIL, "reason": EVIL})
        progress("proposed", {"iteration": 1, "candidates": []})
    with Counting(console) as counting:
        counting("call_failed", {"message": EVIL})
    lines = out.getvalue()
    assert lines.count(SAID) >= 13
    for character in ("\x07", "\x9b", "\u202e", "\u2066", "\x1b[31m", "\x1b[2J", "\x1b]"):
        assert character not in lines
    if not terminal:
        assert lines.replace("\n", "") == printable(lines).replace("\n", "")


def test_json_holds_every_character_and_prints_none_that_steers(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": EVIL + "ä"})
    text = capsys.readouterr().out
    assert text == printable(text)
    assert json.loads(text)["text"] == EVIL + "ä"


def test_half_a_character_is_printed_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: print_json({"text": "\ud83d"})) == 0
    assert json.loads(capsys.readouterr().out) == {"text": "\ud83d"}


def test_a_prompt_is_printed_whole_into_a_file_and_cleaned_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = PromptContent(id="p", components={"system": f"a {EVIL} b"})

    async def stored() -> None:
        store = await RunStore.open(installation().home)
        await store.create_run(replace(STORED, status="finished", result=result(only).model_dump(mode="json")))
        await store.close()

    asyncio.run(stored())
    assert main(["show", RUN, "--prompt"]) == 0
    assert capsys.readouterr().out == f"a {EVIL} b\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["show", RUN, "--prompt"]) == 0
    cleaned = capsys.readouterr().out
    assert SAID in cleaned
    assert cleaned == printable(cleaned)
