"""The sandbox benchmark's command: a short measurement that finds no leak, and what it says to wrong usage."""

from __future__ import annotations

import json
import sys

import pytest

from sage_spo.tests.commands import benchmark, benchmark_here

LEAKS = {"leaked_fds", "leaked_processes", "leaked_files"}
FIGURES = LEAKS | {
    "warm_ms_median",
    "warm_ms_p95",
    "cold_s_median",
    "runs_per_second",
    "rss_growth_mb",
    "idle_workers",
}


@pytest.mark.skipif(sys.platform != "linux", reason="local isolation is Linux's, and so is /proc")
def test_a_short_measurement_finds_no_leak_and_its_last_line_is_json() -> None:
    done = benchmark("sandbox", "--runs", "20")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == FIGURES
    assert {name: found[name] for name in LEAKS} == dict.fromkeys(LEAKS, 0)
    assert 0 < found["warm_ms_median"] <= found["warm_ms_p95"]
    assert found["cold_s_median"] > 0
    assert found["runs_per_second"] > 0
    assert found["idle_workers"] >= 0
    assert done.stdout.startswith("isolated by")


@pytest.mark.parametrize("runs", ["0", "many", "-3"])
def test_wrong_usage_is_exit_code_2(runs: str) -> None:
    done = benchmark_here("sandbox", "--runs", runs)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--runs" in done.stderr
