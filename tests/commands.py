"""The command line and the benchmarks as they are called by hand: in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sage_spo

ROOT = Path(sage_spo.__file__).resolve().parent
PROGRAM = [sys.executable, "-m", "sage_spo.jobs.cli"]


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command line, under way; standard output and error are pipes."""
    return subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The same, killed at the end of `with` where it still runs."""
    with started(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def benchmark(name: str, *arguments: str, seconds: float = 280) -> subprocess.CompletedProcess[str]:
    """A benchmark that has ended, called from the repository root."""
    script = [sys.executable, f"benchmarks/{name}.py", *arguments]
    return subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
