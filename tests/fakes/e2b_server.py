"""A small e2b on a loopback port: speaks the wire protocol of the installed client and really runs the code.

    with E2BServer() as server:
        os.environ |= server.environment
        sandbox = E2BSandbox()

It isolates nothing: it is for the trusted code of tests. `Trouble` says how it misbehaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from sage_spo.tests.processes import descendants

from .loopback import Loopback

KEY = "e2b_0123456789abcdef0123456789abcdef01234567"
ENVD = "0.6.5"


@dataclass
class Trouble:
    """What goes wrong; by default nothing does."""

    create: tuple[int, ...] = ()
    """Status of the first creations, 0 for one that works; the last one holds for all further ones."""
    slow_create: float = 0.0
    """Seconds until a creation is answered; the sandbox is there at once."""
    upload: int = 0
    """Status of every upload."""
    kill: tuple[int, ...] = ()
    """Status of the first kills."""
    execute: Literal["", "hang", "gone", "error", "cut", "endless line", "many values", "compressed", "noise"] = ""
    """`gone`: 502 as of a sandbox that is no longer there; `cut`: the connection breaks a while after the code began;
    the next three are what the code could answer if it took the kernel's place; `noise`: lines of no meaning."""


@dataclass
class Machine:
    """One sandbox."""

    id: str
    home: Path
    asked: dict[str, Any]
    began: float
    ended: float | None = None
    kernel: subprocess.Popen[bytes] | None = None
    runs: int = 0
    said: str = ""
    """What its kernel has printed, the first of it."""

    def path(self, given: str) -> Path:
        """A path as envd takes it: relative to the user's home."""
        return self.home / given


@dataclass
class E2BServer(Loopback):
    """The server."""

    trouble: Trouble = field(default_factory=Trouble)
    key: str = KEY
    machines: dict[str, Machine] = field(default_factory=dict)
    """Every sandbox there ever was, by id, in order."""
    keys: list[str] = field(default_factory=list)
    """The key of every request to the service itself."""
    creations: int = 0
    kills: list[str] = field(default_factory=list)
    peak: int = 0
    """Most sandboxes alive at once."""
    sent: int = 0
    """Bytes of the last endless answer that were taken."""

    @property
    def alive(self) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.ended is None]

    @property
    def environment(self) -> dict[str, str]:
        """What makes the client use this server."""
        return {"E2B_API_URL": self.url, "E2B_SANDBOX_URL": self.url, "E2B_API_KEY": self.key}

    def reset(self) -> None:
        """Forget what was, and behave."""
        self.trouble = Trouble()
        self.machines, self.keys, self.kills = {}, [], []
        self.creations = self.peak = self.sent = 0

    def vanish(self) -> None:
        """End every sandbox, as e2b does when their time is up."""
        assert self._loop is not None
        for machine in self.alive:
            asyncio.run_coroutine_threadsafe(_stop(machine), self._loop).result(10)

    def open(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="fake-e2b-"))
        super().open()

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._root, ignore_errors=True)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v2/sandboxes", self._create)
        app.router.add_delete("/sandboxes/{id}", self._delete)
        app.router.add_post("/files", self._write)
        app.router.add_get("/health", self._health)
        app.router.add_post("/execute", self._execute)
        app.on_shutdown.append(self._end)
        return app

    async def _end(self, app: web.Application) -> None:
        for machine in self.alive:
            await _stop(machine)

    # -- the service ----------------------------------------------------------------------------------------------

    def _refused(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("X-API-KEY", "")
        self.keys.append(given)
        # Careless services repeat the key they were sent.
        return None if given == self.key else _error(401, f"Invalid API key {given}")

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if refused := self._refused(request):
            return refused
        status = _nth(self.trouble.create, self.creations)
        self.creations += 1
        if status:
            return _error(status, f"there is trouble for {self.key}")
        name = f"i{len(self.machines):04d}"
        home = self._root / f"{name}-{time.monotonic_ns()}"
        home.mkdir(parents=True)
        self.machines[name] = Machine(name, home, {**body, "headers": dict(request.headers)}, time.monotonic())
        self.peak = max(self.peak, len(self.alive))
        await asyncio.sleep(self.trouble.slow_create)
        made = {"templateID": body["templateID"], "sandboxID": name, "clientID": "c", "envdVersion": ENVD}
        return web.json_response({**made, "envdAccessToken": f"token-{name}"}, status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        if refused := self._refused(request):
            return refused
        name = request.match_info["id"]
        self.kills.append(name)
        if status := (self.trouble.kill[len(self.kills) - 1] if len(self.kills) <= len(self.trouble.kill) else 0):
            return _error(status, "not now")
        machine = self.machines.get(name)
        if machine is None or machine.ended is not None:
            return _error(404, "no such sandbox")
        await _stop(machine)
        return web.Response(status=204)

    # -- inside a sandbox -----------------------------------------------------------------------------------------

    def _machine(self, request: web.Request) -> Machine:
        machine = self.machines.get(request.headers.get("E2b-Sandbox-Id", ""))
        if machine is None or machine.ended is not None:
            raise web.HTTPBadGateway(
                text=json.dumps({"message": "The sandbox was not found"}), content_type="application/json"
            )
        if request.headers.get("X-Access-Token") != f"token-{machine.id}":
            raise web.HTTPUnauthorized(text="wrong token")
        return machine

    async def _health(self, request: web.Request) -> web.Response:
        self._machine(request)
        return web.Response(status=204)

    async def _write(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        if self.trouble.upload:
            return _error(self.trouble.upload, "there is trouble")
        written: list[dict[str, str]] = []
        async for part in await request.multipart():
            assert not isinstance(part, type(None))
            name = request.query.get("path") or getattr(part, "filename", "") or ""
            path = machine.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(await part.read())  # type: ignore[union-attr]
            written.append({"name": path.name, "type": "file", "path": str(path)})
        return web.json_response(written)

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        machine, trouble = self._machine(request), self.trouble.execute
        machine.runs += 1
        code = (await request.json())["code"]
        if trouble == "gone":
            await _stop(machine)
            return web.Response(status=502, text="The sandbox was not found")
        if trouble == "error":
            return web.Response(status=500, text="no kernel")
        response = web.StreamResponse()
        if trouble == "compressed":
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(request)
        try:
            if trouble == "hang":
                await asyncio.sleep(60)
            elif trouble in ("endless line", "many values", "compressed"):
                await self._flood(response, trouble)
            else:
                await self._kernel(machine, code, request, response)
        except (ConnectionResetError, OSError):
            pass
        return response

    async def _flood(self, response: web.StreamResponse, trouble: str) -> None:
        self.sent = 0
        block = {"endless line": b"a" * (1 << 16), "many values": b"[]," * (1 << 14)}.get(trouble, b"")
        if trouble == "compressed":
            block = gzip.compress(b"a" * (16 << 20))
        else:
            await response.write(b'{"type": "stdout", "text": "' if trouble == "endless line" else b'{"type": [')
        for _ in range(32_768):  # 2 GB
            await response.write(block)
            self.sent += len(block)

    async def _kernel(self, machine: Machine, code: str, request: web.Request, response: web.StreamResponse) -> None:
        async def say(**message: Any) -> None:
            await response.write(json.dumps(message).encode() + b"\n")

        await say(type="number_of_executions", execution_count=machine.runs)
        if self.trouble.execute == "noise":
            await say(type="stdout", text="Loading…\nr%%%\ne\nebnVsbA==\nx\n", timestamp="now")
            await say(type="stderr", text="a warning\n", timestamp="now")
            await say(type="result", is_main_result=False, text="None")
        # Without asyncio's pipes: who cancels a reader of these leaves something that complains when the loop is gone.
        machine.kernel = kernel = subprocess.Popen(  # noqa: ASYNC220  (takes a millisecond)
            [sys.executable, "-I", "-u", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=machine.home,
            env={"E2B_SANDBOX": "true"},
            start_new_session=True,
        )
        assert kernel.stdout is not None
        assert kernel.stderr is not None
        while text := await asyncio.to_thread(os.read, kernel.stdout.fileno(), 1 << 20):
            machine.said = (machine.said + text.decode("utf-8", "replace"))[:10_000]
            await say(type="stdout", text=text.decode("utf-8", "replace"), timestamp="now")
            if self.trouble.execute == "cut":
                await asyncio.sleep(1.5)
                assert request.transport is not None
                request.transport.abort()
                return
        errors = (await asyncio.to_thread(kernel.stderr.read)).decode("utf-8", "replace")
        if await asyncio.to_thread(kernel.wait) > 0:
            name, _, value = (errors.strip().splitlines() or ["Error"])[-1].partition(": ")
            await say(type="error", name=name, value=value, traceback=errors)
        elif machine.ended is not None and request.transport is not None:
            request.transport.abort()  # as when the machine is gone


def _nth(statuses: tuple[int, ...], at: int) -> int:
    return statuses[min(at, len(statuses) - 1)] if statuses else 0


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"code": status, "message": message}, status=status, headers={"Retry-After": "0"})


async def _stop(machine: Machine) -> None:
    """End a sandbox and all its processes."""
    machine.ended = machine.ended or time.monotonic()
    if machine.kernel is not None:
        for pid in (machine.kernel.pid, *descendants(machine.kernel.pid)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(machine.kernel.wait)
