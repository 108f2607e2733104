"""How `protegi` selects its beam: prompts are the arms of a bandit, the best ranked ones stay."""

from __future__ import annotations

from collections.abc import Sequence

from ..agents.validator import Verdict
from ..evaluation.bandits import Arms, by_rejects, by_upper_bound
from ..evaluation.panels import shown_last, without_demos
from ..evaluation.pulls import Pulls
from ..evaluation.screening import reward
from ..evaluation.shrinkage import shrunken_estimates
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .challenge import race_calls
from .protegi_options import ProtegiOptions
from .search import Search


async def pulled(search: Search, ids: Sequence[str], o: ProtegiOptions) -> Arms:
    """What the bandit saw of these prompts, its arms in that order; it ends early where only an acceptance could still
    be paid."""
    session, rng = search.session, search.generator("bandit")
    prompts = [session.prompt(i) for i in ids]
    kept_back = race_calls(session, search.champion.id) if o.accept == "rules" else 0
    pulls = Pulls(
        session.evaluator,
        prompts,
        _examples(search, prompts),
        o.sample,
        rng,
        room=lambda calls: session.calls.room_for_new("target", calls + kept_back),
        paired=o.paired,
        likelihood=o.likelihood,
    )
    rounds = max(o.rounds or 1, -(-len(ids) // o.width))  # every arm is pulled once: what was proposed was paid for
    if o.select == "rejects":
        return await by_rejects(len(ids), pulls, pulls=rounds * o.width, keep=min(o.pool, len(ids)), most=pulls.most)
    return await by_upper_bound(
        len(ids),
        pulls,
        rng,
        rounds=rounds,
        width=o.width,
        exploration=o.exploration,
        bound=o.select,
        most=pulls.most,
    )


def _examples(search: Search, prompts: Sequence[Prompt]) -> tuple[Example, ...]:
    """The search split in this iteration's order: first what demos are not taken from and no writer was shown."""
    rng, panels = search.generator("bandit order"), search.session.panels
    order = [e for part in (panels.measured, panels.demo_pool) for e in shuffled(part, rng)]
    return shown_last(without_demos(tuple(order), *prompts), *prompts)


def ranking(search: Search, ids: Sequence[str], arms: Arms, o: ProtegiOptions) -> dict[str, float]:
    """The prompts that were measured and how good each is thought to be, the best first.

    The mean of what the bandit saw, as in the paper; where the run's rule is shrunken estimates, those of all rewards
    that are known of the prompts, which allow for the examples that each was measured on.
    """
    if search.session.rules.estimate == "mean":
        return {ids[arm]: arms.sums[arm] / arms.counts[arm] for arm in arms.ranked()}
    rows: dict[str, dict[tuple[str, int], float]] = {}
    for i in ids:
        records = search.session.evaluator.records(i, "search")
        known = {(r.example_id, r.repeat): reward(search.task, r, likelihood=o.likelihood) for r in records}
        rows[i] = {at: value for at, value in known.items() if value is not None}
    found = {i: e.estimate for i, e in shrunken_estimates({i: row for i, row in rows.items() if row}).items()}
    place = {i: n for n, i in enumerate(ids)}
    return {i: found[i] for i in sorted(found, key=lambda i: (-round(found[i], 9), -place[i]))}


def verdicts(candidates: Sequence[str], ids: Sequence[str], arms: Arms, best: Sequence[str]) -> list[Verdict]:
    """What the bandit says of the candidates of the iteration: kept in the beam, or not."""
    said = []
    for i in candidates:
        arm = ids.index(i)
        mean = arms.mean(arm)
        if mean is None:
            said.append(Verdict(i, False, "not measured", "the bandit did not come to it", {}))
            continue
        stats = {"bandit": {"mean": mean, "n": arms.counts[arm], "pulls": arms.pulls[arm]}}
        words = f"mean reward {mean:.2f} on {arms.counts[arm]} examples"
        kept = i in best
        said.append(
            Verdict(i, False, "kept" if kept else "screened out", f"{words}: in the beam" if kept else words, stats)
        )
    return said
