"""Which labels a set of answers has, and which a task can have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .text_metrics import normal


def labels_problem(labels: Iterable[str]) -> str:
    """Why these cannot be a task's labels, in words; empty where they can."""
    seen: set[str] = set()
    for label in labels:
        if not label.strip():
            return "a label is empty"
        if label.casefold() in seen:
            return f"label '{label}' is given twice"
        seen.add(label.casefold())
    return ""


def found_labels(answers: Iterable[object]) -> tuple[str, ...]:
    """The different answers in alphabetical order; of several spellings (case, spaces) the most frequent one."""
    spellings = Counter(str(answer).strip() for answer in answers)
    labels: dict[str, str] = {}
    for text in sorted(spellings, key=lambda text: (-spellings[text], text)):
        labels.setdefault(normal(text), text)
    return tuple(sorted(labels.values(), key=lambda label: (label.casefold(), label)))
