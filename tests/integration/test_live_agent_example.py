"""examples/live_agent runs, and goes on where it stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import sage_spo

EXAMPLE = Path(sage_spo.__file__).parent / "examples" / "live_agent" / "advertise.py"


def test_it_runs_and_goes_on(tmp_path: Path) -> None:
    for first, last in ((1, 3), (4, 5)):
        command = [sys.executable, str(EXAMPLE), str(last - first + 1), str(tmp_path / "state.db")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rounds = [int(number) for number in re.findall(r"^ *(\d+)  [01]\.\d\d  ", done.stdout, re.MULTILINE)]
        assert rounds == list(range(first, last + 1))
        assert f"{last} scores learned" in done.stdout
