"""Measuring what the runs of a comparison found: all of it on one half of the test split, the winner on the other."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from ...errors import ProviderDown, QuotaExhausted, RunInterrupted
from ...evaluation.budget import Budget
from ...evaluation.certify import Certificate, certify
from ...evaluation.comparison import compare
from ...evaluation.evaluator import Job, Scores
from ...evaluation.outage import PATIENCE_MINUTES
from ...evaluation.spending import spent_alpha
from ...seeding import generator
from ...settings import settings as installation
from ...tasks.prompt import Demo, Prompt
from ...traces.result import PromptContent
from ...traces.rows import Run
from ...traces.store import RunStore
from ..measuring import Measuring, measuring
from .arms import Say, Standing
from .call import CompareCall
from .outcome import Measured, Winner, outcome
from .result import ComparisonResult


async def measured(call: CompareCall, begun: Run, standings: Mapping[str, Standing], say: Say) -> ComparisonResult:
    """The result of the comparison whose row is `begun`, stored there; where runs are left to do it is no end.

    Raises RunInterrupted where the provider is down for long, QuotaExhausted.
    """
    options = call.options
    try:
        async with measuring(
            call.task,
            options["target"],
            Budget(),
            strategy="compare",
            settings=dict(begun.settings),
            base_url=options.get("base_url"),
            concurrency=options.get("concurrency"),
            patience=options.get("patience", PATIENCE_MINUTES),
            listener=lambda event, fields: say(fields["message"]) if event == "call_failed" else None,
            begun=begun,
        ) as opened:
            result = await _compared(call, opened, standings)
            if result.exit_code != RunInterrupted.exit_code:
                await opened.finish(result)
    except ProviderDown as down:
        raise RunInterrupted(f"{down}. When it is back: {call.command}") from None
    except QuotaExhausted as error:
        raise QuotaExhausted(f"{error}. Then go on with: {call.command}") from None
    if result.exit_code == RunInterrupted.exit_code:
        await interrupted(begun)
    return result


async def interrupted(run: Run) -> None:
    """Store of a comparison that it is to be gone on with."""
    async with await RunStore.open(installation().home) as store:
        await store.update_run(run.id, status="interrupted")


async def _compared(call: CompareCall, opened: Measuring, standings: Mapping[str, Standing]) -> ComparisonResult:
    """The comparison's result: what is done is measured and compared, and the winner certified.

    Where runs are left to do, nothing is certified yet. Answers are cached within this comparison alone.
    """
    seed, compared = call.task.seed_prompt, call.halves[0]
    prompts = {name: _prompt(found.run.result["best"]) for name, found in _done(standings)}  # type: ignore[index]
    use = 0
    scores: dict[str, Scores] = {}
    if prompts:
        use = await opened.store.use_test(call.task.test_key, opened.run_id)
        wanted = {prompt.id: prompt for prompt in (seed, *prompts.values())}
        await opened.evaluator.measure(*(Job(p, compared, "test") for p in wanted.values()), role="certification")
        scores = {prompt_id: opened.evaluator.scores(prompt_id, compared) for prompt_id in wanted}
    rows = {
        row.label: {
            arm.seed: None if prompts[arm.name].id == seed.id else scores[prompts[arm.name].id]
            for arm in call.arms
            if arm.row == row and arm.name in prompts
        }
        for row in call.rows
    }
    found = compare(scores.get(seed.id, {}), {label: runs for label, runs in rows.items() if runs})
    measured = Measured(found, scores, {name: prompt.id for name, prompt in prompts.items()}, use)
    first = outcome(call, opened, standings, measured)
    if first.winner_run is None or first.verdict == "unfinished":
        return first
    best = prompts[first.winner_run]
    return outcome(call, opened, standings, measured, await _certified(call, opened, best, use))


async def _certified(call: CompareCall, opened: Measuring, best: Prompt, use: int) -> Winner:
    """The winner against the seed prompt on the half of the test split that chose nothing.

    Comparing certified nothing, so that the error rate of its use passes on to the comparison's first certificate.
    A later one, where a run that had failed was done again and changed the winner, has its own.
    """
    seed, examples = call.task.seed_prompt, call.halves[1]
    ids = {example.id for example in examples}
    records = await opened.store.records(opened.run_id, split="test")
    again = {r.prompt_id for r in records if r.example_id in ids} - {seed.id, best.id}
    key = str(uuid.uuid5(uuid.UUID(opened.run_id), best.id))
    own = await opened.store.use_test(call.task.test_key, key)
    use = own if again else use
    await opened.evaluator.measure(*(Job(p, examples, "test") for p in (seed, best)), role="certification")
    certificate: Certificate = certify(
        opened.evaluator.scores(seed.id, examples),
        opened.evaluator.scores(best.id, examples),
        alpha=spent_alpha(use),
        rng=generator(0, "compare", "certify", best.id),
    )
    return Winner(certificate, use)


def _done(standings: Mapping[str, Standing]) -> list[tuple[str, Standing]]:
    return [(name, one) for name, one in standings.items() if one.state == "done" and one.run and one.run.result]


def _prompt(content: Mapping[str, object]) -> Prompt:
    found = PromptContent.model_validate(content)
    demos = tuple(Demo.model_validate({"example_id": "", **demo}) for demo in found.demos)
    return Prompt(components=found.components, demos=demos, origin=found.origin)
