"""e2b's own client, with a bound on what it reads from the inside of a sandbox. Takes a second to import.

Everything that answers on a sandbox's ports may have been replaced by the code that ran there, so that neither the
length of a stream, nor its compression, nor the shape of its lines can be trusted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from e2b.api.client_async import get_transport
from e2b_code_interpreter import AsyncSandbox

_MARKS = 50_000
"""Of `[`, `{` and `,` in a whole stream: parsed, each becomes a value that takes far more than its byte. Ours is
base64, which has none of them."""


class TooMuch(Exception):
    """A sandbox sent more than any honest one does, or what no honest one sends."""


class Lost(Exception):
    """The connection to a sandbox broke."""


class BoundedSandbox(AsyncSandbox):
    """Reads at most `most_bytes` of the answer to a request to run code. Raises TooMuch, or Lost."""

    most_bytes = 1 << 20

    @property
    def _client(self) -> httpx.AsyncClient:
        # HTTP/1.1 as in the original: with a connection of its own, the server notices when nobody listens any more.
        inner = get_transport(self.connection_config, http_version="1.1")
        return httpx.AsyncClient(transport=_Bounded(inner, self.most_bytes))


class _Bounded(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, most: int) -> None:
        self._inner = inner
        self._most = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # By an error of our own: at one of httpx's the client would ask the sandbox how it is, without any bound.
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            raise Lost(type(error).__name__) from error
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            raise TooMuch("a compressed answer")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _Counted(response.stream, self._most)
        return httpx.Response(response.status_code, headers=response.headers, stream=stream)


class _Counted(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length = marks = 0
        try:
            async for part in self._inner:
                length += len(part)
                marks += part.count(b"[") + part.count(b"{") + part.count(b",")
                if length > self._most or marks > _MARKS:
                    raise TooMuch("too long an answer")
                yield part
        except httpx.TransportError as error:
            raise Lost(type(error).__name__) from error

    async def aclose(self) -> None:
        await self._inner.aclose()
