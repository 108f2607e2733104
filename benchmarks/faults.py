"""What faults of the provider change: one search on the scripted server, undisturbed and with each kind of fault.

    uv run python benchmarks/faults.py
    uv run python benchmarks/faults.py --kinds 500 reset mixed dead --budget 500

Prints a table, and as the last line one JSON object; progress goes to stderr. `benchmarks/README.md` says what the
figures mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from typing import Any

from sage_spo.jobs.api import optimize
from sage_spo.tasks.load import load_task
from sage_spo.tests.fakes.answers import Rule, rule_for
from sage_spo.tests.fakes.faults import FAULTS, Faults
from sage_spo.tests.fakes.server import FakeServer

KINDS = tuple(kind for kind in FAULTS if kind not in ("quota", "refusal"))
"""Those that may pass: without credit a run ends, and a refusal is an answer."""
SAME = {"verdict", "best", "prompt", "gain", "p", "fixed", "broken", "iterations"}
LATENCY = 0.01
Row = dict[str, Any]


def rule() -> Rule:
    """A model that is right 40 % of the time, and 65 % once the prompt says what form the answer has."""
    rows = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    return rule_for(rows, base=0.4, gains={"nswer with": 0.25, "eply with": 0.25, "only the label": 0.25})


def faults_of(kind: str, rate: float) -> Faults:
    """A share `rate` of attempts meets this kind, or all of them mixed; a request comes through in the end."""
    kinds = {"mixed": KINDS, "none": (), "dead": ()}.get(kind, (kind,))
    return Faults({k: rate / len(kinds) for k in kinds}, at_most=3)  # type: ignore[misc]


def measured(kind: str, options: argparse.Namespace) -> tuple[Row, Row]:
    """One run in a store of its own: what must not change, and its figures."""
    with tempfile.TemporaryDirectory() as home, FakeServer(rule(), faults_of(kind, options.rate), latency=LATENCY) as s:
        os.environ["SAGE_HOME"] = home
        if kind == "dead":
            s.down_at, s.down_for = options.budget // 3, options.dead_for
        started = time.monotonic()
        result = optimize(
            "reviews",
            strategy="random",
            target="openai:fake",
            base_url=s.url,
            budget={"target_calls": options.budget},
            timeout=options.timeout,
        )
        seconds = time.monotonic() - started
        attempts = len(s.log)
    roles = result.spend["by_role"].values()
    story = result.model_dump(include=SAME) | {"calls": result.spend["spent"]["target_calls"]}
    missing = sum(role["missing"] for role in roles)
    return story, {"attempts": attempts, "missing": missing, "seconds": round(seconds, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS, "mixed", "dead"], default=[*KINDS, "mixed", "dead"])
    parser.add_argument("--rate", type=float, default=0.1, help="share of attempts that fail")
    parser.add_argument("--budget", type=int, default=800, help="target calls")
    parser.add_argument("--timeout", type=float, default=0.5, help="seconds of one attempt")
    parser.add_argument("--dead-for", type=float, default=10.0, help="seconds that the server is dead in row `dead`")
    options = parser.parse_args()
    clean, first = measured("none", options)
    if not clean["calls"]:
        print(f"{clean['verdict']}: nothing was asked, so that nothing can be compared", file=sys.stderr)
        return 2
    rows: dict[str, Row] = {"none": {"same": True, **first, "more_seconds": 0.0}}
    for kind in options.kinds:
        story, row = measured(kind, options)
        more = round(row["seconds"] - first["seconds"], 2)
        rows[kind] = {"same": story == clean, **row, "more_seconds": more}
        print(f"{kind}: {rows[kind]}", file=sys.stderr, flush=True)
    print(f"{'fault':<12}{'same':<6}{'attempts':>9}{'missing':>9}{'s':>8}{'more s':>8}")
    for kind, row in rows.items():
        same = "yes" if row["same"] else "NO"
        print(
            f"{kind:<12}{same:<6}{row['attempts']:>9,}{row['missing']:>9}{row['seconds']:>8.1f}{row['more_seconds']:>8.1f}"
        )
    print(json.dumps({"rate": options.rate, "budget": options.budget, "calls": clean["calls"], "rows": rows}))
    return 0 if all(row["same"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
