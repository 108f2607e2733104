"""What code in the sandbox is given and can see; `tests/attacks` holds the attacks."""

from __future__ import annotations

import asyncio
import os
import platform

import pytest

from sage_spo.sandbox.inside.seccomp import ARCHITECTURES, FCNTL, WORKER
from sage_spo.sandbox.isolation import ENVIRONMENT
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table
from sage_spo.tests.processes import descendants, eventually, memory_holds


async def test_the_environment_is_ours(sandbox: LocalSandbox, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = """
import ctypes, sys
entries = []
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
while environ[len(entries)]:
    entries.append(environ[len(entries)].decode())
emit("environ", [entries, sys.argv])
"""
    done = await sandbox.run(code, table)
    assert done.error is None
    entries, arguments = done.results[0].value
    # Python adds a locale of its own where none is set.
    added = {"LC_CTYPE=C.UTF-8"}
    assert set(entries) - added == {f"{name}={value}" for name, value in ENVIRONMENT.items()}
    assert arguments == [""]


async def test_it_holds_three_pipes_and_no_other_descriptor(sandbox: LocalSandbox, table: Table) -> None:
    code = """
import os, stat
held = {}
for number in range(4096):
    try: mode = os.fstat(number).st_mode
    except OSError: continue
    held[number] = "pipe" if stat.S_ISFIFO(mode) else "device" if stat.S_ISCHR(mode) else oct(mode)
emit("held", held)
"""
    done = await sandbox.run(code, table)
    assert done.results[0].value == {"0": "device", "1": "pipe", "2": "pipe", "3": "pipe"}


@pytest.mark.skipif(platform.machine() not in ARCHITECTURES, reason="no list of system calls for this machine")
async def test_every_system_call_that_is_not_listed_is_refused(sandbox: LocalSandbox, table: Table) -> None:
    """All numbers the kernel has and some it hasn't yet, and x86-64's second numbering."""
    column = ARCHITECTURES[platform.machine()][1]
    # 335 and 336 no filter ever sees: uprobes' way back, which kills the caller unless the kernel put it there.
    numbers = [*range(335), *range(337, 600), *range(1 << 30, (1 << 30) + 600)]
    allowed = {numbers[column] for numbers in WORKER.values()} | {FCNTL[column]}
    numbers = [number for number in numbers if number not in allowed]
    code = f"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
passed = []
for number in {numbers}:
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6) != -1 or ctypes.get_errno() != 1:
        passed.append(number)
emit("passed", passed)
"""
    done = await sandbox.run(code, table)
    assert done.error is None
    assert done.results[0].value == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the memory of these processes")
async def test_other_tables_are_not_in_memory(sandbox: LocalSandbox, table: Table) -> None:
    needle = "held out: 5f3a"
    await sandbox.run("", Table([{"secret": needle}] * 100))
    assert sandbox.pid is not None
    before = descendants(sandbox.pid)
    assert sum(memory_holds(pid, needle.encode()) for pid in before) == 1  # the process of that table
    task = asyncio.create_task(sandbox.run("import time\ntime.sleep(1.5)", table))
    assert await asyncio.to_thread(eventually, lambda: len(descendants(sandbox.pid or 0) - before) > 0)
    await asyncio.sleep(0.3)
    fresh = descendants(sandbox.pid) - before
    assert fresh
    assert not any(memory_holds(pid, needle.encode()) for pid in fresh)
    await task


async def test_where_there_are_namespaces_not_even_names_are_seen(sandbox: LocalSandbox, table: Table) -> None:
    if "namespaces" not in sandbox.confinement.layers:
        pytest.skip("no namespaces here")
    for path in ("/etc/passwd", "/proc", "/sys", "/dev/null", "/home", "/run", __file__):
        done = await sandbox.run(f"import os\nos.stat({path!r})", table)
        assert done.error is not None
        assert done.error.startswith("FileNotFoundError"), (path, done.error)
    fresh = LocalSandbox("local", sandbox.confinement)
    done = await fresh.run("import os\nemit('pids', [os.getpid(), os.getppid()])", table)
    assert all(pid < 10 for pid in done.results[0].value)
    await fresh.aclose()
