"""Whether a text copies examples: by shared runs of words, counted and not guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

RUN = 6
"""A run of so many words that a text shares with an example is a copy of it."""

LEAST = 3
"""An example of fewer words is too short to be told from plain language."""

SPACELESS = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
"""Scripts that put no spaces between words: there every character counts as a word."""

WORD = re.compile(rf"[{SPACELESS}]|[^\W_{SPACELESS}]+")


class Copies:
    """Finds what a text copied from examples. Runs of words that many examples share are the task's own language."""

    def __init__(self, inputs: Iterable[str]) -> None:
        runs: Counter[tuple[str, ...]] = Counter()
        count = 0
        for text in inputs:
            count += 1
            runs.update(_runs(text))
        often = max(3, count // 20)
        self._runs = {run for run, n in runs.items() if n < often}
        self._short = {run for run in self._runs if len(run) < RUN}

    def found(self, text: str, parent: str = "") -> str:
        """The first copied run of words, or "" where there is none; what stood in the parent's text is no news."""
        theirs = _words(text)
        old = _words(parent)
        known = {old[i : i + n] for n in {RUN, *map(len, self._short)} for i in range(len(old) - n + 1)}
        for n in sorted({RUN, *map(len, self._short)}, reverse=True):
            for i in range(len(theirs) - n + 1):
                run = theirs[i : i + n]
                if run in self._runs and run not in known:
                    return " ".join(run)
        return ""


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORD.findall(text))


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    if len(words) < RUN:
        return {words} if len(words) >= LEAST else set()
    return {words[i : i + RUN] for i in range(len(words) - RUN + 1)}
