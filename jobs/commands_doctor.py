"""`doctor`: each thing that a run needs or can use, and what to do where it is missing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import typer
from rich.table import Table

from ..errors import SageError
from ..settings import secret
from ..settings import settings as installation
from ..traces.result import SCHEMA_VERSION
from .options import JsonOption
from .output import one_line, plain, print_json, put

State = Literal["ok", "missing", "optional"]

LIBRARIES = ("langgraph", "langchain-openai", "openai", "SQLAlchemy", "aiohttp", "scipy", "typer", "rich")
KEYS = {
    "OPENAI_API_KEY": "openai: models",
    "ANTHROPIC_API_KEY": "anthropic: models",
    "GOOGLE_API_KEY": "google_genai: models",
    "MISTRAL_API_KEY": "mistralai: models",
    "GROQ_API_KEY": "groq: models",
    "E2B_API_KEY": "--sandbox e2b, which auto then uses,",
}
SERVERS = {"Ollama": 11434, "vLLM": 8000, "LM Studio": 1234, "llama.cpp": 8080}
"""Local servers by the port they listen on unless told otherwise."""
ANSWER_SECONDS = 2.0
LEAST_PYTHON = (3, 11)
_STYLES = {"ok": "green", "missing": "bold red", "optional": "dim"}


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report. `optional`: not there, and only needed for what `remark` says."""

    name: str
    state: State
    remark: str


def doctor(json: JsonOption = False) -> None:
    """Check this installation and say what to do where it lacks.

    Python, libraries, SAGE_HOME, the embedded model, the sandbox for code that a model writes, keys, local model
    servers: each line says ok, missing (with what to do) or optional. Keys are named, never shown. Exit code 1 where
    something is missing that the first command needs.
    """
    found = asyncio.run(checks())
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "checks": [asdict(check) for check in found]})
    else:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in found:
            style = _STYLES[check.state]
            table.add_row(plain(check.state, style), plain(check.name), plain(check.remark, style))
        put(table)
    if any(check.state == "missing" for check in found):
        raise typer.Exit(1)


async def checks() -> list[Check]:
    """All checks; none of them raises."""
    servers = await asyncio.gather(*(asyncio.to_thread(_server, name, port) for name, port in SERVERS.items()))
    sandbox = await asyncio.to_thread(_sandbox)
    first = [_python(), *map(_library, LIBRARIES), _home(), await _embedded()]
    return [*first, *sandbox, *map(_key, KEYS), *servers]


def _python() -> Check:
    version = platform.python_version()
    if sys.version_info[:2] < LEAST_PYTHON:
        return Check("Python", "missing", f"{version} is too old; use 3.11 or newer")
    return Check("Python", "ok", f"{version} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")


def _library(name: str) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "missing", "not installed; run `uv sync`, or `pip install sage-spo` again")


def _home() -> Check:
    from ..traces.home import writable_file, writable_folder
    from ..traces.schema import FILE

    home = installation().home.expanduser()
    try:
        file = writable_file(writable_folder(home) / FILE)
        size = f", run store {file.stat().st_size / 1e6:.1f} MB" if file.exists() else ", no runs yet"
        return Check("SAGE_HOME", "ok", f"{home}{size}")
    except SageError as error:
        return Check("SAGE_HOME", "missing", str(error))


async def _embedded() -> Check:
    from ..models.embedded import embedded

    started = time.monotonic()
    try:
        async with await embedded() as model:
            ready = time.monotonic()
            messages = [{"role": "user", "content": "Say yes."}]
            await model.chat({"messages": messages, "max_tokens": 2, "temperature": 0})
    except SageError as error:
        return Check("embedded model", "missing", str(error))
    loaded, answered = ready - started, time.monotonic() - ready
    return Check("embedded model", "ok", f"answers; {loaded:.1f} s to load, {answered:.1f} s for one call")


def _sandbox() -> list[Check]:
    """Where code that a model writes would run: what `auto` uses, and each layer of isolation, tried here and now."""
    from ..sandbox.choose import available, make_sandbox
    from ..sandbox.local import LocalSandbox

    try:
        made = make_sandbox("auto")
        uses = (
            str(made.confinement)
            if isinstance(made, LocalSandbox)
            else "e2b.dev, because E2B_API_KEY is set (paid per second; --sandbox local keeps code on this machine)"
        )
        auto = Check("sandbox", "ok", f"code that a model writes runs isolated; auto uses {uses}")
    except SageError as error:
        auto = Check("sandbox", "optional", f"{error} Without an agent model nothing of this is needed.")
    tried = [
        Check(f"sandbox: {layer.name}", "ok" if layer.holds else "optional", one_line(layer.detail, 300))
        for layer in available()
    ]
    return [auto, *tried]


def _key(name: str) -> Check:
    # The name only: a key is never printed, not even in part.
    if secret(name):
        return Check(name, "ok", f"is set, for {KEYS[name]}")
    return Check(name, "optional", f"not set; only {KEYS[name]} need it (environment or .env)")


def _server(name: str, port: int) -> Check:
    url = f"http://127.0.0.1:{port}/v1"
    found = _models(f"{url}/models")
    if found is None:
        return Check(f"{name} :{port}", "optional", "no server there; start it to use its models")
    if not found:
        return Check(f"{name} :{port}", "optional", "answers but lists no models; is something else on this port?")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    models = ", ".join(one_line(model, 40) for model in found[:3]) + more
    return Check(f"{name} :{port}", "ok", f"{models}; use --target openai:{one_line(found[0], 40)} --base-url {url}")


def _models(url: str) -> list[str] | None:
    """The models that a server lists; None where nobody answers, empty where it is no OpenAI-compatible server."""
    import http.client
    import json
    import urllib.error
    import urllib.request

    # Never through a proxy: the question is what runs on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as reply:
            listed: Any = json.loads(reply.read(1_000_000))
        return [str(model["id"]) for model in listed["data"]]
    except urllib.error.HTTPError:
        return []
    except OSError:
        return None
    except (ValueError, KeyError, TypeError, http.client.HTTPException):
        return []
