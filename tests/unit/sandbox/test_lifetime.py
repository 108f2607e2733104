"""No process outlives what it was started for, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sage_spo.errors import SandboxError
from sage_spo.sandbox.inside.plan import Limits
from sage_spo.sandbox.isolation import Confinement
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table
from sage_spo.tests.processes import alive, descendants, eventually

SLEEP = "import time\nprint('begun')\ntime.sleep(60)"


async def test_a_run_can_be_cancelled_at_any_moment(sandbox: LocalSandbox, table: Table) -> None:
    await sandbox.run("", table)
    assert sandbox.pid is not None
    before = descendants(sandbox.pid)
    for at in range(20):
        tasks = [asyncio.create_task(sandbox.run(SLEEP, table)) for _ in range(4)]
        await asyncio.sleep(0.002 * at)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )
    assert descendants(sandbox.pid) == before


async def test_a_process_that_was_killed_is_started_again(hasty: LocalSandbox, table: Table) -> None:
    await hasty.run("", table)
    first = hasty.pid
    assert first is not None
    before = descendants(first)
    task = asyncio.create_task(hasty.run(SLEEP, table))
    assert await asyncio.to_thread(eventually, lambda: bool(descendants(first) - before))
    await asyncio.sleep(0.2)  # until the code runs
    workers = descendants(first)
    os.kill(first, signal.SIGKILL)
    assert (await task).error == "killed: the process of the sandbox ended"
    assert eventually(lambda: not alive(workers))
    done = await hasty.run("emit('a', len(records))", table)
    assert done.results[0].value == 6
    assert hasty.pid not in (None, first)


PARENT = """
import asyncio, os, sys
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.table import Table
async def main():
    sandbox = make_sandbox("local")
    table = Table([{"x": 1}])
    await sandbox.run("", table)
    run = asyncio.create_task(sandbox.run("import time\\ntime.sleep(60)", table))
    print(sandbox.pid, flush=True)
    await run
asyncio.run(main())
"""


def test_everything_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        zygote = int(parent.stdout.readline())
        others = len(descendants(parent.pid))
        assert eventually(lambda: len(descendants(parent.pid)) > others or len(descendants(zygote)) > 0)
        processes = descendants(parent.pid)
        assert zygote in processes
        parent.kill()
        assert eventually(lambda: not alive(processes))


async def test_closing_ends_everything_and_may_be_repeated(table: Table, tmp_path: Path) -> None:
    plain = LocalSandbox("plain", Confinement())
    await plain.run("", table)
    zygote = plain.pid
    assert zygote is not None
    begun = tmp_path / "begun"
    task = asyncio.create_task(plain.run(f"open({str(begun)!r}, 'w').close()\n{SLEEP}", table))
    assert await asyncio.to_thread(eventually, begun.exists)
    processes = {zygote} | descendants(zygote)
    await plain.aclose()
    assert (await task).error is not None
    assert eventually(lambda: not alive(processes))
    await plain.aclose()
    with pytest.raises(SandboxError, match="closed"):
        await plain.run("", table)


async def test_where_the_process_cannot_be_confined_nothing_runs(sandbox: LocalSandbox, table: Table) -> None:
    for layer in ("no-such-layer", "namespace"):
        broken = LocalSandbox("local", Confinement((layer, "seccomp")))
        with pytest.raises(SandboxError, match="cannot be started"):
            await broken.run("print('ran')", table)
        assert broken.pid is None
        await broken.aclose()


async def test_where_the_worker_cannot_be_confined_nothing_runs(sandbox: LocalSandbox, table: Table) -> None:
    # A limit that cannot be set: the worker fails after the fork, before any code.
    broken = LocalSandbox("local", sandbox.confinement, Limits(cpu=10**30))
    with pytest.raises(SandboxError, match="nothing was run"):
        await broken.run("print('ran')", table)
    await broken.aclose()
