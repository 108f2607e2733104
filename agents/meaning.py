"""Whether two instructions say the same, judged by their words: models repeat an idea in other wordings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

WORD = re.compile(r"[^\W_]{3,}")
STEM = 6
"""Words are compared by so many first letters, so that `charge` and `charging` count as one."""

ALIKE = 0.6
"""Two instructions say the same when at least this share of the rarer words of the shorter one is in the other."""

COMMON = frozenset(
    [
        "about",
        "all",
        "also",
        "and",
        "any",
        "answer",
        "are",
        "asked",
        "belong",
        "below",
        "but",
        "can",
        "case",
        "choose",
        "class",
        "classi",
        "consid",
        "count",
        "does",
        "either",
        "even",
        "every",
        "exactl",
        "for",
        "from",
        "give",
        "goes",
        "has",
        "have",
        "how",
        "if",
        "instea",
        "into",
        "its",
        "label",
        "like",
        "mean",
        "must",
        "never",
        "not",
        "one",
        "only",
        "other",
        "output",
        "reply",
        "respon",
        "return",
        "rule",
        "should",
        "such",
        "text",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "these",
        "they",
        "this",
        "those",
        "treat",
        "under",
        "use",
        "used",
        "user",
        "using",
        "usuall",
        "via",
        "what",
        "when",
        "whenev",
        "where",
        "which",
        "who",
        "will",
        "with",
        "word",
        "write",
        "you",
        "your",
    ]
)


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """The stems of a text's words that carry meaning."""
    stems = {word.lower()[:STEM] for word in WORD.findall(text)}
    return frozenset(stems - COMMON)


def same_meaning(one: str, other: str, labels: Sequence[str] = ()) -> bool:
    """Whether two instructions say the same: they name the same labels and share most of their other words.

    The labels decide because two rules that differ in nothing else say opposite things.
    """
    labels = tuple(labels)
    names, others = _named(one, labels), _named(other, labels)
    if names != others or _turns(one) != _turns(other):
        return False
    of_labels = words(" ".join(labels))
    a, b = words(one) - of_labels, words(other) - of_labels
    if not a or not b:
        return one.strip().casefold() == other.strip().casefold() or (not a and not b and bool(names))
    return len(a & b) >= max(1.0, ALIKE * min(len(a), len(b)))


@lru_cache(maxsize=4096)
def _named(text: str, labels: tuple[str, ...]) -> frozenset[str]:
    """The labels that stand in a text as whole words."""
    said = text.casefold()
    return frozenset(label for label in labels if re.search(rf"(?<!\w){re.escape(label.casefold())}(?!\w)", said))


TURNING = re.compile(r"\d+|\b(?:not|never|no|only|without|except|unless|don't)\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _turns(text: str) -> list[str]:
    """Numbers and words that turn a sentence into its opposite, in order."""
    return sorted(found.lower() for found in TURNING.findall(text))


def said_before(text: str, earlier: Iterable[str], labels: Sequence[str] = ()) -> bool:
    """Whether one of the earlier instructions says the same."""
    return any(same_meaning(text, other, labels) for other in earlier)
