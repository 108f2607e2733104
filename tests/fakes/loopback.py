"""A server on a loopback port, in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Self

from aiohttp import web

_SECONDS = 10


class Loopback(ABC):
    """Serves between `with` and its end. `port` is any free one unless set before, and kept for another `open`."""

    port = 0
    path = ""
    """Of what is asked of it, as far as `url` tells it."""
    url = ""

    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None

    @abstractmethod
    def application(self) -> web.Application:
        """What it serves; made for each `open`, in the server's loop."""

    def open(self) -> None:
        """Return when it serves."""
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        if not started.wait(_SECONDS):
            raise RuntimeError("the fake server did not start")

    def close(self) -> None:
        """Close the port and every connection, whatever is under way; may be repeated."""
        if self._loop and self._thread and self._stop:
            loop, self._loop = self._loop, None
            loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_SECONDS)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = stop = asyncio.Event()
        runner = web.AppRunner(self.application(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}{self.path}"
        started.set()
        await stop.wait()
        await runner.cleanup()
