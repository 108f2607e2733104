"""A diagnosis as it is told while it runs, with and without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from sage_spo.jobs.claim_words import STANDARD
from sage_spo.tests.unit.jobs.test_progress import told, verdict

LONG = "n_words >= 36: fails more often than the others"


def direction(claim: str = LONG, source: str = STANDARD, believed: str = "confirmed", **counts: Any) -> dict[str, Any]:
    return {"claim": claim, "source": source, "believed": believed, "n": 58, "rate": 0.79, "other_rate": 0.54} | counts


def findings(*directions: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "findings", {"iteration": 2, "directions": list(directions)}


def tried(*kept: bool) -> tuple[str, dict[str, Any]]:
    edits = [{"text": f"Rule {i}.", "kept": one, "words": ""} for i, one in enumerate(kept)]
    return "edits_tried", {"iteration": 2, "edits": edits}


def dropped(reason: str = "says what was tried before") -> tuple[str, dict[str, Any]]:
    return "edit_dropped", {"iteration": 2, "edit": "x", "reason": reason, "claim": "y"}


def code(purpose: str, error: str | None = None) -> tuple[str, dict[str, Any]]:
    return "code", {"iteration": 2, "purpose": purpose, "error": error, "seconds": 0.1}


@pytest.mark.parametrize("terminal", [False, True])
def test_finding_then_edits_then_verdict(terminal: bool) -> None:
    lines = told(findings(direction()), tried(True, False, True), verdict("accepted", 14, 4, 0.99), terminal=terminal)
    text = " ".join(" ".join(lines).split())
    at = [
        text.index(part)
        for part in (
            "iteration 2 · inputs of 36 words or more fail 79 % against 54 % of the others (58 examples)",
            'iteration 2 · kept 2 of 3 edits: "Rule 0.", "Rule 2."',
            "fixed 14, broke 4 of 72 → accepted",
        )
    ]
    assert at == sorted(at)


def test_at_most_two_findings_the_surest_first_and_those_about_the_same_examples_once() -> None:
    lines = told(
        findings(
            direction("a: fails more often than the others", believed="unsettled", n=9),
            direction(),
            direction("The long ones fail.", "diagnostician"),
            direction("Calls fail.", "diagnostician 2", n=7),
            direction("b: fails more often than the others", n=6),
        )
    )[1:]
    assert lines == [
        "iteration 2 · inputs of 36 words or more fail 79 % against 54 % of the others (58 examples)",
        "iteration 2 · “Calls fail”: these fail 79 % against 54 % of the others (7 examples), and 2 more",
    ]
    assert told(findings(direction(believed="unsettled")))[1].endswith("(58 examples), too few to be sure")


def test_without_a_cause_that_is_said() -> None:
    assert told(findings())[1:] == ["iteration 2 · no cause was found for the failures"]


def test_an_agents_code_is_counted_and_our_own_must_not_fail() -> None:
    lines = told(
        code(STANDARD),
        code("diagnostician 1, step 1"),
        code("diagnostician 2, step 1", "NameError: x"),
        code("inside direction 4", "boom"),
        findings(direction()),
    )
    assert lines[1] == "iteration 2 · the agent ran 2 analyses of its own, 1 of them ended with an error"
    assert len(lines) == 3
    assert told(code(STANDARD, "time limit of 20 s"))[1] == (
        "iteration 2 · mind: the standard analyses failed: time limit of 20 s"
    )


def test_what_was_weeded_is_counted_beside_what_was_tried() -> None:
    assert told(dropped(), dropped(), tried(True, True, True))[1] == (
        'iteration 2 · kept 3 of 3 edits (2 more weeded before): "Rule 0.", "Rule 1.", …'
    )
    assert told(tried(False))[1] == "iteration 2 · kept none of 1 edit: none is missed when it is left out"
    proposed = ("proposed", {"iteration": 2, "candidates": []})
    assert told(dropped("holds a search example"), proposed)[1:] == [
        "iteration 2 · 1 edit weeded before any call: holds a search example",
        "iteration 2 · nothing new to try",
    ]
    rejected = {"iteration": 2, "origin": "2 edits for 1 direction", "reason": "it contradicts itself"}
    assert told(("candidate_rejected", rejected))[1] == (
        'iteration 2 · "2 edits for 1 direction": weeded before any call (it contradicts itself)'
    )


def test_unsafe_is_loud_before_anything_else() -> None:
    lines = told(strategy="sage", sandbox="unsafe", agent="openai:big")
    assert lines[0].startswith("WARNING: --sandbox unsafe: code that openai:big writes runs on this machine")
    assert "NOTHING ISOLATES IT" in lines[0]
    assert lines[1].startswith("run 2a65bc2d: colours · sage")
    assert told(strategy="random", sandbox="unsafe")[0].startswith("run ")
