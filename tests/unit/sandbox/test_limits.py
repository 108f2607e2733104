"""Code that takes too much is stopped or cut, and says so."""

from __future__ import annotations

import pytest

from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table


async def test_an_infinite_loop_ends(hasty: LocalSandbox, table: Table) -> None:
    done = await hasty.run("print('begun')\nemit('a', 1)\nwhile True: pass", table)
    assert done.error in ("time limit of 1 s of computing", "time limit of 2 s")
    assert done.stdout == "begun\n"
    assert len(done.results) == 1
    assert done.duration < 8


async def test_the_signal_of_the_time_limit_cannot_be_ignored(hasty: LocalSandbox, table: Table) -> None:
    code = """
import signal
for at in range(1, 32):
    try: signal.signal(at, signal.SIG_IGN)
    except OSError: pass
while True: pass
"""
    done = await hasty.run(code, table)
    assert done.error is not None
    assert "computing time" in done.error or done.error == "time limit of 2 s"
    assert done.duration < 8


async def test_sleeping_forever_ends(hasty: LocalSandbox, table: Table) -> None:
    done = await hasty.run("import time\nwhile True:\n  try: time.sleep(1000)\n  except BaseException: pass", table)
    assert done.error == "time limit of 2 s"
    assert done.duration < 8


@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(600 << 20)",
        "x = np.ones(600 << 17)",
        "x = []\nwhile True: x.append(' ' * (1 << 20) + str(len(x)))",
    ],
)
async def test_memory_is_bounded(hasty: LocalSandbox, table: Table, code: str) -> None:
    done = await hasty.run(f"emit('a', 1)\n{code}\nemit('b', x[-1])", table)
    assert done.error is not None
    assert done.error.startswith("memory limit of 256 MB (line ")
    assert len(done.results) == 1


async def test_printing_100_megabytes_is_cut(sandbox: LocalSandbox, table: Table) -> None:
    done = await sandbox.run("print('é' * 50_000_000)\nemit('after', 1)", table)
    assert done.error is None
    assert done.stdout == "é" * 20_000 + "\n[output cut at 20,000 characters]"
    assert len(done.results) == 1


async def test_what_is_printed_has_no_control_characters(sandbox: LocalSandbox, table: Table) -> None:
    code = r"""
import os, sys
print("a\x1b[31mb\x00\u202e\x9b\tc\r\nd", file=sys.stderr)
os.write(1, b"\xff\xfe\x1b]8;;http://x\x07link\n")
"""
    assert (await sandbox.run(code, table)).stdout == "ab\tc\nd\n\ufffd\ufffdlink\n"


async def test_a_table_of_a_million_rows_is_cut(sandbox: LocalSandbox, table: Table) -> None:
    code = "big = pd.DataFrame({'a': np.arange(1_000_000)})\nemit('big', big)\nemit('list', list(range(1_000_000)))"
    done = await sandbox.run(code, table)
    assert done.error is None
    [big, listed] = done.results
    assert len(big.value) == 5_000
    assert big.value[-1] == {"a": 4_999}
    assert big.note == "first 5,000 of 1,000,000 rows"
    assert len(listed.value) == 5_000
    assert listed.note == "first 5,000 of 1,000,000"


async def test_a_finding_too_large_keeps_what_fits(sandbox: LocalSandbox, table: Table) -> None:
    code = "emit('rows', ['x' * 1000] * 5000)\nemit('text', 'x' * 2_000_000)\nemit('small', 1)"
    done = await sandbox.run(code, table)
    [rows, text, small] = done.results
    assert 500 < len(rows.value) < 1100
    assert rows.note == f"first {len(rows.value):,} only: too large"
    assert (text.value, text.note) == (None, "left out: too large")
    assert small.value == 1


async def test_findings_are_bounded_in_number_and_in_total(sandbox: LocalSandbox, table: Table) -> None:
    many = await sandbox.run("for at in range(250): emit(f'f{at}', at)", table)
    assert len(many.results) == 200
    assert "50 further findings were dropped" in many.stdout
    much = await sandbox.run("for at in range(20): emit(f'f{at}', 'x' * 900_000)", table)
    assert much.error is None
    assert sum(len(finding.value or "") for finding in much.results) <= 4 << 20


async def test_deep_nesting_is_cut(sandbox: LocalSandbox, table: Table) -> None:
    code = """
deep, loop = [], {}
for _ in range(100_000): deep = [deep]
loop["me"] = loop
emit("deep", deep)
emit("loop", loop)
"""
    done = await sandbox.run(code, table)
    assert done.error is None
    assert [finding.note for finding in done.results] == ["deeper than 20 levels: left out"] * 2
