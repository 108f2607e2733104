"""Which hypotheses to believe, and which of those to act on first (docs/strategies.md).

Nothing that a model says about numbers is taken over: every count here comes from the predicate's mask and our own
scores.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from ..evaluation.hypotheses import Support, adjusted, overlap, p_value, predicate_problem
from .diagnostician import INVENTED, Draft
from .meaning import said_before, same_meaning
from .workspace import Workspace

DUPLICATE = 0.8
"""Two directions whose matched examples overlap by at least so much are one."""

UNSETTLED = (0.3, 0.6, 0.75)
"""How much a hypothesis is believed that the confirmation half had too few matched examples to test, when one, two, or
more independent requests named it."""

LEAST_MATCHED = 3

REFUTED_ABOVE = 0.5
"""A hypothesis is refuted when its matched examples do not fail more often at all where nobody looked."""

REFUTING = "not confirmed where nobody looked"
"""How the reason begins for which a hypothesis is dropped that was counted and did not hold."""


@dataclass(frozen=True)
class Tested:
    """A hypothesis with our own counts. `q` is its adjusted p-value on the confirmation half.

    `status`: `confirmed` (it holds where nobody looked), `unsettled` (the confirmation half has too few such examples
    to say), or `dropped` with the reason. `sources` are the independent requests that named it, `index`
    is where it is stored.
    """

    draft: Draft
    status: str
    reason: str = ""
    support: Support = field(default_factory=lambda: Support(0, 0, 0, 0))
    confirmation: Support = field(default_factory=lambda: Support(0, 0, 0, 0))
    p: float = 1.0
    q: float = 1.0
    matched: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    index: int = -1

    @property
    def opinions(self) -> int:
        """How many independent requests named it."""
        return max(1, len(self.sources))

    @property
    def belief(self) -> float:
        """How sure it is that these examples fail for a reason of their own."""
        return 1.0 - self.q if self.status == "confirmed" else UNSETTLED[min(self.opinions, len(UNSETTLED)) - 1]

    @property
    def worth(self) -> float:
        """Expected gain: the failures it may explain, times how far it is believed, times its headroom."""
        if not self.support.n:  # nothing was counted
            return self.belief
        return self.support.failures * self.belief * self.support.rate


async def test_hypotheses(workspace: Workspace, drafts: Sequence[Draft], fdr: float) -> list[Tested]:
    """Every draft with its counts over all of the champion's records, in order; believed or dropped.

    A hypothesis is confirmed when its matched examples fail more often, at a false discovery rate of `fdr`. Groups
    that were fixed beforehand are tested on all records, among all groups that were counted with them. What somebody
    supposed after a look at failures is tested on the confirmation half, among all that was supposed in this round; it
    is unsettled where that half says too little, and dropped where it fails no more often there. Without a sandbox
    nothing can be tested: all are unsettled.
    """
    if workspace.sandbox is None:
        why = "nothing was counted: no code may run"
        return [Tested(d, "unsettled", why, sources=d.named_by) for d in drafts]
    problems = [_problem(d) for d in drafts]
    sound = [d for d, problem in zip(drafts, problems, strict=True) if not problem]
    masks = dict(zip([id(d) for d in sound], await workspace.masks([d.predicate for d in sound]), strict=True))
    tested: list[Tested] = []
    for draft, problem in zip(drafts, problems, strict=True):
        mask = masks.get(id(draft), "")
        if problem or isinstance(mask, str):
            tested.append(Tested(draft, "dropped", problem or f"its predicate {mask}"))
            continue
        everywhere, fresh = workspace.support(mask), workspace.support(mask, confirmation=True)
        matched = frozenset(i for i, hit in mask.items() if hit)
        p = p_value(everywhere if draft.among else fresh)
        tested.append(Tested(draft, "unsettled", "", everywhere, fresh, p, matched=matched, sources=draft.named_by))
    return _judged(tested, fdr)


def _problem(draft: Draft) -> str:
    if draft.findings and all(i.endswith(INVENTED) for i in draft.findings):
        named = ", ".join(i.removesuffix(INVENTED) for i in draft.findings)
        return f"it rests on findings that do not exist ({named})"
    problem = predicate_problem(draft.predicate)
    return f"its predicate {problem}" if problem else ""


def _judged(tested: Sequence[Tested], fdr: float) -> list[Tested]:
    values: dict[int, float] = {}
    families: dict[tuple[str, ...], list[Tested]] = {}
    for t in tested:
        if t.status != "dropped":
            families.setdefault(t.draft.findings if t.draft.among else (), []).append(t)
    for family in families.values():
        among = max(t.draft.among for t in family)
        values |= dict(zip(map(id, family), adjusted([t.p for t in family], among), strict=True))
    fixed = {t.matched: values[id(t)] for t in tested if t.draft.among and id(t) in values}
    judged = []
    for t in tested:
        if t.status == "dropped":
            judged.append(t)
            continue
        # Who supposes what was counted anyway has seen these counts: half of the records are no fresh look at it.
        t = replace(t, q=fixed.get(t.matched, values[id(t)]))
        if t.q <= fdr:
            judged.append(replace(t, status="confirmed"))
        elif t.support.n < LEAST_MATCHED or t.support.failures == 0:
            judged.append(replace(t, status="dropped", reason=f"too few failures are matched ({t.support.words})"))
        elif t.p > REFUTED_ABOVE and _could_have_shown(t, fdr):
            judged.append(replace(t, status="dropped", reason=f"{REFUTING} (p = {t.p:.2f})"))
        else:
            judged.append(replace(t, reason="too few fresh examples to confirm or refute it"))
    return judged


def _could_have_shown(t: Tested, fdr: float) -> bool:
    """Whether the confirmation half would have confirmed it, alone, if it raised the failures half way to all of them.

    Where nearly everything fails, for many reasons at once, no single cause can show among few examples.
    """
    c = t.confirmation
    expected = round(c.n * (1 + c.other_rate) / 2)
    return p_value(Support(c.n, expected, c.other_n, c.other_failures)) <= fdr


def merged(tested: Sequence[Tested], labels: Sequence[str]) -> list[Tested]:
    """Without duplicates, the best first: of those about the same examples and with the same fix the best is kept.

    It counts in how many independent requests the fix was named.
    """
    kept: list[Tested] = []
    for t in sorted(tested, key=lambda t: (-t.worth, len(t.draft.predicate), t.draft.predicate, t.draft.claim)):
        twin = next((k for k in kept if _twins(k, t, labels)), None)
        if twin is None:
            kept.append(t)
        elif twin.draft.source != t.draft.source:
            better = replace(twin, sources=twin.sources | t.sources)
            if not twin.draft.fix:
                better = replace(better, draft=replace(twin.draft, fix=t.draft.fix, shown=t.draft.shown))
            kept[kept.index(twin)] = better
    return kept


def _twins(a: Tested, b: Tested, labels: Sequence[str]) -> bool:
    if a.draft.fix and b.draft.fix:
        return same_meaning(a.draft.fix, b.draft.fix, labels)
    return overlap(a.matched, b.matched) >= DUPLICATE


def triage(
    tested: Sequence[Tested],
    *,
    tried: Collection[str],
    most: int,
    labels: Sequence[str],
    useful: Callable[[Tested], float] | None = None,
) -> list[Tested]:
    """The directions to act on: those of the greatest expected gain, which is the failures that may be explained, times
    their rate, times how likely the fix is `useful` (0 to 1; None where no agent model is asked: how far the cause is
    believed).

    Those with a fix that was tried before are left out. Where an agent model is asked, one without a fix has to be
    confirmed: it is to be worked out in a request of its own.
    """
    believed = [t for t in merged([t for t in tested if t.status != "dropped"], labels) if t.support.n or not t.matched]
    if useful is not None:
        believed = [t for t in believed if t.draft.fix or t.status == "confirmed"]
    fresh = [t for t in believed if not (t.draft.fix and said_before(t.draft.fix, tried, labels))]

    def gain(t: Tested) -> float:
        if useful is None or not t.draft.fix:
            return t.worth
        return useful(t) * (t.support.failures * t.support.rate if t.support.n else 1.0)

    return sorted(fresh, key=lambda t: -gain(t))[:most]
