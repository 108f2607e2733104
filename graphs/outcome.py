"""From the final state of a run to its result: the verdict in one sentence, the prompts, the evidence."""

from __future__ import annotations

from typing import Any

from ..evaluation.certify import Certificate
from ..evaluation.power import smallest_certifiable_gain
from ..tasks.prompt import Prompt
from ..traces.result import Case, Result, Verdict
from .session import Session
from .state import RunState


def outcome(
    session: Session, state: RunState, certificate: Certificate | None, use: int, estimate: float | None
) -> Result:
    """The result of a run, from its last state and its certificate (None: nothing was tested)."""
    verdict: Verdict = state["verdict"] or "inconclusive"  # type: ignore[assignment]
    seed = session.prompt(state["seed_prompt"])
    best = session.prompt(state["champion"])
    unprovable = verdict == "not certified" and certificate is not None and is_unprovable(certificate)
    returned = best if verdict in ("improved", "not tested") or unprovable else seed
    notes = []
    if unprovable:
        notes.append(
            f"{certificate.n if certificate else 0} test examples are too few to certify anything within reach: the "
            "prompt returned is the best estimate, not certified. More test examples would settle it."
        )
    if use > 1:
        notes.append(f"This was use {use} of this test split; each use weakens what it can prove.")
    return Result(
        run_id=session.run.id,
        alias=session.run.alias,
        task=session.task.name,
        strategy=session.settings.strategy,
        target=session.evaluator.target.name,
        agent=session.settings.agent,
        seed=session.settings.seed,
        verdict=verdict,
        sentence=verdict_sentence(verdict, certificate, state["stop"], unprovable),
        prompt=returned.content(),
        best=best.content(),
        seed_prompt=seed.content(),
        **_evidence(session, certificate, seed, best),
        test_use=use,
        estimate=estimate,
        iterations=state["iteration"],
        candidates=state["proposed"],
        accepted=max(0, len(state["accepted"]) - 1),
        decoding=state["decoding"],
        stop=state["stop"],
        spend=session.ledger.report(),
        notes=notes,
    )


def is_unprovable(certificate: Certificate) -> bool:
    """Whether there is a gain, and not even a perfect prompt's could have been certified on this test split."""
    if certificate.gain <= 0:
        return False
    return smallest_certifiable_gain(certificate.n, certificate.alpha) > 1.0 - certificate.seed_mean


def _evidence(session: Session, certificate: Certificate | None, seed: Prompt, best: Prompt) -> dict[str, Any]:
    if certificate is None:
        return {}
    cases = {
        "fixed_case": _case(session, certificate.fixed, seed, best),
        "broken_case": _case(session, certificate.broken, seed, best),
    }
    return figures(certificate) | cases


def figures(certificate: Certificate) -> dict[str, Any]:
    """What results hold of a certificate, by the names that it has there."""
    c = certificate
    return {
        "gain": c.gain,
        "low": c.low,
        "high": c.high,
        "p": c.p,
        "alpha": c.alpha,
        "seed_score": c.seed_mean,
        "best_score": c.winner_mean,
        "n": c.n,
        "missing": c.missing,
        "method": c.method,
        "fixed": list(c.fixed),
        "broken": list(c.broken),
    }


def _case(session: Session, ids: tuple[str, ...], seed: Prompt, best: Prompt) -> Case | None:
    if not ids:
        return None
    # The shortest one reads best on a screen.
    example = min((session.task.example(i) for i in ids), key=lambda e: (len(e.input), e.id))
    answers = {
        p.id: next(r.output for r in session.evaluator.records(p.id, "test") if r.example_id == example.id)
        for p in (seed, best)
    }
    return Case(
        example_id=example.id,
        input=example.input,
        expected=example.label,
        before=answers[seed.id],
        after=answers[best.id],
    )


def verdict_sentence(verdict: Verdict, certificate: Certificate | None, stop: str, unprovable: bool) -> str:
    """How a run ended, in one sentence. `stop`: why, where it did not come to its proof; `unprovable`: whether the test
    split is too small for any."""
    if certificate is not None and verdict in ("improved", "harmed", "not certified"):
        c = certificate
        figures = (
            f"{c.seed_mean:.2f} → {c.winner_mean:.2f} on {c.n} untouched examples "
            f"({c.gain:+.2f}, 95 % interval {c.low:+.2f} to {c.high:+.2f}, p = {c.p:.2g})"
        )
        if verdict == "improved":
            return f"Improved, and proven: {figures}."
        if verdict == "harmed":
            return f"The best candidate turned out worse than the seed: {figures}. Keep the seed prompt."
        kept = "Here is the best estimate, not proof." if unprovable else "Keep the seed prompt."
        return f"No gain could be proven: {figures}. {kept}"
    if verdict == "unchanged":
        return "No better prompt was found. Keep the seed prompt."
    if verdict == "not tested":
        return "Certification was left out: the prompt is the search's best estimate, not proof."
    if verdict == "budget too small":
        return stop
    if certificate is not None:
        stop = f"{certificate.missing} of {certificate.n + certificate.missing} test answers are missing"
    return f"Nothing can be concluded: {stop or 'the proof could not be paid'}. Keep the seed prompt."
