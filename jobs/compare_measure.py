"""Measuring what the runs of a comparison found: all of it on one half of the test split, the winner on the other."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from ..evaluation.certify import Certificate, certify
from ..evaluation.comparison import compare
from ..evaluation.evaluator import Job, Scores
from ..evaluation.spending import spent_alpha
from ..seeding import generator
from ..tasks.prompt import Demo, Prompt
from ..traces.result import PromptContent
from .compare_arms import Standing
from .compare_call import CompareCall
from .compare_outcome import Measured, Winner, outcome
from .compare_result import ComparisonResult
from .measuring import Measuring


async def measure(call: CompareCall, opened: Measuring, standings: Mapping[str, Standing]) -> ComparisonResult:
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
