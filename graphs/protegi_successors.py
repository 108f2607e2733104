"""How `protegi` expands one prompt of its beam: gradients of its errors, edits against them, and their paraphrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..agents import playbook
from ..agents.attempt import Attempt
from ..agents.gradient import can_be_written, descend, gradients
from ..agents.paraphrase import paraphrase
from ..agents.writing import sample
from ..errors import BudgetExceeded
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .at_once import at_once
from .protegi_options import ProtegiOptions
from .search import Search


async def successors(
    search: Search, o: ProtegiOptions, parent: Prompt, place: int, own: set[str] | None, tried: tuple[str, ...]
) -> list[Prompt]:
    """The successors of one prompt of the beam: gradients, an edit against each, each edit in other words.

    Every question has a place of its own, and every draw its own generator, since they run at the same time.
    """
    here = search.situation(parent, search.generator("errors", place))
    records = [r for r in here.records if own is None or r.example_id in own]
    here = replace(here, records=records, unseen=frozenset())
    errors = sample(here, o.groups * o.errors)
    per_group = o.gradients * o.edits

    def attempt(number: int, per_parent: int) -> Attempt:
        return replace(search.attempt(place * per_parent + number), tried=tried)

    async def reasons(group: int) -> list[str]:
        shown = errors[group * o.errors : (group + 1) * o.errors]
        asked = attempt(group, o.groups)
        if not shown or not can_be_written(parent, asked):
            return []
        try:
            return await gradients(here, shown, asked, most=o.gradients)
        except BudgetExceeded:
            return []

    async def edit(number: int, reason: str, shown: Sequence[Record]) -> Prompt | None:
        at = replace(here, rng=search.session.generator(search.iteration, "edit", place, number))
        child = None
        asked = attempt(number, o.groups * per_group)
        if reason and can_be_written(parent, asked):
            child = await descend(at, reason, shown, asked)
        return child or playbook.edit(at, search.known)

    async def again(number: int, child: Prompt, among: frozenset[str]) -> Prompt | None:
        at = replace(here, prompt=child, rng=search.session.generator(search.iteration, "paraphrase", place, number))
        asked = attempt(number, o.groups * per_group * o.paraphrases)
        other = await paraphrase(at, replace(asked, known=search.known | among))
        if other is None:
            return None
        # The beam's prompt is the parent of both: what its edit was may never be measured.
        return other.model_copy(update={"parents": child.parents, "origin": f"{child.origin}, {other.origin}"})

    found = await at_once(reasons(group) for group in range(o.groups))
    # Where fewer gradients came than were asked for, more edits are made against each.
    wanted = [
        (group * per_group + n, found[group][n % len(found[group])] if found[group] else "", group)
        for group in range(o.groups)
        for n in range(per_group)
    ]
    edited = await at_once(
        edit(number, reason, errors[group * o.errors : (group + 1) * o.errors]) for number, reason, group in wanted
    )
    made = {child.id: child for child in edited if child is not None}
    numbered = [(n * o.paraphrases + k, c) for n, c in enumerate(made.values()) for k in range(o.paraphrases)]
    others = await at_once(again(number, child, frozenset(made)) for number, child in numbered)
    return list({**made, **{other.id: other for other in others if other is not None}}.values())
