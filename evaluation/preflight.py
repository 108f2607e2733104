"""Looking before leaping: what a run can show, before and with its first calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import BudgetTooSmall
from ..tasks.problems import near_duplicates
from ..tasks.target import Target
from ..tasks.task import Task
from ..traces.rows import Record
from .budget import Budget
from .evaluator import Evaluator, Job
from .panels import Panels
from .power import examples_needed, smallest_certifiable_gain
from .preservation import examples_to_show_harmless
from .screening import log_probability

EXAMPLES = 48
"""The seed prompt is measured on so many examples before anything is searched, ..."""

AA_EXAMPLES = 8
"""... and on so many of them a second time."""

SURE = math.log(0.02)
"""An expected label to which every measurement gives less than 2 % may be a wrong one."""


@dataclass(frozen=True)
class Plan:
    """What can be said before the first call.

    `certification` and `race` are target calls; `smallest_gain` is what the test split certifies with power 0.8
    at the usual share of differing answers (inf: nothing); `notes` are sentences for the user.
    """

    sizes: dict[str, int]
    certification: int
    race: int
    search: float
    alpha: float
    smallest_gain: float
    notes: list[str] = field(default_factory=list)


def plan(
    task: Task,
    target: Target,
    budget: Budget,
    panels: Panels,
    *,
    certify: bool,
    alpha: float,
    block: int,
    holdout: int,
    max_regression: float,
) -> Plan:
    """What the budget buys. Raises BudgetTooSmall where it cannot pay certification plus one race."""
    certification = 2 * len(task.test) if certify else 0
    look = min(EXAMPLES, len(task.search)) + min(AA_EXAMPLES, len(task.search))
    one_side = panels.size + min(block, len(task.search) - panels.size) + len(task.holdout[:holdout])
    race = look + 2 * (one_side + len(task.preserve))
    for unit, limit in budget.limits().items():
        if unit not in ("target_calls", "tokens", "usd"):
            continue
        each = _most_per_call(task, target, unit)
        if limit < each * (certification + race):
            proof = f"{certification} calls for certification on {len(task.test)} test examples, "
            way_out = "Raise it, or leave certification out (--no-certify)." if certify else "Raise it."
            raise BudgetTooSmall(
                f"budget: {unit}={limit:g} is too small to conclude anything. This task needs at least "
                f"{each * (certification + race):.6g} ({proof if certify else ''}{race} for one race). {way_out}"
            )
    total = budget.target_calls
    smallest = smallest_certifiable_gain(len(task.test), alpha)
    sizes = {name: len(task.examples(name)) for name in ("search", "holdout", "test", "preserve")}
    return Plan(
        sizes=sizes,
        certification=certification,
        race=race,
        search=math.inf if total is None else total - certification,
        alpha=alpha,
        smallest_gain=smallest,
        notes=[*(_notes(task, smallest, alpha) if certify else []), *_preserve_notes(task, max_regression)],
    )


def _most_per_call(task: Task, target: Target, unit: str) -> float:
    """What one call with the seed prompt takes of a limit at most, on the average of some examples."""
    if unit == "target_calls":
        return 1.0
    price = target.price or (0.0, 0.0)
    bounds = [target.request(task.seed_prompt, example) for example in task.search[:EXAMPLES]]
    if unit == "tokens":
        return sum(b.max_input_tokens + b.max_output_tokens for b in bounds) / len(bounds)
    return sum(b.max_input_tokens * price[0] + b.max_output_tokens * price[1] for b in bounds) / 1e6 / len(bounds)


def _preserve_notes(task: Task, max_regression: float) -> list[str]:
    least = examples_to_show_harmless(max_regression)
    if not task.preserve or len(task.preserve) >= least:
        return []
    return [
        f"preserve has {len(task.preserve)} examples: too few to show that a candidate is harmless, so none can be "
        f"accepted. It takes at least {least} that the prompt handles (or a larger max_regression)."
    ]


def _notes(task: Task, smallest: float, alpha: float) -> list[str]:
    notes = []
    twins = near_duplicates(task)
    if twins:
        first = twins[0]
        notes.append(
            f"{len(twins)} examples stand nearly alike in two splits ({first.first_id} and {first.second_id}): "
            "the test may flatter the winner."
        )
    if smallest > 0.15:
        wanted = examples_needed(0.1, alpha)
        certifies = "nothing" if math.isinf(smallest) else f"only gains of {smallest:.2f} or more"
        notes.append(f"{len(task.test)} test examples certify {certifies}; {wanted} would certify a gain of 0.10.")
    return notes


@dataclass(frozen=True)
class FirstLook:
    """What the seed prompt's first measurements say.

    `score` over `n` examples, `flip_rate` the share of repeated requests that were scored differently, `suspicious`
    ids of examples whose expected answer the target finds all but impossible, `headroom` what is left to gain.
    """

    score: float
    n: int
    missing: int
    flip_rate: float
    headroom: float
    suspicious: tuple[str, ...] = ()
    decoding: str = "text"


async def take_first_look(evaluator: Evaluator, panels: Panels) -> FirstLook:
    """Measure the seed prompt on some examples, and on a few of them again. Raises BudgetExceeded."""
    seed = evaluator.task.seed_prompt
    examples = (*panels.measured, *panels.demo_pool)[:EXAMPLES]
    await evaluator.measure(Job(seed, examples), Job(seed, examples[:AA_EXAMPLES], repeat=1))
    records = evaluator.records(seed.id, "search")
    known = await evaluator.calls.store.answers([r.key for r in records if r.score is not None][:1])
    decoding = next((answer.decoding for answer in known.values()), "text")
    first, again = ([r for r in records if r.repeat == repeat] for repeat in (0, 1))
    return first_look(evaluator.task, first, again, decoding)


def first_look(task: Task, first: Sequence[Record], second: Sequence[Record], decoding: str) -> FirstLook:
    """Sum up the seed prompt's records: `first` draws, and `second` draws of some of the same examples."""
    scored = [r for r in first if r.score is not None]
    before = {r.example_id: r.score for r in scored}
    again = [(before[r.example_id], r.score) for r in second if r.score is not None and r.example_id in before]
    score = sum(r.score or 0.0 for r in scored) / len(scored) if scored else 0.0
    doubtful = [r.example_id for r in scored if (log_probability(task, r) or 0.0) < SURE]
    return FirstLook(
        score=score,
        n=len(scored),
        missing=len(first) - len(scored),
        flip_rate=sum(a != b for a, b in again) / len(again) if again else 0.0,
        headroom=1.0 - score,
        suspicious=tuple(doubtful[:10]),
        decoding=decoding,
    )
