"""The sandbox at e2b.dev: a machine of its own for every run, without a network, killed when the run is over."""

from __future__ import annotations

import asyncio
import json
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..errors import SandboxError
from ..settings import secret
from ..traces.redact import REDACTED, redact
from .frames import FrameError
from .heard import Heard
from .inside.plan import Limits
from .isolation import ENVIRONMENT
from .protocol import Execution
from .run import execution
from .table import Table
from .text import clean

if TYPE_CHECKING:
    from .e2b_client import BoundedSandbox

KEY = "E2B_API_KEY"
CONCURRENT = 2
SETUP_SECONDS = 30.0
"""For handing over the files and starting a worker with pandas loaded; less where the limits say so."""
GRACE_SECONDS = 5.0
"""For the far side to tell of a time limit itself, which keeps all that was found; then the parent ends the run."""
_CREATE_SECONDS = 30.0
_KILL_SECONDS = 10.0
_KILLS = 3
_RETRIES = 2
"""Of the client, after 429 and 5xx; each waits as the service wishes."""

_FOLDER = Path(__file__).resolve().parent / "inside"
_INSIDE = ("relay.py", "hosted.py", "analysis.py", "own_process.py", "plan.py", "values.py", "toolkit/*.py")
"""What is handed over of that folder."""
_HOME = "sage-spo/"
_TABLE, _CODE = "table.json", "code.txt"
_START = "import runpy\nrunpy.run_path({relay!r})['main']({request!r})\n"


def key_set() -> str:
    """The key, from the environment or `.env`; empty where none is set."""
    return (secret(KEY) or "").strip()


class E2BSandbox:
    """Runs each code in an e2b sandbox of its own (`allow_internet_access=False`), at most two at a time.

    What the user's `records` hold is sent to e2b. `run` raises SandboxError where the service refuses (key, quota,
    fault) or cannot be reached, or is lost before the code began: nothing was run then. Where the connection breaks
    after that, or the sandbox vanishes, the Execution says so and has what was heard by then. A sandbox is killed
    whatever happens, also one whose creation is answered after the run was cancelled; where even that fails, e2b ends
    it after `most_billed` seconds. May be used from several threads and event loops, each with a bound of its own.
    """

    name = "e2b"
    isolated = True

    def __init__(self, limits: Limits | None = None) -> None:
        """Raises SandboxError where no key is set. Connects to nothing yet."""
        self.limits = limits or Limits()
        key = key_set()
        if not key:
            raise SandboxError(
                f"The sandbox e2b needs a key: set {KEY} (environment or .env; https://e2b.dev/dashboard), or choose "
                "--sandbox local."
            )
        if not (key.isascii() and key.isprintable()):
            raise SandboxError(f"{KEY} holds characters that no key has; copy it anew from https://e2b.dev/dashboard.")
        self._key = key
        self._closed = False
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._alive: set[asyncio.Task[BoundedSandbox]] = set()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def most_billed(self) -> float:
        """Seconds after which e2b itself ends a sandbox: a little more than a run may take."""
        return float(math.ceil(self._setup + self.limits.wall + 2 * GRACE_SECONDS))

    @property
    def _setup(self) -> float:
        return min(SETUP_SECONDS, self.limits.start)

    async def run(self, code: str, table: Table) -> Execution:
        """See `Sandbox.run`. Cancelling it kills the sandbox before it returns."""
        files = await asyncio.to_thread(_files, code, table)
        async with self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(CONCURRENT)):
            if self._closed:
                raise SandboxError("This sandbox is closed.")
            began = time.monotonic()
            creating = asyncio.create_task(self._create())
            self._alive.add(creating)
            try:
                # Shielded: what is being created must be known, so that it can be killed.
                done = await self._execute(await asyncio.shield(creating), files)
            except SandboxError as error:
                await self._end(creating)
                if creating.exception() is None:
                    error.billed = self._billed(began)
                raise
            finally:
                await self._end(creating)
            return replace(done, billed=self._billed(began))

    def _billed(self, began: float) -> float:
        return min(time.monotonic() - began, self.most_billed)

    async def _create(self) -> BoundedSandbox:
        try:
            client = await asyncio.to_thread(_client)
            sandbox = await client.create(
                timeout=int(self.most_billed),
                lifecycle={"on_timeout": "kill"},
                allow_internet_access=False,
                metadata={"made_by": "sage-spo"},
                api_key=self._key,
                debug=False,  # or an environment variable could send the code to any port of this machine
                retries=_RETRIES,
                request_timeout=_CREATE_SECONDS,
                idempotency_key=str(uuid.uuid4()),  # a creation that is asked for again is the same
            )
        except Exception as error:
            raise SandboxError(_refusal(error, self._shown(error))) from None
        sandbox.most_bytes = _most_bytes(self.limits)
        return sandbox

    async def _execute(self, sandbox: BoundedSandbox, files: Sequence[tuple[str, bytes]]) -> Execution:
        from .e2b_client import Lost, TooMuch

        heard, began, loop = Heard(self.limits), 0.0, asyncio.get_running_loop()
        why: str | None = None
        broken = ""
        try:
            async with asyncio.timeout(self._setup) as patience:

                def listen(message: Any) -> None:
                    nonlocal began
                    heard.feed(message.line)
                    if heard.frames.started and not began:
                        began = time.monotonic()
                        patience.reschedule(loop.time() + self.limits.wall + GRACE_SECONDS)

                written = await sandbox.files.write_files([{"path": path, "data": data} for path, data in files])
                places = dict(zip((path for path, _ in files), (each.path for each in written), strict=True))
                said = await sandbox.run_code(
                    self._start(places), on_stdout=listen, timeout=self.most_billed, request_timeout=GRACE_SECONDS
                )
                if said.error is not None:
                    broken = f"{said.error.name}: {said.error.value}"
        except TimeoutError:
            why = f"time limit of {self.limits.wall:g} s"
            broken = f"not ready after {self._setup:g} s"
        except FrameError as error:
            why = f"killed by the sandbox: {error}"
        except TooMuch as error:
            why = f"killed by the sandbox: {error}"
            broken = str(error)
        except Lost as error:
            broken = f"the connection was lost ({error})"
        except Exception as error:  # of the client: a status, an answer of another form, the sandbox gone
            broken = self._shown(error)
        if (task := asyncio.current_task()) and task.cancelling():
            raise asyncio.CancelledError  # which the client's transport may have told as an error of its own
        if not began:
            told = broken or clean(heard.output.text().strip(), 500) or f"exit code {heard.status}"
            raise SandboxError(f"The e2b sandbox could not be set up, so nothing was run: {told}. Try again.")
        if broken and not why and not heard.ended:
            why = "killed: the connection to the e2b sandbox was lost, or it vanished"
        return execution(heard.frames, heard.output, why or heard.why, heard.status, time.monotonic() - began)

    def _start(self, places: dict[str, str]) -> str:
        """What the kernel is told to run."""
        limits, own = self.limits, {path.removeprefix(_HOME): place for path, place in places.items()}
        request = {
            "command": [own["hosted.py"], json.dumps(asdict(limits)), own[_TABLE], own[_CODE]],
            "environment": ENVIRONMENT,
            "output": _output_room(limits),
            "results": _results_room(limits),
            "start": self._setup,
            "wall": limits.wall,
        }
        return _START.format(relay=own["relay.py"], request=json.dumps(request))

    def _shown(self, error: Exception) -> str:
        """An error of the client as one short line without the key."""
        text = " ".join(str(error).split()).replace(self._key, REDACTED)
        return clean(redact(text), 300) or type(error).__name__

    async def _end(self, creating: asyncio.Task[BoundedSandbox]) -> None:
        """Kill what was or is being created, whoever is cancelled meanwhile; once, however often it is called."""
        if creating not in self._alive:
            return
        self._alive.discard(creating)
        ending = asyncio.create_task(_kill(creating))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.shield(ending)

    async def aclose(self) -> None:
        """Kill every sandbox; runs under way return with an error."""
        self._closed = True
        loop = asyncio.get_running_loop()
        for creating in [each for each in self._alive if each.get_loop() is loop]:
            await self._end(creating)
        if endings := [each for each in self._endings if each.get_loop() is loop]:
            await asyncio.wait(endings)


def _client() -> type[BoundedSandbox]:
    from .e2b_client import BoundedSandbox

    return BoundedSandbox


async def _kill(creating: asyncio.Task[BoundedSandbox]) -> None:
    try:
        sandbox = await asyncio.shield(creating)
    except SandboxError:
        return  # there is none
    for attempt in range(_KILLS):
        try:
            await sandbox.kill(request_timeout=_KILL_SECONDS)
            return
        except Exception:
            # After the last attempt e2b ends it by itself, in `most_billed` seconds.
            await asyncio.sleep(0.2 * attempt)


def _files(code: str, table: Table) -> list[tuple[str, bytes]]:
    """Path, relative to the home of the sandbox's user, and content of everything that a run needs."""
    own = [path for pattern in _INSIDE for path in sorted(_FOLDER.glob(pattern))]
    inside = [(_HOME + path.relative_to(_FOLDER).as_posix(), path.read_bytes()) for path in own]
    return [*inside, (_HOME + _TABLE, table.data), (_HOME + _CODE, code.encode("utf-8", "replace"))]


def _output_room(limits: Limits) -> int:
    """Bytes: so many that what `Output` keeps is full, however many of them make a character."""
    return 8 * limits.stdout + (1 << 16)


def _results_room(limits: Limits) -> int:
    return limits.total_bytes + (1 << 16)


def _most_bytes(limits: Limits) -> int:
    """Of the stream of one run: all that may be said in base64, half as much again for what is around it."""
    return 2 * (_output_room(limits) + _results_room(limits)) + (1 << 20)


def _refusal(error: Exception, shown: str) -> str:
    """Why there is no sandbox, and what to do."""
    import httpx
    from e2b.exceptions import AuthenticationException, RateLimitException, TimeoutException

    status = getattr(error, "status_code", None)
    if isinstance(error, AuthenticationException) or status in (401, 403):
        what = f"e2b refuses the key ({shown}). Set {KEY} to one that is valid at https://e2b.dev/dashboard"
    elif isinstance(error, RateLimitException) or status in (402, 429):
        what = (
            f"e2b's quota is used up or too many sandboxes are wanted at once ({shown}). Wait, or end sandboxes and "
            "see the limits at https://e2b.dev/dashboard"
        )
    elif isinstance(error, httpx.HTTPError | TimeoutException | OSError):
        what = f"e2b cannot be reached ({shown}). Look at the network and, if set, at E2B_DOMAIN and E2B_API_URL"
    elif isinstance(status, int) and status >= 500:
        what = f"e2b has no sandbox to give at the moment ({shown}). Try again later"
    else:
        what = f"e2b gave no sandbox ({shown}). See https://e2b.dev/dashboard and the key's rights"
    return f"{what}, or choose --sandbox local. Nothing was run."
