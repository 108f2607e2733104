"""Label scoring: which label the model would begin its answer with, from one token's log-probabilities.

Constrained decoding spells a label letter by letter and is distorted by it; comparing the labels' first tokens is
one request of one token and asks the model what it would rather say. A label counts as it is written, in lower
case and capitalised: models like to begin an answer with a capital, and a label that may not loses its vote
(six tasks, three short prompts each: 0.45 right against 0.38 by the written form alone).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TransientModelError
from ..seeding import generator
from .embedded import EmbeddedModel

TOP_LOGPROBS = 150
GRAMMAR_MIN_TOKENS = 12
# Far above any difference of logits. Reported log-probabilities are taken before the bias.
BIAS = 1000.0


@dataclass(frozen=True)
class FirstTokens:
    """For each label the tokens it may begin with, and the tokens of which one is to be sampled.

    The sampled token is reported even where it is outside the top, so it is best one of the labels' own. But it
    must be whole characters: a reply that ends in half a character comes without log-probabilities.
    """

    labels: Mapping[str, tuple[int, ...]]
    sampled: tuple[int, ...]


async def first_tokens(model: EmbeddedModel, labels: Sequence[str]) -> FirstTokens | None:
    """The tokens that each label may begin with; None where two labels share one, so that they cannot be scored.

    The lower-case and the capitalised spelling count where they tell all labels apart, else for no label.
    """
    tokens: dict[str, tuple[int, ...]] = dict.fromkeys(labels, ())
    bytes_of: dict[int, bytes] = {}
    for spell in (str, str.lower, str.capitalize):
        firsts = [(await model.pieces(spell(label)))[:1] for label in tokens]
        bytes_of |= dict(first[0] for first in firsts if first)
        ids = [{token for token, _ in first} for first in firsts]
        grown = [tuple(sorted(own.union(known))) for own, known in zip(ids, tokens.values(), strict=True)]
        together = [token for own in grown for token in own]
        if all(firsts) and len(together) == len(set(together)):
            tokens = dict(zip(tokens, grown, strict=True))
        elif spell is str:
            return None
    whole = [token for own in tokens.values() for token in own if _is_text(bytes_of[token])]
    return FirstTokens(tokens, tuple(whole or await model.tokenize("A")))


def scoring_options(tokens: FirstTokens) -> dict[str, Any]:
    """What to add to a chat request so that its reply can be scored."""
    return {
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
        "logit_bias": [[token, BIAS] for token in tokens.sampled],
    }


def grammar_options(choices: Sequence[str]) -> dict[str, Any]:
    """What to add to a chat request so that its reply is one of `choices`, spelled in at most a token a byte."""
    longest = max(len(choice.encode()) for choice in choices)
    rule = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return {"max_tokens": max(GRAMMAR_MIN_TOKENS, longest + 2), "grammar": f"root ::= {rule}"}


def label_logprobs(reply: Mapping[str, Any], tokens: FirstTokens) -> dict[str, float]:
    """A log-probability (natural) per label, normalised over the labels; one outside the top gets the top's lowest.

    Raises `TransientModelError` where the reply carries no log-probabilities.
    """
    try:
        entry = reply["choices"][0]["logprobs"]["content"][0]
        known = {int(top["id"]): float(top["logprob"]) for top in entry["top_logprobs"]}
        floor = min(known.values())
        known[int(entry["id"])] = float(entry["logprob"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise TransientModelError("the local model's reply carries no log-probabilities", spent=True) from error
    found = [[known[token] for token in own if token in known] or [floor] for own in tokens.labels.values()]
    raw = np.array([np.logaddexp.reduce(values) for values in found])
    return dict(zip(tokens.labels, (raw - np.logaddexp.reduce(raw)).tolist(), strict=True))


def choose(logprobs: Mapping[str, float], temperature: float, seed: int, *path: object) -> str:
    """The likeliest label, or one drawn at `temperature` by the generator of (seed, path)."""
    labels = list(logprobs)
    values = np.array([logprobs[label] for label in labels])
    if temperature <= 0:
        return labels[int(values.argmax())]
    weights = np.exp((values - values.max()) / temperature)
    return labels[int(generator(seed, *path).choice(len(labels), p=weights / weights.sum()))]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
