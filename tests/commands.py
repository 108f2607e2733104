"""The command line and the benchmarks as they are called by hand: in processes of their own."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

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


def benchmark_here(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has imported most of what it needs: for what it refuses to do."""
    script, out, err, code = ROOT / "benchmarks" / f"{name}.py", io.StringIO(), io.StringIO(), None
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch, chdir(ROOT), redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", [str(script), *arguments])
        patch.setattr(sys, "path", [str(script.parent), *sys.path])
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            code = end.code
    for module in set(sys.modules) - before:  # those beside the script; other folders have some of the same names
        if (getattr(sys.modules[module], "__file__", None) or "").startswith(str(script.parent)):
            del sys.modules[module]
    assert isinstance(code, int), code
    return subprocess.CompletedProcess([name, *arguments], code, out.getvalue(), err.getvalue())
