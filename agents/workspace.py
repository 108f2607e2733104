"""The workspace of a diagnosis: records as a table, the code that ran over it, and our own recomputation.

Each iteration a seeded coin divides the champion's examples. Agents and their code see the *diagnosis* half; the
*confirmation* half is for us alone, to see whether what they suppose holds where they did not look.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..evaluation.hypotheses import Support, checked_mask, keeps_to_itself, support
from ..sandbox.protocol import Execution, Sandbox
from ..sandbox.table import Table
from ..tasks.prompt import Prompt
from ..tasks.task import Task
from ..traces.rows import CodeRun, Record
from .ask import fenced

FAILS_BELOW = 0.5
"""An answer with a lower score is a failure."""

RESERVED = (
    "prompt_id",
    "example_id",
    "repeat",
    "input",
    "output",
    "expected",
    "score",
    "missing",
    "feedback",
    "tokens",
)
LENGTHS = ("n_words", "n_chars")
ROWS_SHOWN = 10
VALUE_SHOWN = 1200
"""Characters of a finding that is no table of counts."""


@dataclass(frozen=True)
class NumberedFinding:
    """What code emitted, under the id by which agents refer to it (`F1`, `F2`, …)."""

    id: str
    name: str
    value: Any
    note: str = ""

    @property
    def text(self) -> str:
        """The finding in a request: its id and name, then a line per group with exact counts."""
        head = f"{self.id}: {self.name}" + (f" ({self.note})" if self.note else "")
        return fenced(head + "\n" + rendered(self.value), cap=2500).rstrip()


@dataclass
class Workspace:
    """Records of the champion and of other prompts on the search split, in a sandbox (None: without code).

    `half` are the ids of the diagnosis half; `keep` stores every code run.
    """

    task: Task
    champion: Prompt
    records: Mapping[str, Sequence[Record]]
    half: frozenset[str]
    sandbox: Sandbox | None
    keep: Callable[[CodeRun], None]
    run_id: str
    iteration: int
    findings: list[NumberedFinding] = field(default_factory=list)
    nothing: list[str] = field(default_factory=list)
    """Names of analyses that found nothing."""
    _ran: int = 0

    @cached_property
    def _seen(self) -> Table:
        """What agents' code sees: the diagnosis half, of all the prompts, the champion first."""
        every = {self.champion.id: self._own(), **self.records}.values()
        return Table(self._row(r) for records in every for r in records if r.example_id in self.half)

    @cached_property
    def _champions(self) -> Table:
        """All of the champion's records, for counts by groups that nobody chose."""
        return Table(self._row(r) for r in self._own())

    @cached_property
    def _blind(self) -> Table:
        """What predicates see: the champion's first answers, without what came of them."""
        own = (self._row(r) for r in self._own() if r.repeat == 0)
        return Table({name: row[name] for name in row if name not in ("score", "missing", "feedback")} for row in own)

    @property
    def fields(self) -> list[str]:
        """The columns of `records`."""
        given = dict.fromkeys(name for example in self.task.search for name in example.metadata)
        return list(dict.fromkeys((*RESERVED, *LENGTHS, *given)))

    @property
    def failed(self) -> dict[str, bool]:
        """Whether the champion failed, by example id; what is missing is left out."""
        measured = (r for r in self._own() if r.repeat == 0 and r.score is not None)
        return {r.example_id: (r.score or 0.0) < FAILS_BELOW for r in measured}

    def failures(self) -> list[Record]:
        """The champion's failures of the diagnosis half, by example id."""
        bad = self.failed
        return [r for r in self._own() if r.repeat == 0 and bad.get(r.example_id) and r.example_id in self.half]

    async def run(self, code: str, purpose: str, *, everywhere: bool = False) -> Execution:
        """Run analysis code over the diagnosis half, or (our own code) `everywhere` over all of the champion's records;
        what it emits becomes a finding with an id of its own."""
        assert self.sandbox is not None
        execution = await self.sandbox.run(code, self._champions if everywhere else self._seen)
        telling = [f for f in execution.results if f.value not in (None, [], {}, "")]
        self.nothing += [f.name for f in execution.results if f not in telling]
        found = [
            NumberedFinding(f"F{len(self.findings) + i}", f.name, f.value, f.note) for i, f in enumerate(telling, 1)
        ]
        self.findings += found
        emitted = tuple({"id": f.id, "name": f.name, "note": f.note, "text": f.text} for f in found)
        self._note(purpose, code, execution, emitted)
        return execution

    async def masks(self, predicates: Sequence[str]) -> list[dict[str, bool] | str]:
        """For every predicate which examples it matches, by id, over all of the champion's records, else why not.

        The predicates see neither scores nor feedback, and what they match is all that is taken from them.
        """
        together = [p for p in dict.fromkeys(predicates) if keeps_to_itself(p)]
        found = dict(zip(together, await self._masks(together) or (), strict=False))
        for predicate in predicates:
            # One that takes too long, kills its worker or may reach into it costs only itself.
            if predicate not in found:
                [found[predicate]] = await self._masks([predicate]) or ["could not be run in time"]
        return [found[predicate] for predicate in predicates]

    async def _masks(self, predicates: Sequence[str]) -> list[dict[str, bool] | str] | None:
        if not predicates:
            return []
        assert self.sandbox is not None
        code = PREDICATES.format(predicates=repr(list(predicates)))
        execution = await self.sandbox.run(code, self._blind)
        self._note("predicates", code, execution, ())
        if execution.error:
            return None
        by_name = {f.name: f for f in execution.results}
        return [self._mask(by_name.get(f"predicate {i}")) for i in range(len(predicates))]

    def _mask(self, finding: Any) -> dict[str, bool] | str:
        if finding is None:
            return "could not be evaluated"
        if finding.note:
            return f"cannot be evaluated: {fenced(finding.note, cap=160)}"
        value = finding.value
        if isinstance(value, str) and set(value) <= {"0", "1"}:  # shorter than a list, of which 5,000 items are kept
            value = [character == "1" for character in value]
        ids = [row["example_id"] for row in self._blind.rows]
        mask = checked_mask(value, len(ids))
        return mask if isinstance(mask, str) else dict(zip(ids, mask, strict=True))

    def support(self, mask: Mapping[str, bool], *, confirmation: bool = False) -> Support:
        """Our own counts for a mask, over all of the champion's records or the confirmation half."""
        failed = self.failed
        if confirmation:
            failed = {i: bad for i, bad in failed.items() if i not in self.half}
        return support(mask, failed)

    def _note(self, purpose: str, code: str, execution: Execution, found: tuple[Mapping[str, Any], ...]) -> None:
        self._ran += 1
        self.keep(
            CodeRun(
                self.run_id,
                self.iteration,
                self._ran,
                purpose,
                code,
                execution.stdout,
                found,
                execution.error,
                execution.duration,
                execution.usd,
            )
        )

    def _own(self) -> Sequence[Record]:
        return self.records.get(self.champion.id, ())

    def _row(self, record: Record) -> dict[str, Any]:
        example = self.task.example(record.example_id)
        row: dict[str, Any] = {
            "prompt_id": record.prompt_id,
            "example_id": record.example_id,
            "repeat": record.repeat,
            "input": example.input,
            "output": record.output,
            "expected": example.label,
            "score": record.score,
            "missing": record.score is None,
            "feedback": record.feedback,
            "tokens": record.tokens,
            "n_words": len(example.input.split()),
            "n_chars": len(example.input),
        }
        return row | {name: _plain(value) for name, value in example.metadata.items() if name not in RESERVED}


def _plain(value: Any) -> Any:
    """A metadata value as the sandbox takes it: what is no JSON value becomes text."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return str(value)
    return value


PREDICATES = """\
for number, source in enumerate({predicates}):
    try:
        mask = eval(source, {{"records": records.copy(), "pd": pd, "np": np}})
        if isinstance(mask, pd.Series) and len(mask) == len(records) and mask.index.is_unique:
            mask = mask.reindex(records.index)
        values = [None, "a table"] if isinstance(mask, pd.DataFrame) else pd.Series(mask).tolist()
        plain = all(value is None or value in (0, 1) or value != value for value in values)
        emit(f"predicate {{number}}", "".join("01"[value == 1] for value in values) if plain else values)
    except Exception as problem:
        emit(f"predicate {{number}}", None, note=f"{{type(problem).__name__}}: {{problem}}" or "error")
"""


def rendered(value: Any) -> str:
    """A finding's value as text: groups with counts one a line, anything else as compact JSON."""
    if isinstance(value, list) and value and all(isinstance(row, dict) and "group" in row for row in value):
        return "\n".join(_counts(row) for row in value[:ROWS_SHOWN])
    if isinstance(value, dict) and value and all(isinstance(row, dict) and "n" in row for row in value.values()):
        return "\n".join(_counts({"group": name, **row}) for name, row in list(value.items())[:ROWS_SHOWN])
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_SHOWN else text[:VALUE_SHOWN] + " …"


def _counts(row: Mapping[str, Any]) -> str:
    numbers = [f"{name}={row[name]}" for name in ("n", "failures") if isinstance(row.get(name), (int, float))]
    if isinstance(row.get("rate"), (int, float)):
        numbers.append(f"rate={row['rate']:.2f}")
    return (
        f"{row['group']}: {' '.join(numbers)}" if numbers else f"{row['group']}: {json.dumps(row, default=str)[:200]}"
    )
