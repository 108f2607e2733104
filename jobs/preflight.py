"""What can be said of a task before a run: without a call, and with the first measurements of its seed prompt."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from ..evaluation.budget import Budget
from ..evaluation.panels import Panels
from ..evaluation.preflight import AA_EXAMPLES, EXAMPLES, take_first_look
from ..graphs.run_settings import RunSettings
from ..tasks.problems import near_duplicates
from ..tasks.task import Task
from .before import Survey
from .measuring import Listener, measuring
from .preflight_result import Preflight, Twins

MOST_DUPLICATES = 10


def described(task: Task, settings: RunSettings, before: Survey) -> Preflight:
    """Everything that is known without a call."""
    twins = near_duplicates(task)
    endless = before.most_usd == float("inf")
    counts = Counter(example.label for example in task.everything) if task.labels else Counter()
    return Preflight(
        task=task.name,
        metric=task.metric.name,
        target=settings.target,
        agent=settings.agent,
        base_url=settings.base_url,
        budget=settings.limits().limits(),
        label_counts={label: counts[label] for label in task.labels},
        seed_prompt=dict(task.seed_prompt.components),
        plan=before.plan,
        most_usd=None if endless else before.most_usd,
        cost_unlimited=endless,
        test_uses=before.uses,
        near_duplicates=[
            Twins(
                first=t.first_id,
                first_split=t.first_split,
                first_input=task.example(t.first_id).input,
                second=t.second_id,
                second_split=t.second_split,
                second_input=task.example(t.second_id).input,
                overlap=round(t.overlap, 3),
            )
            for t in twins[:MOST_DUPLICATES]
        ],
        near_duplicate_count=len(twins),
    )


async def looked(
    preflight: Preflight, task: Task, settings: RunSettings, listener: Listener | None = None
) -> Preflight:
    """The same with the seed prompt's first measurements; a run of the same seed will find their answers stored."""
    budget = Budget(target_calls=EXAMPLES + AA_EXAMPLES)
    stored = {"task": settings.task, "target": settings.target, "seed": settings.seed}
    async with measuring(
        task,
        settings.target,
        budget,
        strategy="preflight",
        settings=stored,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        patience=settings.patience,
        listener=listener,
        seed=settings.seed,
    ) as run:
        if listener is not None:
            listener("measuring", {"run_id": run.run_id, "examples": budget.target_calls})
        look = await take_first_look(run.evaluator, Panels.draw(task, settings.seed))
        done = preflight.model_copy(update={"look": asdict(look), "run_id": run.run_id})
        await run.finish(done)
    return done
