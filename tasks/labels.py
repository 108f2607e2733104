"""Which labels a set of answers has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .text_metrics import normal


def found_labels(answers: Iterable[object]) -> tuple[str, ...]:
    """The different answers in alphabetical order; of several spellings (case, spaces) the most frequent one."""
    spellings = Counter(str(answer).strip() for answer in answers)
    labels: dict[str, str] = {}
    for text in sorted(spellings, key=lambda text: (-spellings[text], text)):
        labels.setdefault(normal(text), text)
    return tuple(sorted(labels.values(), key=lambda label: (label.casefold(), label)))
