"""The story of a diagnosis, from the rows that a run left."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sage_spo.jobs.claim_words import STANDARD
from sage_spo.jobs.cli import main
from sage_spo.jobs.story import belief_words, chapters, effect_words, found_line
from sage_spo.jobs.story_page import CODE_LINES, PRINTED_LINES, story_page
from sage_spo.settings import settings as installation
from sage_spo.tests.unit.jobs.test_result_screen import result, shown
from sage_spo.traces.rows import LEFT_OUT, CodeRun, Decision, Hypothesis, Run, StoredPrompt
from sage_spo.traces.store import RunStore

RUN = "2a65bc2d-0000-4000-8000-000000000000"
EFFECT = (
    "matched n=4 change +0.50 (fixed 2, broken 0); unmatched n=20 change +0.15 (fixed 3, broken 0); "
    "difference +0.35 ± 0.30"
)
FRESH = {"n": 25, "failures": 25, "other_n": 75, "other_failures": 49}
COUNTS = {"n": 58, "failures": 46, "other_n": 100, "other_failures": 54, "confirmation": FRESH, "tested": "confirmed"}
CALLS = "channel=phone: fails more often than the others"


def edit(text: str, operation: str = "add", old: str = "") -> dict[str, str]:
    return {"operation": operation, "old": old, "text": text}


def hypothesis(index: int = 0, iteration: int = 1, *, support: dict[str, Any] | None = None, **more: Any) -> Hypothesis:
    fields: dict[str, Any] = {
        "source": STANDARD,
        "claim": CALLS,
        "predicate": "records['channel'].eq('phone')",
        "effect": "",
        "fix": "",
        "findings": (),
        "status": "direction",
        "matched": (f"e{index}",),
        "edits": (edit("Answer with one word."),),
    }
    share = "together fixed 5 of 13; left out, 3 of 4 fail again"
    worth = {"share": share, "earned": True, "effect": EFFECT, "outcome": "accepted", "candidate": "best"}
    return Hypothesis(RUN, iteration, index, **{**fields, **more}, support=COUNTS | worth | (support or {}))


def ran(code: str = "emit('x', 1)", stdout: str = "", index: int = 101, **more: Any) -> CodeRun:
    findings = more.pop("findings", ({"id": "F13", "name": "x", "note": "", "text": "F13: x\nphone: n=50"},))
    purpose = more.pop("purpose", "diagnostician 1, step 1")
    return CodeRun(RUN, 1, index, purpose, code, stdout, findings, more.pop("error", None), 0.1)


def decision(iteration: int = 1, verdict: str = "accepted", prompt: str = "best", index: int = 0) -> Decision:
    return Decision(RUN, iteration, index, prompt, "seed", verdict, "fixed 13, broke 3 of 60", {})


PROMPTS = {
    "seed": StoredPrompt(RUN, "seed", 0, {}),
    "best": StoredPrompt(RUN, "best", 1, {}, parents=("seed",), origin="2 edits for 2 directions"),
}


def told(*rows: Hypothesis | CodeRun | Decision, everything: bool = False) -> str:
    story = chapters(
        [r for r in rows if isinstance(r, Hypothesis)],
        [r for r in rows if isinstance(r, CodeRun)],
        [r for r in rows if isinstance(r, Decision)],
        PROMPTS,
    )
    return shown(story_page(story, "mine", everything=everything), 200)


def test_an_accepted_iteration_is_told_from_finding_to_verdict() -> None:
    lines = [line.strip() for line in told(hypothesis(), decision()).splitlines()]
    assert lines[1:7] == [
        'Iteration 1 · "2 edits for 2 directions" accepted: fixed 13, broke 3 of 60',
        "1. inputs with channel = phone",
        "58 match: 46 fail (79 %), others 54 % · confirmed: of the examples kept back 25 of 25 fail, others 49 of 75",
        "found by the standard analyses",
        'kept: "Answer with one word." (together fixed 5 of 13; left out, 3 of 4 fail again)',
        "its candidate, accepted: score +0.50 on 4 of these, +0.15 on 20 others (difference +0.35 ± 0.30)",
    ]
    assert "sage-spo show mine --story" in lines[-1]


def test_an_agents_code_and_what_it_printed_are_shown_cut_to_a_few_lines() -> None:
    h = hypothesis(source="diagnostician", claim="Calls fail.", findings=("F13",))
    code = "\n".join(f"if {i}:\n    print({i})" for i in range(20))
    other = ran("never_shown()", index=201, purpose="diagnostician 2, step 1")
    text = told(h, ran(code, "\n".join(f"said {i}" for i in range(30))), other, decision())
    assert "“Calls fail”" in text
    assert "found by diagnostician 1, by code of its own:" in text
    assert ">     print(0)" in text  # indentation is kept
    assert text.count("> ") == CODE_LINES
    assert text.count("= said") == PRINTED_LINES
    assert "… 25 more lines" in text
    assert "never_shown" not in text


def test_what_code_emitted_counts_as_printed_and_an_error_is_told() -> None:
    h = hypothesis(source="diagnostician", claim="Calls fail.", findings=("F13",))
    text = told(h, ran(error="NameError: x (line 3)"), decision())
    assert "= phone: n=50" in text
    assert "error: NameError: x (line 3)" in text


def test_code_that_several_findings_rest_on_is_printed_once() -> None:
    pair = [hypothesis(i, source="diagnostician", claim=f"Claim {i}.", findings=("F13",)) for i in range(2)]
    text = told(*pair, ran("only_once()"), decision())
    assert text.count("only_once()") == 1
    assert "(the code of diagnostician 1, step 1, as above)" in text


def test_hypotheses_about_the_same_examples_are_one_finding_with_all_edits() -> None:
    idle = {"share": "together fixed 5 of 13; left out, 0 of 4 fail again", "earned": False, "outcome": None}
    again = hypothesis(
        1, source="diagnostician 3", claim="Calls.", matched=("e0",), edits=(edit("Say one word."),), support=idle
    )
    text = told(again, hypothesis(), decision())
    assert "1. inputs with channel = phone" in text
    assert "2. " not in text
    assert "found by the standard analyses and by diagnostician 3, reading failures" in text
    assert text.index('kept: "Answer with one word."') < text.index('left out: "Say one word."')


def test_of_two_findings_with_one_edit_both_are_told_and_the_stronger_speaks() -> None:
    reason = "its edit says what another edit says"
    share = "Answer with one word."
    strong = hypothesis(
        1, claim="plan=pro: fails more often than the others", edits=(), fix=share, reason=reason,
        support={"failures": 58, "share": "", "effect": "", "outcome": None, "candidate": None},
    )  # fmt: skip
    text = told(hypothesis(), strong, decision())
    assert text.index("1. inputs with plan = pro") < text.index("2. inputs with channel = phone")
    assert found_line(result(), [hypothesis(), strong], PROMPTS).startswith("inputs with plan = pro always fail")


def test_what_was_dropped_is_counted_and_told_in_a_line_each_on_demand() -> None:
    reason = "not confirmed where nobody looked (q = 0.96)"
    gone = [
        hypothesis(i, status="dropped", reason=reason, edits=(), support={"tested": "dropped"}) for i in range(1, 9)
    ]
    unusable = hypothesis(9, status="dropped", reason="its predicate is empty", support={"n": 0, "tested": "dropped"})
    spare = hypothesis(10, status="spare", edits=())
    assert "other hypotheses: 8 refuted, 1 unusable, 1 held, but another came first" in told(
        hypothesis(), *gone, unusable, spare, decision()
    )
    text = told(hypothesis(), *gone, decision(), everything=True)
    line = "dropped: inputs with channel = phone — 58 match: 46 fail (79 %), others 54 %; refuted: not confirmed where"
    assert text.count(line) == 5
    assert "other hypotheses: 3 more refuted" in text


def test_an_iteration_without_success_is_brief_until_all_is_asked_for() -> None:
    rows = [hypothesis(i, iteration=3, support={"outcome": "not better"}) for i in range(4)]
    lines = told(*rows, decision(3, "not better")).splitlines()
    assert lines[1] == "Iteration 3 · not better: fixed 13, broke 3 of 60"
    assert lines[2].strip() == "looked into: inputs with channel = phone; inputs with channel = phone; and 2 more"
    assert told(*rows, decision(3, "not better"), everything=True).count("58 match") == 4


def test_only_the_strongest_findings_of_an_iteration_are_told_unless_all_are_asked_for() -> None:
    rows = [hypothesis(i, support={"failures": 40 + i}) for i in range(6)]
    text = told(*rows, decision())
    assert text.count("58 match") == 3
    assert "58 match: 45 fail" in text
    assert "and 3 more findings with an edit that was kept" in text
    assert told(*rows, decision(), everything=True).count("58 match") == 6


def test_an_acceptance_that_no_finding_led_to_is_said_so() -> None:
    loose = hypothesis(support={"outcome": "screened out"}, edits=(edit("8 demos", "candidate", "other"),))
    assert "no finding led to it" in told(loose, decision())


def test_belief_is_confirmed_too_few_to_tell_or_refuted() -> None:
    assert belief_words(hypothesis()).startswith("confirmed: of the examples kept back 25 of 25 fail")
    assert belief_words(hypothesis(support={"tested": "unsettled"})).startswith("too few to tell: of the examples")
    untested = hypothesis(predicate="", support={"tested": "unsettled", "confirmation": {}})
    assert belief_words(untested) == "believed untested: no code may run"


def test_an_effect_without_examples_on_one_side_claims_nothing() -> None:
    others = "unmatched n=24 change +0.21 (fixed 5, broken 0); difference -0.21"
    bare = f"matched n=0 change +0.00 (fixed 0, broken 0); {others}"
    assert effect_words({"effect": bare}) == "the race held none of these examples"


def test_the_finding_behind_the_prompt_in_one_line() -> None:
    weaker = hypothesis(1, claim="plan=pro: fails more often than the others", support={"failures": 40})
    gone = hypothesis(2, edits=(edit("Not in the prompt any more."),), support={"failures": 58})
    assert found_line(result(), [weaker, hypothesis(), gone], PROMPTS) == (
        'inputs with channel = phone fail 79 % (58 examples); fixed by: "Answer with one word."'
    )
    unproven = found_line(result(verdict="not certified"), [hypothesis()], PROMPTS)
    assert 'tried against it: "Answer with one word."' in unproven
    assert found_line(result(), [hypothesis(support={"candidate": "elsewhere"})], PROMPTS) == ""
    assert found_line(result(), [], PROMPTS) == ""


def test_show_tells_the_story_and_gives_all_of_it_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    async def stored() -> None:
        async with await RunStore.open(installation().home) as store:
            outcome = result().model_dump(mode="json")
            await store.create_run(Run(RUN, "mine", "reviews", "sage", {}, status="finished", result=outcome))
            for row in (hypothesis(), ran(), decision(), *PROMPTS.values()):
                store.add(row)
            await store.flush()

    asyncio.run(stored())
    assert main(["show", "mine"]) == 0
    text = capsys.readouterr().out
    assert "Found     inputs with channel = phone fail 79 % (58 examples); fixed by:" in text
    parts = ("Improved, and proven", "What was found, and what was done about it", "Course of the search")
    assert sorted(parts, key=text.index) == list(parts)
    assert main(["show", "mine", "--json"]) == 0
    shown_as = json.loads(capsys.readouterr().out)
    [h], [run] = shown_as["hypotheses"], shown_as["code_runs"]
    assert h["claim"] == CALLS
    assert h["support"]["confirmation"] == FRESH
    assert h["edits"] == [edit("Answer with one word.")]
    assert run["code"] == "emit('x', 1)"
    assert run["findings"][0]["id"] == "F13"


def test_a_sentence_that_was_left_out_is_no_cause_that_is_told():
    alone = told(hypothesis())
    rows = [
        hypothesis(10_000, source=LEFT_OUT, status="dropped", reason="left out, 0 of 4 fail again", edits=()),
        hypothesis(10_001, source=LEFT_OUT, status="spare", edits=()),
    ]
    assert told(hypothesis(), *rows) == alone
    assert "other hypotheses" not in told(hypothesis(), *rows, everything=True)
