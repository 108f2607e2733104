"""Choosing among labels by their scores: one request, one token, the label whose first token is likeliest.

Constrained greedy decoding spells a label letter by letter and is distorted where no examples are shown; scoring
is not, and it says how sure the model is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError
from .embedded import EmbeddedModel

TOP = 150
FLOOR = 1.0
"""A token outside the reported ones is taken to be this much (natural log) below the last one."""

ANY_LETTER = "root ::= [a-zA-Z]"
"""What the one sampled token must be. The scores are read before sampling; without this, a first token that is
half a character (or the end) would come back without any."""


@dataclass(frozen=True)
class LabelTokens:
    """For each label the ids of the tokens it may begin with: as written, in lower case, capitalised."""

    labels: tuple[str, ...]
    tokens: tuple[frozenset[int], ...]


async def label_tokens(model: EmbeddedModel, labels: Sequence[str]) -> LabelTokens | None:
    """The first tokens of every label; None where two labels begin alike and cannot be told apart by one token."""
    found: list[frozenset[int]] = []
    for label in labels:
        spellings = dict.fromkeys((label, label.lower(), label.capitalize()))
        found.append(frozenset([(await model.tokenize(spelling))[0] for spelling in spellings]))
    everything = [token for tokens in found for token in tokens]
    if len(everything) != len(set(everything)):
        return None
    return LabelTokens(tuple(labels), tuple(found))


def scoring_request() -> dict[str, Any]:
    """What a chat payload needs for label scores to be read from its reply."""
    return {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": TOP, "grammar": ANY_LETTER}


def label_scores(reply: Mapping[str, Any], tokens: LabelTokens) -> dict[str, float]:
    """Log-probability (natural) of each label: of any of its first tokens. Raises ModelError without scores."""
    try:
        top = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        logprobs = {int(entry["id"]): float(entry["logprob"]) for entry in top}
    except (KeyError, IndexError, TypeError, ValueError):
        raise ModelError("the embedded model gave no token scores") from None
    floor = min(logprobs.values(), default=0.0) - FLOOR
    return {
        label: float(np.logaddexp.reduce([logprobs.get(token, floor) for token in sorted(ids)]))
        for label, ids in zip(tokens.labels, tokens.tokens, strict=True)
    }


def choice_grammar(choices: Sequence[str]) -> str:
    """A llama.cpp grammar (GBNF) that allows exactly the choices."""
    quoted = ['"' + choice.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' for choice in choices]
    return "root ::= " + " | ".join(quoted)
