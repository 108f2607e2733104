"""Embeddings: vectors of texts from the embedded model or from an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..errors import ModelError, ModelSetupError, TransientModelError
from ..seeding import generator
from .client import ChatClient, reply_usage
from .embedded import embedded
from .names import ModelName, check_model, local_weights
from .retry import RetryPolicy, call_with_retries

TEXTS = 64
"""One request has at most so many texts."""

CHARACTERS, LOCAL_CHARACTERS = 200_000, 6_000
"""And so many characters in all, or one text. To the embedded model few: some seconds on a busy machine, so that none
is given up while it is being answered."""


@dataclass(frozen=True)
class Embedded:
    """Unit vectors, shape (n, size), and the tokens that a provider counted; None where it did not say."""

    vectors: np.ndarray
    tokens: int | None


async def embed(texts: Sequence[str], model: str = "local", base_url: str | None = None) -> np.ndarray:
    """Unit vectors, shape (n, size), in the order of `texts`, in as many requests as it takes, each of which is tried
    again where what is wrong may pass.

    `model`: see `embed_request`, which also says what it raises; ModelError where a request fails for good, or vectors
    differ in size.
    """
    rng = generator(0, "embeddings")
    found: list[np.ndarray] = []
    for some in in_requests(texts, local=check_model(model, base_url).local):
        attempt = partial(embed_request, some, model, base_url)
        found.append((await call_with_retries(attempt, RetryPolicy(), rng=rng)).vectors)
    return joined(found, model)


def in_requests(texts: Sequence[str], *, local: bool) -> list[list[str]]:
    """The texts in order, as many together as one request takes; `local`: to the embedded model."""
    requests: list[list[str]] = []
    most, room = LOCAL_CHARACTERS if local else CHARACTERS, 0
    for text in texts:
        room -= len(text)
        if not requests or room < 0 or len(requests[-1]) == TEXTS:
            requests.append([])
            room = most - len(text)
        requests[-1].append(text)
    return requests


def joined(found: Sequence[np.ndarray], model: str) -> np.ndarray:
    """The vectors of several requests as one table. Raises ModelError where they differ in size."""
    if not found:
        return np.zeros((0, 0), dtype=np.float32)
    if len({vectors.shape[1] for vectors in found}) != 1:
        raise ModelError(f"embedding model {model} gave vectors of different sizes")
    return np.concatenate(found)


async def embed_request(texts: Sequence[str], model: str = "local", base_url: str | None = None) -> Embedded:
    """Unit vectors in the order of `texts` by one request, with what it cost.

    `model`: `local` (the embedded model, 576 numbers a text) or `openai:MODEL`. Raises ModelSetupError for
    other providers and where the model cannot be used, otherwise what `ChatClient` raises; never retries.
    """
    name = check_model(model, base_url)
    if name.local:
        async with await embedded(local_weights(name)) as handle:
            return Embedded(await handle.embed(texts), None)
    if name.provider != "openai":
        raise ModelSetupError(f"embeddings come from openai:MODEL or local, not from '{name}'")
    return await _remote(texts, name)


async def _remote(texts: Sequence[str], name: ModelName) -> Embedded:
    client = ChatClient(name.base_url or "", name.api_key())
    asked = [text or " " for text in texts]  # providers refuse empty texts
    try:
        reply = await client.post("/embeddings", {"model": name.model, "input": asked})
    finally:
        await client.aclose()
    try:
        data = sorted(reply["data"], key=lambda row: row["index"])
        vectors = np.array([row["embedding"] for row in data], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise TransientModelError(f"{name} sent malformed embeddings", spent=True) from error
    if not np.isfinite(vectors).all():  # `null` reads as NaN
        raise TransientModelError(f"{name} sent embeddings that are not finite", spent=True)
    if vectors.ndim != 2 or len(vectors) != len(asked):
        raise TransientModelError(f"{name} sent {len(vectors)} embeddings for {len(asked)} texts", spent=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded((vectors / np.where(norms == 0, 1.0, norms)).astype(np.float32), reply_usage(reply)[0])
