"""The virtual environment that a peer runs in: made at its first use, beside the runs, and kept."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...sandbox.text import clean
from ...seeding import digest
from ...settings import settings as installation
from ...traces.redact import redact
from ..locks import locked
from ..output import one_line
from .known import Environment, Peer, PeerError

INSTALL_SECONDS = 900
SHOWN = 300
"""Characters of what an installer said."""
_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_INSTALLERS = ("UV_", "PIP_")
"""Beginnings of the variables by which installers are told of an index, and its password."""


def environment_folder(environment: Environment) -> Path:
    """Where it lives: another place for other pins or another Python."""
    pins = digest(*environment.requirements, _python(environment) or "")[:12]
    return installation().home / "peers" / f"{environment.name}-{pins}"


async def peer_python(peer: Peer, say: Callable[[str], None], seconds: float = INSTALL_SECONDS) -> Path:
    """The Python that has the peer's packages, which are installed where they are not there yet.

    A second process waits for the first one. The marker is written last, so that what was left half made is made
    anew. Raises PeerError where it cannot be installed.
    """
    environment = peer.environment
    folder = environment_folder(environment)
    python, marker = folder / "bin" / "python", folder / "complete.json"
    if marker.exists() and python.exists():
        return python
    wanted = " ".join(environment.requirements)
    async with locked(folder.with_suffix(".lock"), f"the installation of {wanted}", wait=True, say=say):
        if marker.exists() and python.exists():  # made while we waited
            return python
        say(f"installing {wanted} into {folder}")
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        for step in _steps(environment, folder, python):
            await _done(step, peer, seconds)
        marker.write_text(json.dumps({"requirements": environment.requirements}), encoding="utf-8")
    return python


def _python(environment: Environment) -> str | None:
    """A version to ask for, as in `3.12`; None where the Python that runs this will do."""
    newest = environment.newest_python
    return None if sys.version_info[:2] <= newest else f"{newest[0]}.{newest[1]}"


def _steps(environment: Environment, folder: Path, python: Path) -> list[list[str]]:
    """The commands that make it: by uv where it is there, else by Python's own means."""
    version, uv = _python(environment), shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", version or sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *environment.requirements],
        ]
    if version is not None:
        raise PeerError(
            f"{' '.join(environment.requirements)} needs Python {version} or older: install uv, which brings it "
            "(pip install uv)"
        )
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, *environment.requirements]]


async def _done(command: Sequence[str], peer: Peer, seconds: float) -> None:
    """Run one command to its end. Raises PeerError with its last line where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=without_secrets(os.environ),
        start_new_session=True,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise PeerError(_words(peer, f"no end after {seconds:g} seconds")) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        lines = [line for line in clean(said.decode(errors="replace")).splitlines() if line.strip()]
        raise PeerError(_words(peer, redact(one_line(lines[-1], SHOWN)) if lines else "the installer said nothing"))


def _words(peer: Peer, why: str) -> str:
    wanted = " ".join(peer.requirements)
    return (
        f"peer {peer.name}: {wanted} cannot be installed: {why}. Mend that, or the package index "
        "(UV_INDEX_URL, PIP_INDEX_URL), and give the command again"
    )


def without_secrets(environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """The environment for an installer: no key of a provider, but what it needs to find and enter an index."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_INSTALLERS) or not (_SECRET.search(name) or name.startswith("SAGE_"))
    }
