"""Every hostile program fails in the sandbox, and succeeds where nothing confines it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..unit.sandbox import without
from . import as_user
from .attack import Attack
from .programs import ATTACKS
from .runner import Arena, Row

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="local isolation is Linux's")
LEAST = 60
"""Attacks that must be applicable, so that a machine which bars most of them proves nothing."""
QUICK = [each for each in ATTACKS if not each.full]


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    made = Arena()
    yield made
    made.close()


@pytest.fixture(scope="module")
def full_arena() -> Iterator[Arena]:
    made = Arena(full=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    """What was judged so far."""
    return {}


def holds(row: Row) -> None:
    assert not row.escaped, f"{row.name}: {'; '.join(row.evidence)}"
    assert row.control != "failed", f"{row.name}: the control shows no harm: {row.why}"


@pytest.mark.parametrize("attack", QUICK, ids=lambda each: each.name)
def test_the_attack_fails_inside_alone(arena: Arena, rows: dict[str, Row], attack: Attack) -> None:
    row = rows[attack.name] = arena.judge(attack)
    if row.control == "not applicable" and not row.escaped:
        pytest.skip(f"not applicable here: {row.why}")
    holds(row)


def test_most_attacks_are_applicable(rows: dict[str, Row]) -> None:
    if len(rows) < len(QUICK):
        pytest.skip("not all were run")
    assert sum(row.control == "succeeded" for row in rows.values()) >= LEAST


@pytest.mark.full
@pytest.mark.parametrize(
    "attack", [each for each in ATTACKS if each.full or each.theme == "floods"], ids=lambda each: each.name
)
def test_the_attack_fails_at_full_size(full_arena: Arena, attack: Attack) -> None:
    holds(full_arena.judge(attack))


RUNNER = ("-m", "tests.attacks.runner")


def judged(command: list[str]) -> list[Row]:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    found = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return found


# A few of each theme: the whole table takes a minute, and is in the full suite.
SAMPLE = (
    *("read a file of", "read the run store", "read the project", "read /etc/passwd", "read through the "),
    *("environment of", "read a key", "connect by IPv4", "connect to a", "memory of a process", "name spaces of"),
    *("kill a process", "forge a pickle", "patch pandas", "leave a d"),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("names", [SAMPLE, pytest.param((), marks=pytest.mark.full)], ids=["some", "all"])
def test_the_attacks_fail_inside_as_an_ordinary_user(names: tuple[str, ...]) -> None:
    if why := as_user.why_not():
        pytest.skip(why)
    found = judged(as_user.command([*RUNNER, *names]))
    assert sum(row.control == "succeeded" for row in found) >= (15 if names else LEAST)
    for row in found:
        holds(row)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("missing", ["namespaces", "landlock"])
@pytest.mark.parametrize("names", [SAMPLE, pytest.param((), marks=pytest.mark.full)], ids=["some", "all"])
def test_the_attacks_fail_inside_with_one_lock_less(names: tuple[str, ...], missing: str) -> None:
    found = judged(without.command(missing, *RUNNER, *names))
    assert sum(row.control == "succeeded" for row in found) >= (15 if names else LEAST)
    for row in found:
        holds(row)
