"""The local sandbox: how long it takes to start and to run an analysis, and what a thousand runs leave behind.

    uv run python benchmarks/sandbox.py
    uv run python benchmarks/sandbox.py --runs 5000

Prints a table, and as the last line one JSON object; progress goes to stderr. Linux only, for it reads /proc.
`benchmarks/README.md` says what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sage_spo.errors import SageError
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table
from sage_spo.tests.processes import descendants

RECORDS = 5_000
COLD, WARM, PAIRED, WARM_UP = 3, 200, 200, 50
"""Fresh sandboxes; runs whose latency is measured; runs made two at a time; runs before anything is counted."""
CONCURRENT = 2
SETTLE = 5.0  # seconds that workers which have ended may take to be gone

ANALYSIS = """\
failed = records["score"].lt(0.5)
by_channel = failed.groupby(records["channel"]).agg(["size", "sum"])
emit("by channel", {name: {"n": int(n), "failures": int(x)} for name, n, x in by_channel.itertuples()})
confused = pd.crosstab(records["expected"], records["output"])
emit("confusions", confused.to_dict())
print(confused)
"""


class BenchmarkError(Exception):
    """What makes a measurement worthless, in words."""


@dataclass(frozen=True)
class Footprint:
    """What there is of this process and of the sandbox's: counts, and resident memory in kB by process."""

    descriptors: int
    files: int
    rss: dict[int, int]

    @property
    def processes(self) -> int:
        """Descendants of this process."""
        return len(self.rss) - 1


def records(count: int = RECORDS) -> Table:
    """Rows like those that a diagnosis hands to its code: the promised columns, lengths, and four fields."""
    rng = np.random.default_rng(0)
    words = np.array(
        [
            "invoice",
            "parcel",
            "refund",
            "login",
            "charge",
            "address",
            "voucher",
            "password",
            "delivery",
            "account",
            "late",
            "twice",
        ]
    )
    labels = np.array(["billing", "refund", "other"])

    def row(number: int) -> dict[str, Any]:
        text = " ".join(rng.choice(words, int(rng.integers(8, 40))))
        expected, channel = str(labels[number % 3]), str(rng.choice(["phone", "mail", "chat"]))
        right = rng.random() < (0.4 if channel == "phone" else 0.8)
        output = expected if right else str(labels[(number + 1) % 3])
        return {
            "prompt_id": f"{number // 1000:016x}",
            "example_id": f"e{number % 1000}",
            "repeat": 0,
            "input": text,
            "output": output,
            "expected": expected,
            "score": float(right),
            "missing": False,
            "feedback": "" if right else f"expected {expected}, got {output}",
            "tokens": int(rng.integers(40, 200)),
            "n_words": text.count(" ") + 1,
            "n_chars": len(text),
            "channel": channel,
            "plan": str(rng.choice(["free", "pro"])),
            "region": str(rng.choice(["north", "south", "east", "west"])),
            "items": int(rng.integers(1, 9)),
        }

    return Table(row(number) for number in range(count))


async def run(sandbox: LocalSandbox, table: Table) -> float:
    """The seconds that one analysis took. Raises BenchmarkError where it failed."""
    started = time.perf_counter()
    done = await sandbox.run(ANALYSIS, table)
    seconds = time.perf_counter() - started
    if done.error or len(done.results) != 2:
        raise BenchmarkError(f"an analysis failed: {done.error or 'it found nothing'}")
    return seconds


def made() -> LocalSandbox:
    """A sandbox that has not been started."""
    sandbox = make_sandbox("local")
    assert isinstance(sandbox, LocalSandbox)
    return sandbox


async def cold(table: Table) -> float:
    """The seconds from nothing to the end of the first analysis."""
    sandbox = made()
    try:
        return await run(sandbox, table)
    finally:
        await sandbox.aclose()


async def per_second(sandbox: LocalSandbox, table: Table, runs: int) -> float:
    """Runs per second, two at a time."""
    gate = asyncio.Semaphore(CONCURRENT)

    async def one() -> None:
        async with gate:
            await run(sandbox, table)

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(runs)))
    return runs / (time.perf_counter() - started)


def resident(pid: int) -> int:
    """The resident memory of a process in kB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def footprint(folder: Path) -> Footprint:
    """What there is now; `folder` is where temporary files are made."""
    own = os.getpid()
    rss = {pid: resident(pid) for pid in (own, *sorted(descendants(own, zombies=True)))}
    return Footprint(len(os.listdir("/proc/self/fd")), sum(1 for _ in folder.rglob("*")), rss)


async def settled(folder: Path, before: Footprint | None = None) -> Footprint:
    """The footprint once no process is more than there was before, or when that does not come about."""
    end = time.monotonic() + SETTLE
    if before is None:
        await asyncio.sleep(0.5)
    found = footprint(folder)
    while before is not None and time.monotonic() < end:
        if found.processes <= before.processes and found.descriptors <= before.descriptors:
            break
        await asyncio.sleep(0.05)
        found = footprint(folder)
    return found


@contextmanager
def temporary_files() -> Iterator[Path]:
    """A folder of our own in which every temporary file of this process is made: others use the common one."""
    with tempfile.TemporaryDirectory(prefix="sandbox-benchmark-") as folder:
        old = os.environ.get("TMPDIR"), tempfile.tempdir
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = old[1]
            if old[0] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = old[0]


async def measured(runs: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The figures, and the lines of the table."""
    table = records()
    made()  # tries once per process what isolates here, which is no sandbox's start
    _ = table.data, table.digest  # serialised once however many runs there are
    say(f"{COLD} cold starts")
    starts = [await cold(table) for _ in range(COLD)]
    with temporary_files() as folder:
        sandbox = made()
        try:
            for _ in range(WARM_UP):
                await run(sandbox, table)
            say(f"{min(WARM, runs)} warm runs")
            warm = [await run(sandbox, table) for _ in range(min(WARM, runs))]
            rate = await per_second(sandbox, table, min(PAIRED, runs))
            before = await settled(folder)
            assert sandbox.pid is not None
            idle = len(descendants(sandbox.pid, zombies=True))
            say(f"{runs} runs in a row")
            for _ in range(runs):
                await run(sandbox, table)
            after = await settled(folder, before)
        finally:
            await sandbox.aclose()
    own = os.getpid()
    lasting = (before.rss.keys() & after.rss.keys()) - {own}
    grown = (after.rss[own] - before.rss[own]) / 1024
    theirs = sum(after.rss[pid] - before.rss[pid] for pid in lasting) / 1024
    p95 = float(np.percentile(warm, 95)) * 1000
    figures = {
        "warm_ms_median": round(median(warm) * 1000, 1),
        "warm_ms_p95": round(p95, 1),
        "cold_s_median": round(median(starts), 2),
        "runs_per_second": round(rate, 1),
        "leaked_fds": max(0, after.descriptors - before.descriptors),
        "leaked_processes": max(0, after.processes - before.processes),
        "leaked_files": max(0, after.files - before.files),
        "rss_growth_mb": round(grown + theirs, 1),
        "idle_workers": idle,
    }
    lines = [
        ("isolated by", str(sandbox.confinement)),
        ("cold start", ", ".join(f"{each:.2f}" for each in starts) + " s"),
        ("warm run", f"median {median(warm) * 1000:.1f}, p95 {p95:.1f}, max {max(warm) * 1000:.1f} ms"),
        ("two at a time", f"{rate:.1f} runs per second"),
        (f"after {runs:,} runs", f"descriptors {after.descriptors - before.descriptors:+d}"),
        ("", f"processes {after.processes - before.processes:+d} ({idle} idle under the sandbox's own)"),
        ("", f"temporary files {after.files - before.files:+d}"),
        ("", f"memory: this process {grown:+.1f} MB, the sandbox's {theirs:+.1f} MB"),
    ]
    return figures, lines


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def count(text: str) -> int:
    """The argument type of positive whole numbers."""
    if not 1 <= (value := int(text)) <= 10**6:
        raise argparse.ArgumentTypeError(f"{text} is out of range, it starts at 1 and ends at 1000000")
    return value


def main() -> int:
    """The exit code: 0 measured, 1 not, 2 wrong usage."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--runs", type=count, default=1000, help="runs in a row; no other figure takes more (%(default)s)")
    a = p.parse_args()
    if not Path("/proc/self/fd").is_dir():
        p.error("there is no /proc here to read descriptors and processes from")
    try:
        figures, lines = asyncio.run(measured(a.runs))
    except (SageError, BenchmarkError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"{name:<18}{text}".rstrip() for name, text in lines), json.dumps(figures), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
