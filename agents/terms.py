"""Which words set one group of texts apart from the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..tasks.example import Example

WORD = re.compile(r"[^\W\d_]{3,}")


def distinguishing_terms(examples: Sequence[Example], labels: Sequence[str], count: int) -> dict[str, list[str]]:
    """For each label the words that speak for it most: by z-score of the log-odds with an informative prior.

    A word counts once per text. Only words of at least two of the label's texts and a z-score above 1 are given.
    Source: Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16 (2008) 372-403, section 3.5.
    """
    by_label = {label: Counter[str]() for label in labels}
    for example in examples:
        if example.label in by_label:
            by_label[example.label].update({word.lower() for word in WORD.findall(example.input)})
    total = sum(by_label.values(), Counter[str]())
    if len(total) < 2:  # a single word sets nothing apart
        return {label: [] for label in labels}
    prior = 10.0 / max(1, sum(total.values()))
    terms: dict[str, list[str]] = {}
    for label, words in by_label.items():
        inside, everything = sum(words.values()), sum(total.values())
        scored: list[tuple[float, str]] = []
        for word, n in words.items():
            a, rest = prior * total[word], total[word] - n
            here = np.log((n + a) / (inside + 10 - n - a))
            there = np.log((rest + a) / (everything - inside + 10 - rest - a))
            z = (here - there) / np.sqrt(1 / (n + a) + 1 / (rest + a))
            if n >= 2 and z > 1:
                scored.append((-float(z), word))
        terms[label] = [word for _, word in sorted(scored)[:count]]
    return terms
