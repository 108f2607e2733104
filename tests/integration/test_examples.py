"""What stands in `examples/` runs as it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import PROGRAM, ROOT
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer


def test_a_function_as_the_target(home: Path):
    done = subprocess.run([sys.executable, ROOT / "examples" / "own_function.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Improved, and proven")


def test_the_package_with_a_strategy_installs_and_its_strategy_optimises(home: Path, tmp_path: Path):
    source = shutil.copytree(ROOT / "examples" / "own_strategy", tmp_path / "own_strategy")
    installer = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site"), str(source)]
    subprocess.run(installer, check=True, capture_output=True, text=True)
    rows = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    with FakeServer(rule_for(rows, base=0.4, gains={"nswer with one word": 0.3})) as server:
        done = subprocess.run(
            [
                *(*PROGRAM, "optimize", "reviews", "--strategy", "shorten", "--json"),
                *("--target", "openai:fake", "--base-url", server.url, "--budget", "target_calls=800"),
            ],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"] == "improved"
    assert result["prompt"]["origin"] == "one sentence more"
