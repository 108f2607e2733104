"""Embeddings: vectors of texts from the embedded model or from an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelSetupError, TransientModelError
from .client import ChatClient
from .embedded import embedded
from .names import ModelName, check_model, local_weights

BATCH = 64


async def embed(texts: Sequence[str], model: str = "local", base_url: str | None = None) -> np.ndarray:
    """Unit vectors, shape (n, size), in the order of `texts`.

    `model`: `local` (the embedded model, 576 numbers a text) or `openai:MODEL`. Raises ModelSetupError for
    other providers and where the model cannot be used, otherwise what `ChatClient` raises; never retries.
    """
    name = check_model(model, base_url)
    if name.local:
        async with await embedded(local_weights(name)) as handle:
            return await handle.embed(texts)
    if name.provider != "openai":
        raise ModelSetupError(f"embeddings come from openai:MODEL or local, not from '{name}'")
    return await _remote(texts, name)


async def _remote(texts: Sequence[str], name: ModelName) -> np.ndarray:
    client = ChatClient(name.base_url or "", name.api_key())
    rows: list[np.ndarray] = []
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
    finally:
        await client.aclose()
    if not rows:
        return np.zeros((0, 0), dtype=np.float32)
    found = np.concatenate(rows)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return (found / np.where(norms == 0, 1.0, norms)).astype(np.float32)
