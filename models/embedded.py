"""The embedded model: SmolLM2-135M-Instruct (or any GGUF file) served by two processes of this machine.

The same request gets the same answer, whatever was asked before and whichever process takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import TransientModelError
from .client import ChatClient
from .embedded_process import ALIAS, BATCH_TOKENS
from .embedded_servers import ServerGroup, ServerProcess, bundled_weights, servers

CONNECTIONS = 64
DIMENSIONS = 576
SPECIAL_TOKENS = 8
"""Room left in a chunk to embed, for what the model puts around it."""


async def embedded(weights: Path | None = None) -> EmbeddedModel:
    """A handle on the embedded model, whose processes are started with the first call and shared by all handles.

    A handle belongs to one event loop; close it there. Raises `ModelSetupError` where the library or the weights
    are missing.
    """
    return EmbeddedModel(await asyncio.to_thread(servers, bundled_weights() if weights is None else weights))


class EmbeddedModel:
    """Chat, embeddings and tokens from the embedded model."""

    def __init__(self, group: ServerGroup) -> None:
        self._group = group
        self._clients: dict[str, ChatClient] = {}

    async def __aenter__(self) -> EmbeddedModel:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def chat(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a chat request: OpenAI's, or llama.cpp's own fields such as `grammar`.

        Raises `ModelError` where the request does not fit into the model's context of 8,192 tokens.
        """
        texts = [str(message["content"]) for message in payload["messages"]]
        body = {"model": ALIAS, **payload}
        with self._group.router.place(texts[:-1], texts[-1], int(payload.get("max_tokens") or 1)) as chosen:
            return await self._ask(self._group.processes[chosen], lambda client: client.chat(body))

    async def tokenize(self, text: str) -> list[int]:
        """The token ids of `text` as it would stand at the start of an answer."""
        return [token for token, _ in await self.pieces(text)]

    async def pieces(self, text: str) -> list[tuple[int, bytes]]:
        """The tokens of `text`, each with the bytes it stands for (which need not be whole characters)."""
        body = {"content": text, "add_special": False, "with_pieces": True}
        reply = await self._ask(self._group.processes[0], lambda client: client.post("/tokenize", body))
        found: list[tuple[int, bytes]] = []
        for token in reply["tokens"]:
            piece = token["piece"]
            found.append((int(token["id"]), piece.encode() if isinstance(piece, str) else bytes(piece)))
        return found

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, shape (n, 576): the mean over a text's tokens (of its chunks, where it is long)."""
        rows = await asyncio.gather(*(self._embed(text) for text in texts))
        return np.stack(rows) if rows else np.zeros((0, DIMENSIONS), dtype=np.float32)

    async def url(self) -> str:
        """The base URL of one process, for clients other than this one (those of agents: they ask one at a time)."""
        process = self._group.processes[-1]
        return process.running_url or await asyncio.to_thread(process.url)

    async def aclose(self) -> None:
        """Close this handle's connections; the processes stay for others."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def _embed(self, text: str) -> np.ndarray:
        tokens = await self.tokenize(text) or [0]
        size = BATCH_TOKENS - SPECIAL_TOKENS
        chunks = [tokens[start : start + size] for start in range(0, len(tokens), size)]
        body = {"model": ALIAS, "input": chunks}
        with self._group.router.place([], text, 1) as chosen:
            reply = await self._ask(self._group.processes[chosen], lambda client: client.post("/v1/embeddings", body))
        try:
            rows = np.array([row["embedding"] for row in reply["data"]], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise TransientModelError("the embedded model sent no embeddings", spent=True) from error
        mean = np.average(rows, axis=0, weights=[len(chunk) for chunk in chunks])
        return (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)

    async def _ask(
        self, process: ServerProcess, call: Callable[[ChatClient], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        url = process.running_url or await asyncio.to_thread(process.url)
        client = self._clients.get(url)
        if client is None:
            # llama.cpp answers chats there too, and knows /tokenize only there.
            client = self._clients[url] = ChatClient(url.removesuffix("/v1"), concurrency=CONNECTIONS)
        try:
            return await call(client)
        except TransientModelError as error:
            if process.running_url is None:
                message = "the embedded model's process ended; the next call starts it again"
                raise TransientModelError(message) from error
            raise
