"""What can be said of a task before a run: without a call, and with the first measurements of its seed prompt."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from ..evaluation.budget import Budget
from ..evaluation.evaluator import Job
from ..evaluation.panels import Panels
from ..evaluation.preflight import AA_EXAMPLES, first_look
from ..graphs.optimize import FIRST_LOOK
from ..graphs.run_settings import RunSettings
from ..tasks.problems import near_duplicates
from ..tasks.prompt import Prompt
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


def look_jobs(task: Task, seed: int) -> list[Job]:
    """What a run of that seed measures first: the seed prompt on some examples, and on a few of them again."""
    panels = Panels.draw(task, seed)
    examples = (*panels.panel, *panels.race)[:FIRST_LOOK]
    prompt: Prompt = task.seed_prompt
    return [Job(prompt, examples), Job(prompt, examples[:AA_EXAMPLES], repeat=1)]


async def looked(
    preflight: Preflight, task: Task, settings: RunSettings, listener: Listener | None = None
) -> Preflight:
    """The same with the seed prompt's first measurements; a run of the same seed will find their answers stored."""
    jobs = look_jobs(task, settings.seed)
    budget = Budget(target_calls=sum(len(job.examples) for job in jobs))
    stored = {"task": settings.task, "target": settings.target, "seed": settings.seed}
    async with measuring(
        task,
        settings.target,
        budget,
        strategy="preflight",
        settings=stored,
        base_url=settings.base_url,
        listener=listener,
    ) as run:
        if listener is not None:
            listener("measuring", {"run_id": run.run_id, "examples": budget.target_calls})
        await run.evaluator.measure(*jobs)
        records = run.evaluator.records(task.seed_prompt.id)
        known = await run.store.answers([r.key for r in records[:1]])
        look = first_look(
            task,
            [r for r in records if r.repeat == 0],
            [r for r in records if r.repeat == 1],
            next((answer.decoding for answer in known.values()), "text"),
        )
        done = preflight.model_copy(update={"look": asdict(look), "run_id": run.run_id})
        await run.finish(done)
    return done
