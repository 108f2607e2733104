"""An OpenAI-compatible server that answers every request alike after a fixed time, as cheaply as Python can.

    python benchmarks/fixed_latency_server.py --latency 0.02      # prints its address, serves until standard input ends

A bare protocol, without a web framework: it must cost less than the clients that are measured against it. It knows
HTTP/1.1 with Content-Length and keep-alive, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import deque
from functools import partial


def response(text: str) -> bytes:
    """A whole HTTP response with a chat completion of this text."""
    message = {"role": "assistant", "content": text, "refusal": None}
    reply = {
        "id": "chatcmpl-fixed",
        "object": "chat.completion",
        "created": 0,
        "model": "fixed",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 61, "completion_tokens": 1, "total_tokens": 62},
    }
    body = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class FixedLatency(asyncio.Protocol):
    """One connection. Requests on it are answered in order, each `latency` seconds after its last byte."""

    def __init__(self, latency: float, response: bytes) -> None:
        self._latency = latency
        self._response = response
        self._loop = asyncio.get_running_loop()
        self._seen = b""
        self._due: deque[asyncio.TimerHandle] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        seen = self._seen + data if self._seen else data
        while (head := seen.find(b"\r\n\r\n")) >= 0:
            at = seen[:head].lower().find(b"content-length:")
            size = int(seen[at + 15 : head].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(seen) < head + 4 + size:
                break
            seen = seen[head + 4 + size :]
            if self._latency:
                self._due.append(self._loop.call_later(self._latency, self._answer))
            else:
                self._transport.write(self._response)
        self._seen = seen

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._due:
            timer.cancel()

    def _answer(self) -> None:
        self._due.popleft()
        self._transport.write(self._response)


async def serve(latency: float, port: int, reply: str) -> None:
    """Serve until standard input ends; the address is the first line on standard output."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(FixedLatency, latency, response(reply)), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds from request to answer (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--reply", default="refund", help="the text of every answer (%(default)s)")
    options = parser.parse_args()
    asyncio.run(serve(options.latency, options.port, options.reply))


if __name__ == "__main__":
    main()
