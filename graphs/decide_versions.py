"""The versions of an environment's task and instruction, between whose pairs a run chooses; made once, and kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from ..agents.ask import AgentDesk
from ..agents.domain import rephrased
from ..errors import StoreError
from ..tasks.environments.protocol import Wording
from ..traces.home import whole_file
from .decide_session import DecideSession, Versions


async def versions(session: DecideSession, desk: AgentDesk, wording: Wording) -> Versions:
    """Those that the run kept, else what the agent model makes: asked again, it might answer what failed before, and
    every arm after that would be another one. Raises StoreError where what was kept is damaged."""
    path = session.folder / "versions.json"
    kept = await asyncio.to_thread(_kept, path)
    if kept:
        return kept
    task = await rephrased(wording.task, session.options.arms, "description", desk)
    instruction = await rephrased(wording.instruction, session.options.arms, "instruction", desk)
    if task.missing:
        session.emit("fewer_arms", message=task.words("description"))
    if instruction.missing:
        session.emit("fewer_arms", message=instruction.words("instruction"))
    await asyncio.to_thread(_keep, path, (task.texts, instruction.texts))
    return task.texts, instruction.texts


def _keep(path: Path, made: Versions) -> None:
    with whole_file(path) as file:
        file.write(json.dumps(made).encode())


def _kept(path: Path) -> Versions | None:
    try:
        task, instruction = json.loads(path.read_text(encoding="utf-8"))
        return tuple(map(str, task)), tuple(map(str, instruction))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"the run's meta-prompts are gone or damaged ({path}: {error}); start a new run") from error
