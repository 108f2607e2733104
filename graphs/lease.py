"""One process per run: a lease that expires, and that a dead process of this machine does not keep."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable

from ..errors import StoreError
from ..traces.store import RunStore

SECONDS = 30.0


async def take_lease(store: RunStore, run_id: str, name: str) -> str:
    """Take the run's lease; returns the owner to renew and release it with.

    A holder on this machine whose process is gone loses it at once. Raises StoreError while another one works on
    the run.
    """
    owner = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    if await store.acquire_lease(run_id, owner, SECONDS):
        return owner
    holder = await store.lease_owner(run_id)
    if holder is not None and _is_gone(holder):
        await store.release_lease(run_id, holder)
    if await store.acquire_lease(run_id, owner, SECONDS):
        return owner
    raise StoreError(f"run {name} is being worked on by another process ({holder}); wait for it, or stop it first")


async def keep_lease(store: RunStore, run_id: str, owner: str, seconds: Callable[[], float]) -> None:
    """Renew a lease, and note the working time (`seconds`), until it is cancelled; returns where another process has
    taken the run, as this one slept too long."""
    while True:
        await asyncio.sleep(SECONDS / 3)
        if not await store.renew_lease(run_id, owner, SECONDS):
            return
        await store.update_run(run_id, seconds=seconds())


def _is_gone(holder: str) -> bool:
    host, pid, _ = holder.split("/")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
