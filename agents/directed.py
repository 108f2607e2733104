"""The playbook's proposer: edits against a direction, made without a language model.

It looks at the examples that the direction is about: which answer they want, which one they get, and shows or says
so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .operators import MAX_DEMOS, Operator, Situation, answer_form, demo_of, fresh_demos, predicted_label
from .terms import distinguishing_terms

MOSTLY = 0.6
"""A right answer is the rule among the matched examples when so many of them want it."""

LABELS = 12


def directed_operators(matched: Collection[str], group: str) -> dict[Operator, float]:
    """Operators that act on the examples `matched`; `group` describes them, as in `channel=phone & plan=pro`."""

    def state_rule(s: Situation) -> Prompt | None:
        """Say what such inputs want, where one answer is the rule among them."""
        wanted = Counter(s.task.example(i).label for i in matched)
        label, count = max(wanted.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        condition = _condition(group)
        if not condition or not count or count < MOSTLY * wanted.total() or len(s.task.labels) > LABELS:
            return None
        sentence = f"If {condition}, the answer is {label}."
        return None if sentence in s.prompt.system else _said(s, sentence, f"rule for {group}")

    def contrast(s: Situation) -> Prompt | None:
        """Tell the wanted answer apart from the one that such inputs get."""
        pairs = Counter(
            (s.task.example(r.example_id).label, predicted_label(r.output, s.task.labels))
            for r in s.records
            if r.example_id in matched and r.score is not None and r.score < 0.5
        )
        ranked = [pair for pair, _ in pairs.most_common() if pair[1] and pair[0] != pair[1]]
        if not ranked:
            return None
        wanted, given = ranked[0]
        members = [e for e in s.task.search if e.label in ranked[0]]
        terms = distinguishing_terms(members, ranked[0], count=3)
        if not all(terms.values()):
            return None
        sentence = f"{', '.join(terms[wanted])} speak for {wanted}, not for {given}."
        return None if sentence in s.prompt.system else _said(s, sentence, f"{wanted} told from {given}")

    def show(s: Situation) -> Prompt | None:
        """Show one of these examples: in place of a demo whose answer is given too often, else as one more."""
        pool = _wanted(s, matched)
        if not s.prompt.demos or not pool:
            return None
        example, excess = s.pick(pool), s.excess()
        over = [i for i, d in enumerate(s.prompt.demos) if excess.get(d.output, 0.0) > 0 and d.output != example.label]
        demos = list(s.prompt.demos)
        if over:
            del demos[over[int(s.rng.integers(len(over)))]]
        if len(demos) < MAX_DEMOS:
            demos.append(demo_of(example))
        else:
            return None
        return s.prompt.edited(demos=demos, origin=f"demo of {group}")

    def end_with(s: Situation) -> Prompt | None:
        """A fresh set of demos that ends with some of these examples: the last turns weigh most."""
        pool = _wanted(s, matched)
        fresh = fresh_demos(s)
        if fresh is None or not pool or s.prompt.demos:
            return None
        chosen = shuffled(pool, s.rng)[: 1 + int(s.rng.integers(2))]
        last = [demo_of(e) for e in chosen]
        ids = {demo.example_id for demo in last}
        others = [d for d in fresh.demos if d.example_id not in ids]
        demos = [*others, *last][-MAX_DEMOS:]
        return s.prompt.edited(demos=demos, origin=f"{len(demos)} demos, the last of {group}")

    edits: dict[Operator, float] = {show: 3.0, end_with: 3.0, contrast: 0.5, state_rule: 0.5}
    return {answer_form: 1.0} if group.startswith("output") else edits


def _said(s: Situation, sentence: str, origin: str) -> Prompt:
    return s.prompt.edited(text=f"{s.prompt.system} {sentence}", origin=origin)


def _wanted(s: Situation, matched: Collection[str]) -> list[Example]:
    """Examples of the demo pool that are like the matched ones: themselves, else those that want the same answer."""
    unused = s.unused()
    members = [e for e in unused if e.id in matched]
    labels = {s.task.example(i).label for i in matched}
    return members or ([e for e in unused if e.label in labels] if len(labels) == 1 else [])


def _condition(group: str) -> str:
    """`channel=phone & plan=pro` as a condition in words; "" where the group is about no field of the input."""
    parts = [re.fullmatch(r"([^\W\d][\w ]*?)\s*(=|>=|<)\s*([^<>=]+)", part.strip()) for part in group.split("&")]
    if not all(parts) or any(p and p[1] in ("expected", "output", "n_words", "n_chars", "term") for p in parts):
        return ""
    verbs = {"=": "is", ">=": "is at least", "<": "is below"}
    return " and ".join(f"{p[1].replace('_', ' ')} {verbs[p[2]]} {p[3]}" for p in parts if p)
