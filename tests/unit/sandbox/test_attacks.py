"""What code in the sandbox is given, and how what it forges is refused; `tests/attacks` holds the attacks."""

from __future__ import annotations

import platform

import pytest

from sage_spo.sandbox.isolation import ENVIRONMENT
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.seccomp import ARCHITECTURES, FCNTL, WORKER
from sage_spo.sandbox.table import Table


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
    # Python adds a locale of its own where none is set, bubblewrap the folder.
    added = {"LC_CTYPE=C.UTF-8", "PWD=/"}
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


NONSENSE = "killed by the sandbox: what was written to the results channel is no finding"
VALUES = "killed by the sandbox: a finding of too many values"
LENGTH = "killed by the sandbox: too much was written to the results channel at once"
TOTAL = "killed by the sandbox: too much was written to the results channel"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ("b'x' * 100", LENGTH),
        ("b'x' + (3).to_bytes(4, 'big') + b'abc'", NONSENSE),
        ("b'f' + (2 << 20).to_bytes(4, 'big')", LENGTH),
        ("b'f' + (0xffffffff).to_bytes(4, 'big')", LENGTH),
        ("frame(b'{\"a\": 1}')", NONSENSE),
        ("frame(b'[1, 2, 3]')", NONSENSE),
        ("frame(b'[\"a\", 1, \"\"')", NONSENSE),
        ("frame(b'\\xff\\xfe')", NONSENSE),
        ("frame(b'[' * 900_000)", VALUES),
        ("frame(b'[' * 400_000)", NONSENSE),
        ("frame(b'[' + b'[],' * 300_000 + b'1]')", VALUES),
        ("frame(b'[\"a\", ' + b'9' * 5000 + b', \"\"]')", NONSENSE),
        ("b''.join([frame(b'[\"a\", 1, \"\"]')] * 400_000)", TOTAL),
    ],
)  # fmt: skip
async def test_forged_frames_end_the_run(sandbox: LocalSandbox, table: Table, payload: str, error: str) -> None:
    code = f"""
import os
def frame(data): return b"f" + len(data).to_bytes(4, "big") + data
emit("before", 1)
rest = {payload}
while rest: rest = rest[os.write(3, rest):]
import time
time.sleep(60)
"""
    done = await sandbox.run(code, table)
    assert done.error == error
    assert done.results[0].name == "before"
    assert done.duration < 10


async def test_a_forged_finding_is_cleaned_like_any_other(sandbox: LocalSandbox, table: Table) -> None:
    code = r"""
import os
deep = b"[" * 800 + b"]" * 800
numbers = b"[1e999, NaN, -Infinity, " + b"9" * 400
data = b'["\\u001b[1mname\\ud800", ' + numbers + b', "\\u0007\\u202e", ' + deep + b'], "\\n"]'
os.write(3, b"f" + len(data).to_bytes(4, "big") + data)
"""
    done = await sandbox.run(code, table)
    assert done.error is None
    [finding] = done.results
    assert finding.name == "name"
    assert finding.value[:5] == [None, None, None, None, ""]
    assert repr(finding.value).count("[") < 30


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os\nos._exit(0)", "the code ended its process before its end (exit code 0)"),
        ("import os\nos._exit(97)", "the code ended its process before its end (exit code 97)"),
        ("import ctypes\nctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("import os\nos.closerange(0, 9)", "the code ended its process before its end (exit code 97)"),
    ],
)  # fmt: skip
async def test_leaving_early_is_an_error(sandbox: LocalSandbox, table: Table, code: str, error: str) -> None:
    assert (await sandbox.run(code, table)).error == error
    assert (await sandbox.run("emit('a', 1)", table)).error is None


async def test_closing_the_pipes_does_not_hide_a_running_worker(hasty: LocalSandbox, table: Table) -> None:
    done = await hasty.run("import os, time\nos.closerange(0, 4)\ntime.sleep(60)", table)
    assert done.error == "time limit of 2 s"
