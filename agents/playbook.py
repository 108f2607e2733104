"""The playbook: what plays an agent's role where no agent model is configured.

It draws an edit operator that suits the prompt at hand and checks what came out. The weights follow what moved
small models most in measurements: the form of the answer first, then which worked examples are shown.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..tasks.prompt import Prompt
from . import operators as op
from .operators import Operator, Situation

DRAWS = 12
"""How often another operator is tried when one has nothing (new) to offer."""

TWO_EDITS = 0.5
"""Share of candidates that are made by two operators, one on the text and one on the demos."""

TEXT_EDITS: dict[Operator, float] = {
    op.answer_form: 3.0,
    op.label_order: 2.0,
    op.define_labels: 2.0,
    op.contrast_confused: 1.0,
    op.reorder_sentences: 1.0,
    op.drop_sentence: 0.5,
}
FIRST_DEMOS: dict[Operator, float] = {op.fresh_demos: 4.0}
DEMO_EDITS: dict[Operator, float] = {
    op.swap_demo: 4.0,
    op.replace_demo: 2.0,
    op.reorder_demos: 2.0,
    op.fresh_demos: 1.5,
    op.drop_demo: 1.0,
    op.add_demo: 1.0,
}


def suitable(prompt: Prompt) -> dict[Operator, float]:
    """The operators that suit a prompt, with the weight each is drawn with."""
    return {**TEXT_EDITS, **demo_edits(prompt)}


def demo_edits(prompt: Prompt) -> dict[Operator, float]:
    """The operators on demos that suit a prompt."""
    return DEMO_EDITS if prompt.demos else FIRST_DEMOS


def edit(
    situation: Situation,
    known: Collection[str],
    operators: dict[Operator, float] | None = None,
    *,
    pair: bool | None = None,
) -> Prompt | None:
    """A prompt made from the situation's, of an id not in `known`; None where nothing new came.

    One operator is drawn, or one on the text and one on the demos, which often pay only together (`pair`; left
    out where `operators` are named). What loses a placeholder or a locked text is thrown away.
    """
    pair = operators is None if pair is None else pair
    for _ in range(DRAWS):
        child = _drawn(situation, operators or suitable(situation.prompt))
        if child is not None and pair and situation.rng.random() < TWO_EDITS:
            others = TEXT_EDITS if child.demos != situation.prompt.demos else demo_edits(child)
            second = _drawn(replace(situation, prompt=child), others)
            if second is not None:
                origin = f"{child.origin} + {second.origin}"
                child = second.model_copy(update={"origin": origin, "parents": (situation.prompt.id,)})
        if child and child.id not in known and child.system.strip() and not situation.task.violations(child):
            return child
    return None


def _drawn(situation: Situation, weights: dict[Operator, float]) -> Prompt | None:
    choices, total = list(weights), sum(weights.values())
    operator = choices[int(situation.rng.choice(len(choices), p=[weights[c] / total for c in choices]))]
    return operator(situation)
