"""Embeddings: vectors of texts from the embedded model or from an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ModelSetupError, TransientModelError
from .client import ChatClient, reply_usage
from .embedded import embedded
from .names import ModelName, check_model, local_weights

BATCH = 64


@dataclass(frozen=True)
class Embedded:
    """Unit vectors, shape (n, size), and the tokens that a provider counted; None where it did not say."""

    vectors: np.ndarray
    tokens: int | None


async def embed(texts: Sequence[str], model: str = "local", base_url: str | None = None) -> np.ndarray:
    """Unit vectors, shape (n, size), in the order of `texts` (see `embedded_texts`)."""
    return (await embedded_texts(texts, model, base_url)).vectors


async def embedded_texts(texts: Sequence[str], model: str = "local", base_url: str | None = None) -> Embedded:
    """Unit vectors in the order of `texts`, with what they cost.

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
    rows: list[np.ndarray] = []
    counted: list[int | None] = []
    try:
        for start in range(0, len(texts), BATCH):
            batch = [text or " " for text in texts[start : start + BATCH]]  # providers refuse empty texts
            reply = await client.post("/embeddings", {"model": name.model, "input": batch})
            try:
                data = sorted(reply["data"], key=lambda row: row["index"])
                vectors = np.array([row["embedding"] for row in data], dtype=np.float64)
            except (KeyError, TypeError, ValueError) as error:
                raise TransientModelError(f"{name} sent malformed embeddings", spent=True) from error
            if not np.isfinite(vectors).all():  # `null` reads as NaN
                raise TransientModelError(f"{name} sent embeddings that are not finite", spent=True)
            if vectors.ndim != 2 or len(vectors) != len(batch):
                raise TransientModelError(f"{name} sent {len(vectors)} embeddings for {len(batch)} texts", spent=True)
            rows.append(vectors)
            counted.append(reply_usage(reply)[0])
    finally:
        await client.aclose()
    if not rows:
        return Embedded(np.zeros((0, 0), dtype=np.float32), 0)
    found = np.concatenate(rows)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    known = [n for n in counted if n is not None]
    tokens = sum(known) if len(known) == len(counted) else None
    return Embedded((found / np.where(norms == 0, 1.0, norms)).astype(np.float32), tokens)
