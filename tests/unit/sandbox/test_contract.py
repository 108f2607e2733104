"""What every sandbox that isolates promises, tried in each: results, limits, errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TypeVar

import pytest

from sage_spo.sandbox.protocol import Execution, Finding
from sage_spo.sandbox.table import Table
from sage_spo.tests.processes import eventually

from .conftest import Place

Case = TypeVar("Case")
SLEEP = "import time\nprint('begun')\nemit('a', 1)\ntime.sleep(60)"
NONSENSE = "killed by the sandbox: what was written to the results channel is no finding"
VALUES = "killed by the sandbox: a finding of too many values"
LENGTH = "killed by the sandbox: too much was written to the results channel at once"
TOTAL = "killed by the sandbox: too much was written to the results channel"


async def all_of(place: Place, table: Table, codes: list[str]) -> list[Execution]:
    """Each code run, as many at once as the sandbox takes."""
    return await asyncio.gather(*(place.sandbox.run(code, table) for code in codes))


def some_of(place: Place, cases: list[Case]) -> list[Case]:
    """All of them; every third at e2b, where a run takes a second or two, since the same code there ends it."""
    return cases if place.server is None else cases[::3]


# -- results -------------------------------------------------------------------------------------------------


async def test_a_run_gives_what_was_printed_and_found(place: Place, table: Table) -> None:
    code = """
phone = records["channel"].eq("phone")
print("rows:", len(records))
emit("failures", records.loc[phone, "score"].mean(), note="by phone")
emit("shares", records["channel"].value_counts())
"""
    done = await place.sandbox.run(code, table)
    assert done.stdout == "rows: 6\n"
    assert done.results == (
        Finding("failures", pytest.approx(1 / 3), "by phone"),
        Finding("shares", {"phone": 3, "mail": 3}),
    )
    assert done.error is None
    assert 0 < done.duration < 20


async def test_code_that_prints_nothing_gives_nothing(place: Place, table: Table) -> None:
    done = await place.sandbox.run("", table)
    assert (done.stdout, done.results, done.error) == ("", (), None)


async def test_findings_can_be_stored(place: Place, table: Table) -> None:
    code = """
emit("nan", [float("nan"), np.inf, pd.NA, pd.NaT, np.float32(0.5), np.int64(3), np.bool_(True), 10**400, 2**70])
emit("when", pd.Timestamp("2026-01-02"))
emit("text", "a\\x07\\x1b[2Jb\\ud800\\u202ec")
emit("\\x1b]0;title\\x07name", {("a", 1): {1, }, None: (2, 3)}, note="\\x9bnote")
emit("array", np.arange(4).reshape(2, 2))
emit("object", object)
"""
    done = await place.sandbox.run(code, table)
    assert done.error is None
    values = {finding.name: finding.value for finding in done.results}
    assert values["nan"] == [None, None, None, None, 0.5, 3, True, None, float(2**70)]
    assert values["when"] == "2026-01-02T00:00:00"
    assert values["text"] == "abc"
    assert values["name"] == {"a / 1": [1], "None": [2, 3]}
    assert values["array"] == [[0, 1], [2, 3]]
    assert values["object"] == "<class 'object'>"
    json.dumps([finding.value for finding in done.results], allow_nan=False).encode()


async def test_a_name_used_twice_gives_two_findings(place: Place, table: Table) -> None:
    done = await place.sandbox.run("for at in range(3): emit('rate', at)\nemit('rate (2)', 3)", table)
    assert [finding.name for finding in done.results] == ["rate", "rate (2)", "rate (3)", "rate (2) (2)"]


async def test_a_table_with_no_rows_has_its_columns(place: Place) -> None:
    done = await place.sandbox.run("emit('n', [len(records), list(records)])", Table([], columns=["score", "channel"]))
    assert done.results == (Finding("n", [0, ["score", "channel"]]),)


async def test_hostile_records_are_records(place: Place) -> None:
    rows = [{"input": "\x00\ud800\u202e{", "n": float("nan")}, {"input": "a" * 100_000, "tags": ["x"], "big": 10**30}]
    done = await place.sandbox.run("emit('lengths', records['input'].map(len).tolist())", Table(rows))
    assert done.error is None
    assert done.results == (Finding("lengths", [4, 100_000]),)


async def test_the_toolkit_is_at_hand(place: Place, table: Table) -> None:
    done = await place.sandbox.run("import toolkit as same\nemit('same', same is toolkit)", table)
    assert done.results == (Finding("same", True),)


async def test_every_run_draws_the_same_numbers(place: Place, table: Table) -> None:
    code = "import random\nemit('draws', [random.random(), np.random.rand(), list({'a', 'b', 'c'})])"
    first, second = [await place.sandbox.run(code, table) for _ in range(2)]
    assert first.results == second.results


async def test_nothing_is_carried_over_from_run_to_run(place: Place, table: Table) -> None:
    first = """
import builtins, os
builtins.left = pd.left = 1
os.environ["LEFT"] = "1"
records["score"] = 9.0
records.drop(records.index, inplace=True)
"""
    assert (await place.sandbox.run(first, table)).error is None
    second = """
import builtins, os
emit("left", [hasattr(builtins, "left"), hasattr(pd, "left"), "LEFT" in os.environ])
emit("sum", records.score.sum())
"""
    done = await place.sandbox.run(second, table)
    assert [finding.value for finding in done.results] == [[False, False, False], 3.0]


async def test_runs_may_be_concurrent(place: Place, table: Table) -> None:
    code = "import time\ntime.sleep(0.3)\nemit('n', {})"
    began = time.monotonic()
    done = await all_of(place, table, [code.format(at) for at in range(4)])
    assert [each.results[0].value for each in done] == [0, 1, 2, 3]
    # Two at a time: neither one after the other nor all at once.
    assert time.monotonic() - began >= 0.6
    assert sum(each.duration for each in done) < 4 * 2


def test_later_runs_may_be_in_another_loop(place: Place, table: Table) -> None:
    for at in range(2):
        assert asyncio.run(place.sandbox.run(f"emit('n', {at})", table)).results == (Finding("n", at),)


async def test_text_of_any_script_goes_there_and_back(place: Place) -> None:
    text = "Grüße, 你好, שלום, 🙂 \u0000 e\u0301"
    done = await place.sandbox.run("print(records.t[0])\nemit(records.t[0], records.t[0])  # 🙂", Table([{"t": text}]))
    clean = text.replace("\0", "")
    assert (done.stdout, done.results[0]) == (clean + "\n", Finding(clean, clean))


async def test_a_run_can_be_cancelled_and_leaves_nothing(place: Place, table: Table) -> None:
    task = asyncio.create_task(place.sandbox.run(SLEEP, table))
    assert await asyncio.to_thread(eventually, lambda: place.under_way > 0)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 3
    assert eventually(lambda: place.under_way == 0, 1)
    assert (await place.sandbox.run("emit('a', 1)", table)).error is None
    assert place.under_way == 0


# -- errors --------------------------------------------------------------------------------------------------

ERRORS = {
    "x = 1\ny = = 2\n": "SyntaxError: invalid syntax (line 2: y = = 2)",
    "x = 1\nrecords['chanel'].mean()": "KeyError: 'chanel' (line 2: records['chanel'].mean())",
    "def f():\n    raise ValueError\n\nf()": "ValueError (line 2: raise ValueError)",
    "raise SystemExit('enough')": "SystemExit: enough (line 1: raise SystemExit('enough'))",
    "class E(Exception):\n  __str__ = None\nraise E": "E: (its message could not be made) (line 3: raise E)",
    "e = '\\x1b[31mred\\x00\\u202e'\nraise ValueError(e)": "ValueError: red (line 2: raise ValueError(e))",
    "def f(): f()\nf()": "RecursionError: maximum recursion depth exceeded (line 1: def f(): f())",
    "import os\nos._exit(0)": "the code ended its process before its end (exit code 0)",
    "import os\nos._exit(97)": "the code ended its process before its end (exit code 97)",
    "import ctypes\nctypes.string_at(0)": "crashed (SIGSEGV)",
    "import os\nos.closerange(0, 9)": "the code ended its process before its end (exit code 97)",
}


async def test_an_error_names_its_line_and_an_early_end_is_one(place: Place, table: Table) -> None:
    codes = some_of(place, list(ERRORS))
    done = await all_of(place, table, codes)
    assert {code: each.error for code, each in zip(codes, done, strict=True)} == {code: ERRORS[code] for code in codes}


async def test_what_came_before_an_error_is_kept(place: Place, table: Table) -> None:
    done = await place.sandbox.run("print('so far')\nemit('a', 1)\n1 / 0", table)
    assert done.stdout == "so far\n"
    assert done.results == (Finding("a", 1),)
    assert done.error == "ZeroDivisionError: division by zero (line 3: 1 / 0)"


async def test_sys_exit_is_an_end_like_any_other(place: Place, table: Table) -> None:
    done = await place.sandbox.run("import sys\nemit('a', 1)\nsys.exit()", table)
    assert done.error is None
    assert len(done.results) == 1


# -- limits --------------------------------------------------------------------------------------------------

MEMORY = [
    "x = bytearray(600 << 20)",
    "x = np.ones(600 << 17)",
    "x = []\nwhile True: x.append(bytearray(8 << 20))",
]


async def test_memory_is_bounded(quick: Place, table: Table) -> None:
    codes = [f"emit('a', 1)\n{code}\nemit('b', x[-1])" for code in some_of(quick, MEMORY)]
    for done in await all_of(quick, table, codes):
        assert done.error is not None
        assert done.error.startswith("memory limit of 256 MB (line ")
        assert len(done.results) == 1


async def test_an_infinite_loop_ends(quick: Place, table: Table) -> None:
    done = await quick.sandbox.run("print('begun')\nemit('a', 1)\nwhile True: pass", table)
    assert done.error in ("time limit of 1 s of computing", "time limit of 2 s")
    assert done.stdout == "begun\n"
    assert len(done.results) == 1
    assert done.duration < 8


async def test_sleeping_forever_ends(quick: Place, table: Table) -> None:
    done = await quick.sandbox.run(
        "import time\nwhile True:\n  try: time.sleep(1000)\n  except BaseException: pass", table
    )
    assert done.error == "time limit of 2 s"
    assert done.duration < 8


async def test_printing_100_megabytes_is_cut(place: Place, table: Table) -> None:
    done = await place.sandbox.run("print('é' * 50_000_000)\nemit('after', 1)", table)
    assert done.error is None
    assert done.stdout == "é" * 20_000 + "\n[output cut at 20,000 characters]"
    assert len(done.results) == 1


async def test_what_is_printed_has_no_control_characters(place: Place, table: Table) -> None:
    code = r"""
import os, sys
print("a\x1b[31mb\x00\u202e\x9b\tc\r\nd", file=sys.stderr)
os.write(1, b"\xff\xfe\x1b]8;;http://x\x07link\n")
"""
    assert (await place.sandbox.run(code, table)).stdout == "ab\tc\nd\n\ufffd\ufffdlink\n"


async def test_a_table_of_a_million_rows_is_cut(place: Place, table: Table) -> None:
    code = "big = pd.DataFrame({'a': np.arange(1_000_000)})\nemit('big', big)\nemit('list', list(range(1_000_000)))"
    done = await place.sandbox.run(code, table)
    assert done.error is None
    [big, listed] = done.results
    assert len(big.value) == 5_000
    assert big.value[-1] == {"a": 4_999}
    assert big.note == "first 5,000 of 1,000,000 rows"
    assert len(listed.value) == 5_000
    assert listed.note == "first 5,000 of 1,000,000"


async def test_a_finding_too_large_keeps_what_fits(place: Place, table: Table) -> None:
    code = "emit('rows', ['x' * 1000] * 5000)\nemit('text', 'x' * 2_000_000)\nemit('small', 1)"
    done = await place.sandbox.run(code, table)
    [rows, text, small] = done.results
    assert 500 < len(rows.value) < 1100
    assert rows.note == f"first {len(rows.value):,} only: too large"
    assert (text.value, text.note) == (None, "left out: too large")
    assert small.value == 1


async def test_findings_are_bounded_in_number_and_in_total(place: Place, table: Table) -> None:
    many = await place.sandbox.run("for at in range(250): emit(f'f{at}', at)", table)
    assert len(many.results) == 200
    assert "50 further findings were dropped" in many.stdout
    much = await place.sandbox.run("for at in range(20): emit(f'f{at}', 'x' * 900_000)", table)
    assert much.error is None
    assert sum(len(finding.value or "") for finding in much.results) <= 4 << 20


async def test_deep_nesting_is_cut(place: Place, table: Table) -> None:
    code = """
deep, loop = [], {}
for _ in range(100_000): deep = [deep]
loop["me"] = loop
emit("deep", deep)
emit("loop", loop)
"""
    done = await place.sandbox.run(code, table)
    assert done.error is None
    assert [finding.note for finding in done.results] == ["deeper than 20 levels: left out"] * 2


async def test_closing_the_pipes_does_not_hide_a_running_worker(quick: Place, table: Table) -> None:
    done = await quick.sandbox.run("import os, time\nos.closerange(0, 4)\ntime.sleep(60)", table)
    assert done.error == "time limit of 2 s"


# -- what no worker of ours writes ---------------------------------------------------------------------------

FORGED = [
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
]  # fmt: skip


async def test_forged_frames_end_the_run(place: Place, table: Table) -> None:
    code = """
import os
def frame(data): return b"f" + len(data).to_bytes(4, "big") + data
emit("before", 1)
rest = {payload}
while rest: rest = rest[os.write(3, rest):]
import time
time.sleep(60)
"""
    forged = some_of(place, FORGED)
    done = await all_of(place, table, [code.replace("{payload}", payload) for payload, _ in forged])
    assert [(payload, each.error) for (payload, _), each in zip(forged, done, strict=True)] == forged
    for each in done:
        assert each.results[0].name == "before"
        assert each.duration < 10


async def test_a_forged_finding_is_cleaned_like_any_other(place: Place, table: Table) -> None:
    code = r"""
import os
deep = b"[" * 800 + b"]" * 800
numbers = b"[1e999, NaN, -Infinity, " + b"9" * 400
data = b'["\\u001b[1mname\\ud800", ' + numbers + b', "\\u0007\\u202e", ' + deep + b'], "\\n"]'
os.write(3, b"f" + len(data).to_bytes(4, "big") + data)
"""
    done = await place.sandbox.run(code, table)
    assert done.error is None
    [finding] = done.results
    assert finding.name == "name"
    assert finding.value[:5] == [None, None, None, None, ""]
    assert repr(finding.value).count("[") < 30
