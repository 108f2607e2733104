"""Runs attacks in the sandbox and as controls, and judges both by the same evidence.

python -m tests.attacks.runner [--full] [NAME ...]        one JSON row per attack
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sage_spo.errors import SandboxError
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.inside.plan import Limits
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.protocol import Execution, Finding
from sage_spo.sandbox.table import Table

from ..processes import alive, descendants, eventually
from . import control
from .attack import Attack, source
from .programs import ATTACKS
from .scene import Scene

LIMITS = Limits(wall=2.0, cpu=1, memory=256 << 20)
FLOOD = {"inside": 200 << 20, "inside, full": 2 << 30, "control": 50 << 20}
"""Bytes that a flood of output tries to write."""
_LATE, _LOST = 5.0, 60.0
"""Seconds that a run may take beyond its limits before it counts as endless, and before it is given up."""
_REACTION = 2.0
"""Seconds that a harmed process may take to show it."""
_GROWTH = 160 << 20
"""Bytes that the parent may take for a moment while it reads: twice a finding of half a million values."""
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SUBREAPER = 36
_BENIGN = "print('fine')\nemit('right', int(records['score'].sum()))"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one attack. `evidence` is that of the sandboxed run, empty unless it escaped."""

    name: str
    theme: str
    escaped: bool
    evidence: tuple[str, ...]
    control: Literal["succeeded", "failed", "not applicable"]
    why: str
    """What the control's success showed in, or why there was none."""
    seconds: float


class Arena:
    """A scene, a sandbox, and the attacks between them. Closes with `close`; to be used from the main thread."""

    def __init__(self, *, full: bool = False) -> None:
        made = make_sandbox("local")
        assert isinstance(made, LocalSandbox)
        self.full = full
        self.scene = Scene()
        self.sandbox = LocalSandbox("local", made.confinement, LIMITS)
        self.table = Table({"example_id": str(at), "score": float(at % 2)} for at in range(6))
        self.secret_table = Table([{"secret": self.scene.secret}])
        with self.scene.keys():
            self.controls = control.Controls(self.scene.base, self.scene.inherited)
            asyncio.run(self._warm())
        self.held = _held()

    async def _warm(self) -> None:
        """Start whatever stays between runs, so that anything more is a leftover."""
        for table in (self.secret_table, self.table):
            assert (await self.sandbox.run("emit('n', len(records))", table)).error is None

    def close(self) -> None:
        self.controls.close()
        asyncio.run(self.sandbox.aclose())
        self.scene.close()

    def judge(self, attack: Attack) -> Row:
        """Run the attack inside and as a control."""
        started = time.monotonic()
        if attack.hidden and "namespaces" not in self.sandbox.confinement.layers:
            return Row(attack.name, attack.theme, False, (), "not applicable", "not promised without namespaces", 0.0)
        with _adopting_orphans(), self.scene.keys(), _temporary(str(self.scene.temporary)):
            self.scene.evidence()
            inside = asyncio.run(self._inside(attack))
            outcome, why = self._control(attack)
        return Row(attack.name, attack.theme, bool(inside), tuple(inside), outcome, why, time.monotonic() - started)

    async def _inside(self, attack: Attack) -> list[str]:
        known = self.scene.known(
            inside=True, memory=LIMITS.memory, flood=FLOOD["inside, full" if self.full else "inside"]
        )
        evidence: list[str] = []
        before = descendants(os.getpid())
        _reset_peak()
        size = _memory("VmRSS")
        sibling = None
        if attack.earlier:
            await self.sandbox.run("emit('n', len(records))", self.secret_table)
        if attack.sibling:
            code = "import time\nprint('own', flush=True)\ntime.sleep(1.2)\nemit('own', 1)"
            sibling = asyncio.create_task(self.sandbox.run(code, self.secret_table))
            await asyncio.sleep(0.4)
            known = self.scene.known(inside=True, memory=LIMITS.memory, flood=1 << 20)
        for code in filter(None, (attack.code, attack.then)):
            evidence += await self._run(source(code, known))
        if sibling is not None:
            done = await sibling
            if (done.stdout, done.results, done.error) != ("own\n", (Finding("own", 1),), None):
                evidence.append(f"another run was changed: {done.stdout[:80]!r}, {done.error}")
        if (grown := _memory("VmHWM") - size) > _GROWTH:
            evidence.append(f"the parent grew by {grown >> 20} MB")
        evidence += self.scene.evidence()
        return evidence + await self._aftermath(before)

    async def _run(self, code: str) -> list[str]:
        """The evidence in one run and in what it returned."""
        started = time.monotonic()
        try:
            done = await asyncio.wait_for(self.sandbox.run(code, self.table), LIMITS.wall + _LOST)
        except TimeoutError:
            return ["the run never returned"]
        except SandboxError:
            return []  # refused, in order; whether it goes on working is seen afterwards
        except Exception as error:
            return [f"the parent raised {type(error).__name__}: {error}"]
        took = time.monotonic() - started
        late = [f"the run took {took:.1f} s"] if took > LIMITS.wall + _LATE else []
        return late + self._told(done)

    def _told(self, done: Execution) -> list[str]:
        """What the parent was told that it must not be: secrets, successes, poison."""
        texts = [done.stdout, done.error or "", *(text for each in done.results for text in (each.name, each.note))]
        evidence = [f"escaped: {each.value}" for each in done.results if each.name.startswith("escaped")]
        try:
            texts += [json.dumps(each.value, allow_nan=False, ensure_ascii=False) for each in done.results]
            "".join(texts).encode()
        except (ValueError, TypeError, RecursionError) as error:
            evidence.append(f"a result that cannot be stored: {error}")
        text = "".join(texts)
        evidence += [f"{name} was read" for name, secret in self.scene.secrets().items() if secret in text]
        if found := _UNSAFE.search(text):
            evidence.append(f"a control character came through: {found[0]!r}")
        if len(done.stdout) > LIMITS.stdout + 200:
            evidence.append(f"output of {len(done.stdout)} characters")
        if len(done.results) > LIMITS.findings or sum(map(len, texts)) > 2 * LIMITS.total_bytes:
            evidence.append(f"{len(done.results)} findings, {sum(map(len, texts))} characters")
        return evidence

    async def _aftermath(self, before: set[int]) -> list[str]:
        """Whether the sandbox goes on working, and what is left."""
        evidence = []
        try:
            done = await self.sandbox.run(source(_BENIGN, {}), self.table)
            if (done.stdout, done.results, done.error) != ("fine\n", (Finding("right", 3),), None):
                evidence.append(f"the next run went wrong: {done.stdout[:80]!r}, {done.results}, {done.error}")
        except Exception as error:
            evidence.append(f"the next run failed: {type(error).__name__}: {error}")
        if not await asyncio.to_thread(eventually, lambda: len(descendants(os.getpid())) <= len(before), 1.0):
            evidence.append(f"{len(descendants(os.getpid())) - len(before)} processes were left")
        if (more := _held() - self.held) > 6:
            evidence.append(f"{more} descriptors were left")
        if left := os.listdir(self.scene.temporary):
            evidence.append(f"temporary files were left: {sorted(left)[:3]}")
        return evidence

    def _control(self, attack: Attack) -> tuple[Literal["succeeded", "failed", "not applicable"], str]:
        known = self.scene.known(inside=False, memory=LIMITS.memory, flood=FLOOD["control"])
        before = descendants(os.getpid())
        patience = LIMITS.wall + 0.5 if attack.control == "hang" else 10.0
        code, then = (source(each, known) if each else "" for each in (attack.code, attack.then))
        outcome = self.controls.run(code, then, self.table.rows, patience)
        evidence: list[str] = []
        if attack.control == "child":
            evidence += [f"escaped: {value}" for name, value in outcome.findings if name == "escaped"]
            told = (outcome.stdout + outcome.frames).decode("utf-8", "replace")
            evidence += [f"{name} was read" for name, secret in self.scene.secrets().items() if secret in told]
            if len(outcome.findings) > LIMITS.findings or len(outcome.frames) > LIMITS.total_bytes:
                evidence.append(f"{len(outcome.findings)} findings, {len(outcome.frames) >> 10} kB")
        elif attack.control == "crash" and (outcome.status or 0) < 0:
            evidence.append(outcome.error)
        elif attack.control == "hang" and outcome.status is None:
            evidence.append(f"still running after {outcome.seconds:.1f} s")
        elif attack.control not in ("crash", "hang") and (harm := control.harm(attack.control, outcome, 10.0)):
            evidence.append(harm)
        if stayed := alive(descendants(os.getpid()) - before - {self.scene.victim.pid}):
            evidence.append(f"{len(stayed)} processes stayed")
            for pid in stayed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
        if attack.control in ("child", "pickle"):
            # On a busy machine it takes a moment until what was signalled shows it.
            end = time.monotonic() + (0.0 if evidence or outcome.error else _REACTION)
            while not (harmed := self.scene.evidence()) and time.monotonic() < end:
                time.sleep(0.02)
            evidence += harmed
        if evidence:
            return "succeeded", evidence[0][:200]
        why = outcome.error or "no evidence"
        if any(re.search(rf"\b{name}\b", why) for name in attack.barred):
            return "not applicable", why
        return "failed", why


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Whoever loses its parent meanwhile becomes a child of this process, and so is found."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    mine = descendants(os.getpid())
    try:
        yield
    finally:
        libc.prctl(_SUBREAPER, 0, 0, 0, 0)
        _reap(mine)


def _reap(mine: set[int]) -> None:
    """Wait for adopted children that have ended; those that this process started are for whoever holds them."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) not in mine:
            with contextlib.suppress(OSError):
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state == "Z" and int(parent) == os.getpid():
                    os.waitpid(int(folder.name), os.WNOHANG)


@contextlib.contextmanager
def _temporary(folder: str) -> Iterator[None]:
    """A folder of its own for temporary files, because others use the shared one at the same time."""
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = before


def _held() -> int:
    return len(os.listdir("/proc/self/fd"))


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> int:
    """Bytes that this process takes (VmRSS), or took at most (VmHWM)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def chosen(*, full: bool, names: Sequence[str] = ()) -> list[Attack]:
    """The attacks of the quick or the full suite, or those whose names contain one of `names`."""
    return [each for each in ATTACKS if (full or not each.full) and (not names or any(n in each.name for n in names))]


def main() -> int:
    """The exit code: 0 nothing escaped and every control succeeded, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks whose name contains this; default: all")
    parser.add_argument("--full", action="store_true", help="the slow ones too, and floods at full size")
    given: Any = parser.parse_args()
    arena = Arena(full=given.full)
    bad = 0
    try:
        for attack in chosen(full=given.full, names=given.names):
            row = arena.judge(attack)
            bad += row.escaped or row.control == "failed"
            print(json.dumps(asdict(row)), flush=True)
    finally:
        arena.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
