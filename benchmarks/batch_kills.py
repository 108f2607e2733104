"""Six real jobs on the embedded model, killed twice, end with the same prompts, gains and verdicts as undisturbed.

python benchmarks/batch_kills.py
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

JOBS = """version: 1
name: six
defaults: {{target: local, strategy: demos}}
parallel: 2
jobs:
  - {{name: languages, task: languages, strategy: random, budget: target_calls={proof}}}
  - {{name: headlines, task: headlines, budget: target_calls={calls}, certify: false}}
  - {{name: reviews, task: reviews, strategy: random, budget: target_calls={calls}, certify: false}}
  - {{name: tickets, task: tickets, seed: 1, budget: target_calls={calls}, certify: false}}
  - {{name: measured, kind: evaluate, task: languages, prompt: {{from: languages}}}}
  - {{name: base, kind: evaluate, task: reviews, split: search, priority: -1}}
"""
SAME = ("name", "state", "verdict", "seed_score", "best_score", "gain", "low", "high", "p", "prompt_id")


def command(path: Path) -> list[str]:
    """The batch's command line."""
    return [sys.executable, "-m", "sage_spo.jobs.cli", "batch", str(path), "--json"]


def calls_in(home: Path) -> int:
    """Logical calls that are journaled in the store of `home`."""
    if not (home / "store.sqlite").exists():
        return 0
    with sqlite3.connect(home / "store.sqlite", timeout=30) as db:
        try:
            return db.execute("select count(*) from calls").fetchone()[0]
        except sqlite3.OperationalError:  # the tables are being made
            return 0


def ended(path: Path, home: Path) -> dict[str, Any]:
    """The outcome of a batch that is left alone."""
    environment = os.environ | {"SAGE_HOME": str(home)}
    done = subprocess.run(
        command(path), env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return json.loads(done.stdout)


def killed(path: Path, home: Path, calls: int) -> None:
    """Start the batch and kill it with -9 once so many calls are journaled."""
    environment = os.environ | {"SAGE_HOME": str(home)}
    process = subprocess.Popen(command(path), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while calls_in(home) < calls and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    print(f"killed at {calls_in(home)} calls", flush=True)


def main() -> int:
    """Run it; 0 where both ended alike."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=230, help="budget of a search without a proof")
    parser.add_argument("--proof", type=int, default=900, help="budget of the search with one")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "six.yaml"
        path.write_text(JOBS.format(calls=options.calls, proof=options.proof))
        began = time.monotonic()
        undisturbed = ended(path, Path(folder) / "undisturbed")
        total = calls_in(Path(folder) / "undisturbed")
        print(f"undisturbed: {total} calls, {time.monotonic() - began:.0f} s", flush=True)
        rng, home = random.Random(options.seed), Path(folder) / "killed"
        for share in sorted(rng.uniform(0.05, 0.9) for _ in range(2)):
            killed(path, home, int(share * total))
        again = ended(path, home)
        calls = calls_in(home)
    wrong = 0
    for before, after in zip(undisturbed["jobs"], again["jobs"], strict=True):
        same = all(before[name] == after[name] for name in SAME)
        wrong += not same
        print(f"{'same' if same else 'DIFFERS'}  {[after[name] for name in SAME]}")
        if not same:
            print(f"    before  {[before[name] for name in SAME]}")
    print(f"{6 - wrong} of 6 jobs the same; {total} calls undisturbed, {calls} journaled when killed twice")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
