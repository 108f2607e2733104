"""Hostile programs against the sandbox: how many were tried, how many escaped, and whether each works outside of it.

    uv run python benchmarks/attacks.py                # all, as root (if started so) and as an ordinary user
    uv run python benchmarks/attacks.py --quick        # without the slowest, floods at a tenth of their size

Prints a table and, as the last line, one JSON object. Exit code 1 says that something escaped or that a control failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from columns import aligned

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.attacks import as_user  # noqa: E402
from tests.attacks.runner import Row  # noqa: E402

RUNNER = ["-m", "tests.attacks.runner"]


def rows(command: Sequence[str], who: str) -> list[Row]:
    """The rows of one pass over the attacks, run by `command`; says on stderr how far it is."""
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        for line in child.stdout:
            found.append(Row(**json.loads(line)))
            print(f"\r{who}: {len(found)} {found[-1].name:60.60}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if child.returncode not in (0, 1):
        raise SystemExit(f"attacks: the runner ended with exit code {child.returncode}")
    return found


def figures(found: Sequence[Row]) -> dict[str, int]:
    """The counts of one pass."""
    return {
        "tried": len(found),
        "escaped": sum(row.escaped for row in found),
        "controls_failed": sum(row.control == "failed" for row in found),
        "not_applicable": sum(row.control == "not applicable" for row in found),
    }


def table(passes: dict[str, list[Row] | None]) -> str:
    """One line per attack: what came of it inside, and of its control, for each kind of user."""
    taken = {who: {row.name: row for row in found} for who, found in passes.items() if found}
    lines = [["attack", "theme", *(f"{what} ({who})" for who in taken for what in ("inside", "control"))]]
    for row in next(iter(taken.values())).values():
        line = [row.name, row.theme]
        for found in taken.values():
            line += ["ESCAPED" if found[row.name].escaped else "failed", found[row.name].control]
        lines.append(line)
    return aligned(lines)


def details(passes: dict[str, list[Row] | None]) -> list[str]:
    """What escaped and how, which controls failed, and why others do not apply."""
    said = []
    for who, found in passes.items():
        for row in found or ():
            if row.escaped:
                said.append(f"{who}: ESCAPED: {row.name}: {'; '.join(row.evidence)}")
            if row.control != "succeeded":
                said.append(f"{who}: {row.control}: {row.name}: {row.why}")
    return said


def main() -> int:
    """The exit code: 0 nothing escaped and every control succeeded, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="what `pytest` runs")
    quick: Any = parser.parse_args().quick
    runner = [*RUNNER, *([] if quick else ["--full"])]
    root = os.geteuid() == 0
    here = [sys.executable, "-B", *runner]
    passes: dict[str, list[Row] | None] = {
        "root": rows(here, "root") if root else None,
        "user": rows(as_user.command(runner) if root else here, "user"),
    }
    print(table(passes), "", *details(passes), sep="\n")
    counts = {who: figures(found) if found is not None else None for who, found in passes.items()}
    print(json.dumps(counts), flush=True)
    return int(any(each["escaped"] or each["controls_failed"] for each in counts.values() if each))


if __name__ == "__main__":
    sys.exit(main())
