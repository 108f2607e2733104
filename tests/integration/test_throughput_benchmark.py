"""The throughput benchmark's command: one small run without peers."""

from __future__ import annotations

import json

import pytest

from sage_spo.tests.commands import benchmark

FIGURES = {
    "share_of_bare_loop",
    "times_fastest_peer",
    "cpu_ms_per_call",
    "cached_per_s",
    "store_mb_per_million",
    "show_s",
    "runs_s",
    "graph_and_store_s",
}


@pytest.mark.full
def test_its_last_line_is_json_with_all_figures() -> None:
    small = ["--calls", "200", "--records", "500", "--graph-calls", "200", "--peers", "none"]
    done = benchmark("throughput", *small)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) >= FIGURES
    assert found["times_fastest_peer"] is None
    assert all(found[name] > 0 for name in FIGURES - {"times_fastest_peer"})
    assert set(found["rows"]) == {"bare loop", "sage-spo"}
