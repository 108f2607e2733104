"""The embedded model: SmolLM2-135M-Instruct (or any GGUF file) served by two processes of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import ModelError, TransientModelError
from ..seeding import digest
from .client import ChatClient
from .embedded_process import ALIAS, EMBEDDING_TOKENS
from .embedded_servers import ServerProcess, bundled_weights, servers

CONNECTIONS = 8


async def embedded(weights: Path | None = None) -> EmbeddedModel:
    """A handle on the embedded model, whose processes are started with the first call and shared by all handles.

    A handle belongs to one event loop; close it there. Raises `ModelSetupError` where the library or the weights
    are missing.
    """
    group = await asyncio.to_thread(servers, bundled_weights() if weights is None else weights)
    return EmbeddedModel(group)


class EmbeddedModel:
    """Chat, embeddings and tokens from the embedded model.

    Requests with the same route go to the same process, so that the part of the prompt they share is read once.
    """

    def __init__(self, group: Sequence[ServerProcess]) -> None:
        self._group = tuple(group)
        self._clients: dict[str, ChatClient] = {}

    async def __aenter__(self) -> EmbeddedModel:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def chat(self, payload: Mapping[str, Any], route: str | None = None) -> dict[str, Any]:
        """The reply to a chat request; `route` defaults to everything before the last message.

        Raises `ModelError` where the request does not fit into the model's context.
        """
        key = digest(*payload["messages"][:-1]) if route is None else route
        return await self._post("/chat/completions", {"model": ALIAS, **payload}, key)

    async def tokenize(self, text: str) -> list[int]:
        """The token ids of `text` as it would stand at the start of an answer."""
        reply = await self._post("/tokenize", {"content": text, "add_special": False}, "")
        return [int(token) for token in reply["tokens"]]

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, shape (n, 576): the mean over a text's tokens (of its chunks, where it is long)."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        return np.stack(await asyncio.gather(*(self._embed(text) for text in texts)))

    async def url(self, route: str = "") -> str:
        """The base URL of the process that serves `route`, for clients other than this one."""
        return await self._url(self._server(route))

    async def aclose(self) -> None:
        """Close this handle's connections; the processes stay for others."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()

    async def _embed(self, text: str) -> np.ndarray:
        tokens = await self.tokenize(text) or [0]
        size = EMBEDDING_TOKENS - 8
        chunks = [tokens[start : start + size] for start in range(0, len(tokens), size)]
        reply = await self._post("/embeddings", {"model": ALIAS, "input": chunks}, text)
        rows = np.array([row["embedding"] for row in reply["data"]], dtype=np.float64)
        mean = np.average(rows, axis=0, weights=[len(chunk) for chunk in chunks])
        return (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)

    async def _post(self, path: str, payload: Mapping[str, Any], route: str) -> dict[str, Any]:
        server = self._server(route)
        url = await self._url(server)
        if path == "/tokenize":
            url = url.removesuffix("/v1")
        client = self._clients.get(url)
        if client is None:
            client = self._clients[url] = ChatClient(url, concurrency=CONNECTIONS)
        try:
            if path == "/chat/completions":
                return await client.chat(payload)
            return await client.post(path, payload)
        except TransientModelError as error:
            if server.running_url is None:
                raise TransientModelError("the embedded model's process ended; the next call starts it again") from error
            raise

    async def _url(self, server: ServerProcess) -> str:
        return server.running_url or await asyncio.to_thread(server.url)

    def _server(self, route: str) -> ServerProcess:
        return self._group[int(digest(route), 16) % len(self._group)]
