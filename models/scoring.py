"""Label scoring: which label the model would begin its answer with, from one token's log-probabilities.

Constrained decoding spells a label letter by letter and is distorted by it; comparing the labels' first tokens is
one request of one token and asks the model what it would rather say. The label counts as it is written: adding
its lower-case and capitalised spellings was tried on five sets of labels and was no better on the whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import TransientModelError
from ..seeding import generator
from .embedded import EmbeddedModel

TOP_LOGPROBS = 150
GRAMMAR_MIN_TOKENS = 12
# Far above any difference of logits: the sampled token is then the likeliest first token of a label, even where
# that is outside the top. Reported log-probabilities are taken before the bias.
LABEL_BIAS = 1000.0


async def first_tokens(model: EmbeddedModel, labels: Sequence[str]) -> dict[str, int] | None:
    """The first token of every label; None where two labels share one, so that they cannot be scored."""
    tokens: dict[str, int] = {}
    for label in dict.fromkeys(labels):
        ids = await model.tokenize(label)
        if not ids or ids[0] in tokens.values():
            return None
        tokens[label] = ids[0]
    return tokens


def scoring_options(tokens: Mapping[str, int]) -> dict[str, Any]:
    """What to add to a chat request so that its reply can be scored."""
    return {
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
        "logit_bias": [[token, LABEL_BIAS] for token in tokens.values()],
    }


def grammar_options(choices: Sequence[str]) -> dict[str, Any]:
    """What to add to a chat request so that its reply is one of `choices`."""
    longest = max(len(choice.encode()) for choice in choices)
    rule = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return {"max_tokens": max(GRAMMAR_MIN_TOKENS, longest + 2), "grammar": f"root ::= {rule}"}


def label_logprobs(reply: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, float]:
    """A log-probability per label, normalised over the labels; labels outside the top get the top's lowest.

    Raises `TransientModelError` where the reply carries no log-probabilities.
    """
    try:
        entry = reply["choices"][0]["logprobs"]["content"][0]
        known = {int(top["id"]): float(top["logprob"]) for top in entry["top_logprobs"]}
        floor = min(known.values())
        known[int(entry["id"])] = float(entry["logprob"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise TransientModelError("the local model's reply carries no log-probabilities", spent=True) from error
    raw = np.array([known.get(token, floor) for token in tokens.values()])
    shifted = raw - raw.max()
    scaled = shifted - np.log(np.exp(shifted).sum())
    return dict(zip(tokens, scaled.tolist(), strict=True))


def choose(logprobs: Mapping[str, float], temperature: float, seed: int, *path: object) -> str:
    """The likeliest label, or one drawn at `temperature` by the generator of (seed, path)."""
    labels = list(logprobs)
    values = np.array([logprobs[label] for label in labels])
    if temperature <= 0:
        return labels[int(values.argmax())]
    weights = np.exp((values - values.max()) / temperature)
    return labels[int(generator(seed, *path).choice(len(labels), p=weights / weights.sum()))]
