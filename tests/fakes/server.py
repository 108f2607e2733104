"""A scripted OpenAI-compatible model server on a loopback port, whose answers depend on the request alone.

In a test:

    with FakeServer(rule_for(examples, gains={"one word": 0.3}), Faults({"500": 0.1})) as server:
        target = make_target("openai:fake", task, base_url=server.url)

As a process (prints its address; for tests that kill the client):

    python -m sage_spo.tests.fakes.server --examples examples.jsonl --port 8901 --gains '{"one word": 0.3}'
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from sage_spo.seeding import digest, generator

from .answers import Answer, rule_from_file
from .faults import Fault, Faults
from .loopback import Loopback

EMBEDDING_SIZE = 64
STATUS: dict[Fault, int] = {"429": 429, "429 wait": 429, "quota": 429, "500": 500, "503": 503}


@dataclass(frozen=True)
class Logged:
    """One request as it came in: `digest` of its body, how often that body had come before, what met it."""

    path: str
    digest: str
    attempt: int
    fault: Fault | str | None
    body: dict[str, Any]


class FakeServer(Loopback):
    """The server.

    `rps` limits requests per second (429 beyond it), `latency` delays every answer by so many seconds, `key` is
    the only key accepted (any, where None; the refusal repeats the key sent, as careless gateways do).
    """

    path = "/v1"

    def __init__(
        self,
        answer: Answer = lambda request: "ok",
        faults: Faults | None = None,
        *,
        rps: float | None = None,
        latency: float = 0.0,
        key: str | None = None,
        port: int = 0,
        embedding_size: int = EMBEDDING_SIZE,
    ) -> None:
        self.answer = answer
        self.faults = faults or Faults()
        self.rps, self.latency, self.key = rps, latency, key
        self.embedding_size = embedding_size
        self.log: list[Logged] = []
        self.peak = 0
        """Most requests under way at once."""
        self.down_at: int | None = None
        """After so many requests the server is down once, for `down_for` seconds."""
        self.down_for = 0.0
        self.down_as: Fault | None = None
        """What every request meets then; None: the port is closed, and every connection."""
        self.counts_tokens = True
        """Whether replies say how many tokens they took."""
        self._down_until = 0.0
        self.port = port
        self._seen: Counter[str] = Counter()
        self._under_way = 0
        self._recent: deque[float] = deque()

    @property
    def counts(self) -> Counter[str]:
        """How often each body came."""
        return Counter(logged.digest for logged in self.log)

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of all chat requests in order."""
        return [logged.body for logged in self.log if logged.path == "/v1/chat/completions"]

    def wait_for_requests(self, count: int, seconds: float = 10.0) -> None:
        """Return when so many requests have come in (blocks; for tests that act while a call is under way)."""
        end = time.monotonic() + seconds
        while len(self.log) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.log)} of {count} requests came in {seconds:g} s")
            time.sleep(0.005)

    def all_requests(self, quiet: float = 0.5) -> int:
        """How many requests have come in, once none has for so many seconds: those that a killed process sent just
        before its end are read a little later (blocks)."""
        before = -1
        while (now := len(self.log)) != before:
            before = now
            time.sleep(quiet)
        return now

    def application(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/embeddings", self._handle)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "fake", "object": "model"}]})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key is not None and key != self.key:
            return error(401, f"Incorrect API key provided: {key}", "invalid_api_key")
        sent = digest(json.dumps(body, sort_keys=True))
        attempt, self._seen[sent] = self._seen[sent], self._seen[sent] + 1
        if self.down_at is not None and len(self.log) >= self.down_at:
            self._go_down()
        fault = self.faults.hits(sent, attempt, len(self.log))
        fault = self.down_as if time.monotonic() < self._down_until else fault
        limited = self._limited()
        self.log.append(Logged(request.path, sent, attempt, "limit" if limited else fault, body))
        if limited:
            return error(429, "Rate limit reached", "rate_limit_exceeded", {"Retry-After": "0.2"})
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        try:
            await asyncio.sleep(self.latency)
            return await self._respond(request, body, fault)
        finally:
            self._under_way -= 1

    def _go_down(self) -> None:
        self.down_at = None
        if self.down_as is None:
            threading.Thread(target=self._die_for_a_while, daemon=True).start()
        else:
            self._down_until = time.monotonic() + self.down_for

    def _die_for_a_while(self) -> None:
        self.close()
        time.sleep(self.down_for)
        self.open()

    def _limited(self) -> bool:
        if self.rps is None:
            return False
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= 1.0:
            self._recent.popleft()
        if len(self._recent) >= self.rps:
            return True
        self._recent.append(now)
        return False

    async def _respond(self, request: web.Request, body: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        if fault in STATUS:
            code = "insufficient_quota" if fault == "quota" else "scripted"
            headers = {"Retry-After": "0.2"} if fault == "429 wait" else {}
            return error(STATUS[fault], f"scripted {fault}", code, headers)
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault == "html":
            return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
        reply = self._embeddings(body) if request.path.endswith("/embeddings") else self._chat(body, fault)
        text = json.dumps(reply)
        if fault == "large":
            text = json.dumps(reply | {"padding": "x" * 5_500_000})
        if fault == "malformed":
            text = text[: len(text) // 2]
        if fault not in ("truncated", "trickle"):
            return web.Response(text=text, content_type="application/json")
        return await self._piecewise(request, text.encode(), whole=fault == "trickle")

    async def _piecewise(self, request: web.Request, data: bytes, *, whole: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
        await response.prepare(request)
        if whole:
            with suppress(ConnectionResetError):  # whoever asked has had enough
                for byte in data:
                    await response.write(bytes([byte]))
                    await asyncio.sleep(0.2)
        else:
            await response.write(data[: len(data) // 2])
            assert request.transport is not None
            request.transport.abort()
        return response

    def _chat(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        text = self.answer(body)
        message = {"role": "assistant", "content": text, "refusal": None}
        if fault == "refusal":
            message |= {"content": None, "refusal": "I cannot help with that."}
        choices = [] if fault == "empty" else [{"index": 0, "message": message, "finish_reason": "stop"}]
        read, written = sum(len(str(m.get("content"))) // 4 + 4 for m in body["messages"]), len(text) // 4 + 1
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return {
            "id": digest(json.dumps(body, sort_keys=True))[:12],
            "object": "chat.completion",
            "created": 0,
            "model": body.get("model", "fake"),
            "choices": choices,
            **({"usage": usage} if self.counts_tokens else {}),
        }

    def _embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        rows = [
            {"object": "embedding", "index": i, "embedding": embedding(str(t), self.embedding_size)}
            for i, t in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return {"object": "list", "model": body.get("model", "fake"), "data": rows, "usage": usage}


def embedding(text: str, size: int = EMBEDDING_SIZE) -> list[float]:
    """A unit vector: the sum of a fixed random one per word, so that texts with common words are close."""
    total = np.sum([np.zeros(size), *(_of_word(word, size) for word in text.lower().split())], axis=0)
    return (total / (np.linalg.norm(total) or 1.0)).tolist()


@lru_cache(maxsize=10_000)
def _of_word(word: str, size: int) -> np.ndarray:
    return generator(0, word).standard_normal(size)


def error(status: int, message: str, code: str, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal in OpenAI's form."""
    detail = {"error": {"message": message, "type": code, "code": code}}
    return web.json_response(detail, status=status, headers=headers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--base", type=float, default=0.4)
    parser.add_argument("--gains", type=json.loads, default={})
    parser.add_argument("--faults", type=json.loads, default={}, help='rates, such as {"500": 0.1}')
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rps", type=float)
    parser.add_argument("--down-at", type=int, help="be down once, after so many requests")
    parser.add_argument("--down-for", type=float, default=30.0, help="for so many seconds")
    parser.add_argument("--latency", type=float, default=0.0)
    options = parser.parse_args()
    rule = rule_from_file(options.examples, base=options.base, gains=options.gains, seed=options.seed)
    faults = Faults(options.faults, seed=options.seed)
    with FakeServer(rule, faults, rps=options.rps, latency=options.latency, port=options.port) as server:
        server.down_at, server.down_for = options.down_at, options.down_for
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
