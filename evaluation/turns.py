"""Which of several strategies gets the next turn of a run that they share: bandits whose arms are strategies.

A pull is one turn, its reward what it gained. Turns cost differing amounts and gains shrink as the champion improves,
so rewards are *paces*: the share of what could be gained when the search began, per share of the budget; a pace of 1,
kept up, would end at perfection. With 5 to 40 pulls a regret bound says nothing; what is here is to be measured.

    halving      successive halving: Karnin, Koren and Somekh, ICML 2013, algorithm 3, with calls for its pulls
    thompson     a normal posterior of each member's pace; Chapelle and Li, NIPS 2011, section 2; old pulls fade
    exp3         Auer, Cesa-Bianchi, Freund and Schapire, SIAM J. Comput. 32 (2002), section 3; the reference
    round-robin  by turns
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Chooser = Literal["thompson", "successive-halving", "exp3", "round-robin"]

PRIOR_PACE = 0.5
"""What a member's pace is taken for before its first pull, ..."""
PRIOR_SHARE = 0.1
"""... as if that had been seen over this share of the budget."""
SPREAD = 0.5
"""Standard deviation of a pace that was seen over `PRIOR_SHARE` of the budget."""
FADING = 0.8
"""A pull counts this much less with every later one: what helped a poor champion need not help a good one."""
DRAWS = 1000
"""The chance of a member is the share of so many posterior draws that it wins."""

FASTEST = 4.0
"""The pace that EXP3, whose rewards end at 1, takes for the best there is."""
PULLS = 20
"""The number of pulls that EXP3's rate of exploration is set for."""


@dataclass(frozen=True)
class Pull:
    """One turn: by whom, the estimated true `gain` of the champion's score, the target `calls` that it took, and the
    `chance` that it had to be chosen."""

    member: str
    gain: float
    calls: int
    chance: float = 1.0


@dataclass(frozen=True)
class Course:
    """What paces are measured by: the `calls` that the whole search has, and the score that it could gain at most."""

    calls: float
    headroom: float

    def share(self, pull: Pull) -> float:
        """The share of the calls that a pull took."""
        return pull.calls / max(self.calls, 1.0)

    def pace(self, pull: Pull) -> float:
        """The share of the headroom that a pull gained, per share of the calls; 0 where it took none."""
        return pull.gain / max(self.headroom, 1e-3) / self.share(pull) if pull.calls else 0.0


@dataclass(frozen=True)
class Choice:
    """Who is next, and the chance that this member had."""

    member: str
    chance: float


def next_member(
    chooser: Chooser,
    members: Sequence[str],
    available: Collection[str],
    pulls: Sequence[Pull],
    course: Course,
    rng: np.random.Generator,
) -> Choice:
    """Who of the `available` members (at least one) gets the next turn. The first turn is that of the first member."""
    open_ = [m for m in members if m in available]
    if not pulls or len(open_) == 1:
        return Choice(open_[0], 1.0)
    if chooser == "round-robin":
        return Choice(_after(pulls[-1].member, members, open_), 1.0)
    if chooser == "successive-halving":
        return Choice(_halving(members, open_, pulls, course), 1.0)
    chances = _thompson(open_, pulls, course, rng) if chooser == "thompson" else _exp3(open_, pulls, course)
    drawn = int(rng.choice(len(open_), p=chances))
    return Choice(open_[drawn], float(chances[drawn]))


def _after(last: str, members: Sequence[str], open_: Sequence[str]) -> str:
    start = members.index(last) + 1
    return next(m for m in (*members[start:], *members[:start]) if m in open_)


def _halving(members: Sequence[str], open_: Sequence[str], pulls: Sequence[Pull], course: Course) -> str:
    """The survivor with the fewest calls in the phase under way."""
    left, spent = survivors(members, pulls, course)
    able = [m for m in left if m in open_]
    if not able:  # what fell out may go on where nobody else can
        return max(open_, key=lambda m: _mean_pace(m, pulls, course))
    return min(able, key=lambda m: spent[m])


def survivors(members: Sequence[str], pulls: Sequence[Pull], course: Course) -> tuple[list[str], dict[str, int]]:
    """Who is left after the phases that these pulls completed, in the members' order, and each one's calls in the
    phase under way.

    There are as many phases of equal calls as halvings, and one for the last one left. A phase ends when its calls
    are spent and all that are left had a turn in it; then the half with the lower mean pace in it falls out.
    """
    left, spent, seen = list(members), dict.fromkeys(members, 0), list[Pull]()
    phases = 1 + math.ceil(math.log2(max(len(members), 1)))
    for pull in pulls:
        seen.append(pull)
        if pull.member in left:
            spent[pull.member] += pull.calls
        met = {p.member for p in seen}
        if len(left) > 1 and sum(spent.values()) >= course.calls / phases and met.issuperset(left):
            ranked = sorted(left, key=lambda m: -_mean_pace(m, seen, course))  # on a tie the earlier one stays
            best = set(ranked[: math.ceil(len(left) / 2)])
            left, seen = [m for m in left if m in best], []
            spent = dict.fromkeys(left, 0)
    return left, spent


def _mean_pace(member: str, pulls: Sequence[Pull], course: Course) -> float:
    own = [p for p in pulls if p.member == member]
    return course.pace(Pull(member, sum(p.gain for p in own), sum(p.calls for p in own)))


def _thompson(open_: Sequence[str], pulls: Sequence[Pull], course: Course, rng: np.random.Generator) -> np.ndarray:
    """The chance of each member that its pace is the highest, by its posterior."""
    draws = np.empty((DRAWS, len(open_)))
    for column, member in enumerate(open_):
        weight, total = PRIOR_SHARE, PRIOR_SHARE * PRIOR_PACE
        for age, pull in enumerate(reversed(pulls)):
            if pull.member == member:
                share = FADING**age * course.share(pull)
                weight, total = weight + share, total + share * course.pace(pull)
        draws[:, column] = rng.normal(total / weight, SPREAD * math.sqrt(PRIOR_SHARE / weight), DRAWS)
    return np.bincount(draws.argmax(axis=1), minlength=len(open_)) / DRAWS


def _exp3(open_: Sequence[str], pulls: Sequence[Pull], course: Course) -> np.ndarray:
    """EXP3's chances: (1 - γ) w_i / Σ w + γ / K, with w_i = exp(γ / K · Σ reward / chance over i's pulls)."""
    size = len(open_)
    gamma = min(1.0, math.sqrt(size * math.log(size) / ((math.e - 1) * PULLS)))
    sums = dict.fromkeys(open_, 0.0)
    for pull in pulls:
        if pull.member in sums:
            sums[pull.member] += min(max(course.pace(pull) / FASTEST, 0.0), 1.0) / pull.chance
    logs = gamma / size * np.array(list(sums.values()))
    weights = np.exp(logs - logs.max())
    return (1 - gamma) * weights / weights.sum() + gamma / size
