"""What a run that has not come to its end has found: its best prompt so far, of which nothing is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from ..traces.result import PromptContent
from .output import one_line

if TYPE_CHECKING:
    from ..traces.store import RunStore

SEARCHED = ("search", "holdout")


class BestSoFar(BaseModel):
    """The prompt that leads the search, and why: the estimated scores of it and of the seed on an average example.

    `n` is on how many examples it was measured. They are the examples that it was chosen by, so that its estimate is
    no proof: `certified` is always False.
    """

    model_config = ConfigDict(frozen=True)

    prompt: PromptContent
    estimate: float
    seed_estimate: float
    n: int
    certified: Literal[False] = False


async def best_so_far(store: RunStore, run_id: str) -> BestSoFar | None:
    """The prompt that a run would certify if its search ended now; None where that is the seed."""
    prompts, decisions = await store.prompts(run_id), await store.decisions(run_id)
    accepted = [d.prompt_id for d in decisions if d.verdict == "accepted"]
    seed = next((i for i, prompt in prompts.items() if prompt.iteration == 0), None)
    if seed is None or not accepted:
        return None
    from ..evaluation.shrinkage import choose, shrunken_estimates  # takes a moment to import

    scores: dict[str, dict[tuple[str, int], float]] = {}
    for record in await store.records(run_id, dict.fromkeys([seed, *accepted])):
        if record.score is not None and record.split in SEARCHED:
            scores.setdefault(record.prompt_id, {})[record.example_id, record.repeat] = record.score
    best, estimates = choose(scores, accepted[-1]), shrunken_estimates(scores)
    if best == seed or best not in estimates or seed not in estimates:
        return None
    content = {"components": {}, "demos": [], **prompts[best].content}
    return BestSoFar(
        prompt=PromptContent(
            id=best, components=content["components"], demos=content["demos"], origin=prompts[best].origin
        ),
        estimate=estimates[best].estimate,
        seed_estimate=estimates[seed].estimate,
        n=estimates[best].n,
    )


def so_far_words(best: BestSoFar | None) -> str:
    """`"sentences reordered" (not certified): the search puts it at 0.71, the seed at 0.53`."""
    if best is None:
        return "no better prompt yet"
    return (
        f'"{one_line(best.prompt.origin, 40)}" (not certified): the search puts it at {best.estimate:.2f}, the seed at '
        f"{best.seed_estimate:.2f}"
    )
