"""Edit operators: the ways in which the playbook changes a prompt without asking a language model.

Each operator takes a `Situation` and returns a changed prompt, or None where it has nothing to offer. They work on
sentences and on demos, and read the records of the prompt they change: which labels it predicts too often, which it
never predicts, which it confuses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Demo, Prompt
from ..tasks.task import Task
from ..traces.rows import Record
from .terms import distinguishing_terms

MAX_DEMOS = 16


@dataclass(frozen=True)
class Situation:
    """What an operator may look at: the prompt to change, its records on the search split, and where to take demos.

    `demo_pool` leaves out the examples on which candidates are screened, and no agent is shown one of those in
    `unseen`, the panel that what it writes will be screened on.
    """

    task: Task
    prompt: Prompt
    records: Sequence[Record]
    demo_pool: Sequence[Example]
    rng: np.random.Generator
    unseen: frozenset[str] = frozenset()

    def pick(self, items: Sequence[Example]) -> Example:
        return items[int(self.rng.integers(len(items)))]

    def unused(self, label: str | None = None) -> list[Example]:
        """Examples of the demo pool that are not demos yet, of one label if one is named."""
        used = {demo.example_id for demo in self.prompt.demos}
        return [e for e in self.demo_pool if e.id not in used and (label is None or e.label == label)]

    def excess(self) -> dict[str, float]:
        """For each label, how much more often it is predicted than it is right (shares; never measured: empty)."""
        scored = [r for r in self.records if r.score is not None]
        if not scored or not self.task.labels:
            return {}
        predicted = Counter(predicted_label(r.output, self.task.labels) for r in scored)
        true = Counter(self.task.example(r.example_id).label for r in scored)
        return {label: (predicted[label] - true[label]) / len(scored) for label in self.task.labels}


Operator = Callable[[Situation], Prompt | None]


def predicted_label(output: str, labels: Sequence[str]) -> str:
    """The label that an output names, or "" where it names none or several ("not spam" does not name "spam")."""
    said = output.strip().casefold()
    found = [label for label in labels if re.search(rf"(?<!\w){re.escape(label.casefold())}(?!\w)", said)]
    whole = [a for a in found if not any(a != b and a.casefold() in b.casefold() for b in found)]
    return whole[0] if len(whole) == 1 else ""


def answers_named(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The labels that stand in a text, as words or parts of words, in their order."""
    said = text.lower()
    return tuple(label for label in labels if label.lower() in said)


def demo_of(example: Example) -> Demo:
    """The example as a worked example."""
    return Demo(example_id=example.id, input=example.input, output=example.label, metadata=example.metadata)


def sentences(text: str) -> list[str]:
    """The sentences of a text; headings and list items are sentences of their own."""
    return list(_sentences(text))


@lru_cache(maxsize=4096)
def _sentences(text: str) -> tuple[str, ...]:
    """Texts of a run are compared again in every iteration, and splitting them is what takes time there."""
    return tuple(part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part)


def new_sentences(prompt: Prompt, *parents: Prompt) -> list[str]:
    """The sentences of a prompt that none of its parents says."""
    old = {sentence for parent in parents for sentence in _sentences(parent.system)}
    return [sentence for sentence in _sentences(prompt.system) if sentence not in old]


# -- text ----------------------------------------------------------------------------------------------------

ANSWER_FORMS = {
    "label": (
        "Answer with one word.",
        "Answer with the label only.",
        "Reply with exactly one of these words and nothing else.",
        "Give only the label, without explanation.",
    ),
    "numeric": ("End with the final number alone on the last line.", "Give only the final number."),
    "json": ("Answer with one JSON object and nothing else.",),
    "": ("Answer as briefly as possible.", "Give only the answer, without explanation."),
}


def answer_form(s: Situation) -> Prompt | None:
    """Say in one sentence what form the answer has, at the end or in front, or say it in another way."""
    forms = ANSWER_FORMS.get("label" if s.task.labels else s.task.metric.name, ANSWER_FORMS[""])
    standing = next((form for form in forms if form in s.prompt.system), None)
    others = [form for form in forms if form != standing]
    if not others:
        return None
    form = others[int(s.rng.integers(len(others)))]
    if standing is not None:
        text = s.prompt.system.replace(standing, form)
    elif s.rng.random() < 0.7:
        text = f"{s.prompt.system} {form}"
    else:
        text = f"{form} {s.prompt.system}"
    return s.prompt.edited(text=text, origin="answer form")


def label_order(s: Situation) -> Prompt | None:
    """List the labels once more, in another order: small models favour the one they read first or last."""
    if not 2 <= len(s.task.labels) <= 12 or "Answer with one word:" in s.prompt.system:
        return None
    order = [str(label) for label in s.rng.permutation(list(s.task.labels))]
    sentence = f"Answer with one word: {', '.join(order[:-1])} or {order[-1]}."
    return s.prompt.edited(text=f"{s.prompt.system} {sentence}", origin="labels in another order")


def define_labels(s: Situation) -> Prompt | None:
    """Describe each label by the terms that set its examples apart."""
    if len(s.task.labels) < 2 or "\n- " in s.prompt.system:
        return None
    terms = distinguishing_terms(s.task.search, s.task.labels, count=int(s.rng.integers(3, 6)))
    if not all(terms.values()):
        return None
    lines = [f"- {label}: {', '.join(words)}" for label, words in terms.items()]
    return s.prompt.edited(text=s.prompt.system + "\n" + "\n".join(lines), origin="label definitions")


def contrast_confused(s: Situation) -> Prompt | None:
    """Tell the two labels apart that are confused most often."""
    wrong = [r for r in s.records if r.score is not None and r.score < 0.5]
    pairs = Counter((s.task.example(r.example_id).label, predicted_label(r.output, s.task.labels)) for r in wrong)
    ranked = [pair for pair, count in pairs.most_common() if pair[1] and count > 1]
    if not ranked:
        return None
    true, predicted = ranked[int(s.rng.integers(min(3, len(ranked))))]
    members = [e for e in s.task.search if e.label in (true, predicted)]
    terms = distinguishing_terms(members, (true, predicted), count=3)
    if not all(terms.values()):
        return None
    sentence = (
        f"Do not confuse {true} with {predicted}: {', '.join(terms[true])} speak for {true}, "
        f"{', '.join(terms[predicted])} for {predicted}."
    )
    if sentence in s.prompt.system:
        return None
    return s.prompt.edited(text=f"{s.prompt.system} {sentence}", origin="contrast of confused labels")


def drop_sentence(s: Situation) -> Prompt | None:
    """Leave out one sentence."""
    parts = sentences(s.prompt.system)
    if len(parts) < 2:
        return None
    out = int(s.rng.integers(len(parts)))
    text = s.prompt.system.replace(parts[out], "", 1)
    return s.prompt.edited(text=re.sub(r"\s*\n\s*", "\n", re.sub(r" {2,}", " ", text)).strip(), origin="shorter")


def reorder_sentences(s: Situation) -> Prompt | None:
    """Move one sentence to the front."""
    parts = sentences(s.prompt.system)
    if len(parts) < 2 or "\n" in s.prompt.system:
        return None
    moved = int(s.rng.integers(1, len(parts)))
    text = " ".join([parts[moved], *parts[:moved], *parts[moved + 1 :]])
    return s.prompt.edited(text=text, origin="sentences reordered")


# -- demos ---------------------------------------------------------------------------------------------------


def fresh_demos(s: Situation) -> Prompt | None:
    """A new small set of demos: equally many of each label in alternating order, or a random handful."""
    pool = list(s.demo_pool)
    if not pool:
        return None
    if s.task.labels and all(any(e.label == label for e in pool) for label in s.task.labels):
        most = max(1, 8 // len(s.task.labels))
        rounds = int(s.rng.integers(1, most + 1))
        chosen: list[Example] = []
        for _ in range(rounds):
            for label in s.rng.permutation(list(s.task.labels)):
                members = [e for e in pool if e.label == label and e not in chosen]
                if members:
                    chosen.append(s.pick(members))
    else:
        count = min(len(pool), int(s.rng.integers(1, 5)))
        chosen = [pool[int(i)] for i in s.rng.choice(len(pool), size=count, replace=False)]
    return s.prompt.edited(demos=[demo_of(e) for e in chosen], origin=f"{len(chosen)} fresh demos")


def swap_demo(s: Situation) -> Prompt | None:
    """Swap a demo of the label predicted too often for an example of the one predicted too rarely.

    The remedy for label collapse: a model that keeps giving one label has seen too much of it, or last.
    """
    excess = s.excess()
    labels_shown = {demo.output for demo in s.prompt.demos}
    over = [label for label in sorted(excess, key=lambda x: -excess[x]) if excess[label] > 0 and label in labels_shown]
    under = [label for label in sorted(excess, key=lambda x: excess[x]) if excess[label] < 0 and s.unused(label)]
    if not over or not under:
        return None
    label = under[int(s.rng.integers(min(2, len(under))))]
    places = [i for i, demo in enumerate(s.prompt.demos) if demo.output == over[0]]
    demos = list(s.prompt.demos)
    demos[places[int(s.rng.integers(len(places)))]] = demo_of(s.pick(s.unused(label)))
    return s.prompt.edited(demos=demos, origin=f"demo of '{over[0]}' swapped for '{label}'")


def replace_demo(s: Situation) -> Prompt | None:
    """Replace one demo by another example of the same label."""
    if not s.prompt.demos:
        return None
    place = int(s.rng.integers(len(s.prompt.demos)))
    label = s.prompt.demos[place].output if s.task.labels else None
    members = s.unused(label)
    if not members:
        return None
    demos = list(s.prompt.demos)
    demos[place] = demo_of(s.pick(members))
    return s.prompt.edited(demos=demos, origin="demo replaced")


def reorder_demos(s: Situation) -> Prompt | None:
    """Another order of the demos, the label predicted too often first (the last turns weigh most)."""
    if len(s.prompt.demos) < 2:
        return None
    demos = shuffled(s.prompt.demos, s.rng)
    excess = s.excess()
    if excess and s.rng.random() < 0.5:
        demos.sort(key=lambda demo: -excess.get(demo.output, 0.0))
    return s.prompt.edited(demos=demos, origin="demos reordered")


def drop_demo(s: Situation) -> Prompt | None:
    """Drop a demo of the label that is predicted too often."""
    excess = s.excess()
    if not s.prompt.demos:
        return None
    worst = max((demo.output for demo in s.prompt.demos), key=lambda label: excess.get(label, 0.0))
    places = [i for i, demo in enumerate(s.prompt.demos) if demo.output == worst]
    out = places[int(s.rng.integers(len(places)))]
    return s.prompt.edited(demos=[d for i, d in enumerate(s.prompt.demos) if i != out], origin="demo dropped")


def add_demo(s: Situation) -> Prompt | None:
    """Add a demo of the label that is predicted too rarely (any example where there are no labels)."""
    if len(s.prompt.demos) >= MAX_DEMOS:
        return None
    excess = s.excess()
    label = min(excess, key=lambda x: excess[x]) if excess else None
    members = s.unused(label)
    if not members:
        return None
    return s.prompt.edited(demos=[*s.prompt.demos, demo_of(s.pick(members))], origin="demo added")
