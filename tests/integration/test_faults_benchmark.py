"""The fault benchmark's command: a small run with two kinds."""

from __future__ import annotations

import json

import pytest

from sage_spo.tests.commands import benchmark


@pytest.mark.full
def test_its_last_line_says_that_faults_change_nothing() -> None:
    done = benchmark("faults", "--kinds", "500", "reset", "--budget", "500")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert set(rows) == {"none", "500", "reset"}
    assert all(row["same"] and row["missing"] == 0 for row in rows.values())
    assert rows["500"]["attempts"] > rows["none"]["attempts"]
