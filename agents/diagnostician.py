"""The diagnostician: finds out by code what the failures have in common, and supposes causes that can be tested.

With an agent model it reads the standard analyses and the failures, writes Python, reads what that printed, and
goes on until it gives hypotheses. The playbook takes its hypotheses from the standard analyses alone. Either way a
hypothesis is executable: a predicate over the records says which examples it is about (docs/strategies.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import BudgetExceeded
from ..evaluation.hypotheses import Support
from ..evaluation.panels import by_turns
from ..seeding import shuffled
from ..traces.rows import Record
from .ask import AgentDesk, fence, fenced, prompt_text
from .workspace import Workspace

STANDARD_SOURCE = "standard analyses"
PRESET = "toolkit.preset(records, emit, labels={labels})"
SEARCHED = "toolkit.searched(records, emit, labels={labels})"
FAILURES_SHOWN = 16
CLOSELY = 4
"""Failures shown to a diagnostician that looks at one answer alone."""

CODE_SHOWN = 2500
MOST_NAMES = 20
FINDINGS_SHOWN = 30_000
"""Characters of all findings in a request."""
LONGEST_CODE = 20_000
PLAYBOOK_P = 0.1
"""The standard analyses suppose what they show with a p-value below this."""


class HypothesisDraft(BaseModel):
    """A supposed cause of failures, as an agent writes it."""

    model_config = ConfigDict(extra="ignore")

    claim: str = Field(description="Which examples fail and why, in one sentence.")
    predicate: str = Field(
        description="A Python expression over `records` that is true for the examples the claim is about, such as "
        'records["input"].str.contains("refund", case=False, regex=False)'
    )
    expected_effect: str = Field(default="", description="What the fix should change, for which examples.")
    fix: str = Field(description="The one sentence to put into the prompt.")
    findings: list[str] = Field(default_factory=list, description='Ids of the findings it rests on, such as "F1".')


class Diagnosis(BaseModel):
    """One step of a diagnosis: code to run next, or the hypotheses that end it."""

    model_config = ConfigDict(extra="ignore")

    code: str = Field(default="", description="Python to run over `records` before you decide; empty when done.")
    hypotheses: list[HypothesisDraft] = Field(default_factory=list, description="The hypotheses; empty with code.")

    @model_validator(mode="before")
    @classmethod
    def _of_this_form(cls, value: Any) -> Any:
        if isinstance(value, dict) and not {"code", "hypotheses"} & set(value):
            raise ValueError("it holds neither code nor hypotheses")
        return value


class OneHypothesis(BaseModel):
    """The same for small models: one hypothesis, no code."""

    model_config = ConfigDict(extra="ignore")

    hypothesis: HypothesisDraft


class TextHypothesis(BaseModel):
    """A supposed cause without code: nothing to execute, nothing counted."""

    model_config = ConfigDict(extra="ignore")

    claim: str = Field(description="What the failures have in common, in one sentence.")
    fix: str = Field(description="The one sentence to put into the prompt.")


class TextDiagnosis(BaseModel):
    """What is asked for where no code may run."""

    model_config = ConfigDict(extra="ignore")

    causes: list[TextHypothesis]


@dataclass(frozen=True)
class Draft:
    """A hypothesis before anybody has tested it. `source`: who wrote it; `shown`: the examples that its writer saw."""

    source: str
    claim: str
    predicate: str
    effect: str
    fix: str
    findings: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    among: int = 0
    """Of a group that was fixed beforehand: how many were counted with it. 0: chosen after a look at what fails."""
    named_by: frozenset[str] = frozenset()
    """The independent requests, of this round and of earlier ones, that named it."""


@dataclass(frozen=True)
class Brief:
    """What a diagnostician is told beside the records: what holds already, and what was tried before."""

    confirmed: Sequence[tuple[str, Support]] = ()
    tried: Sequence[str] = ()
    refuted: Sequence[str] = ()
    unseen: frozenset[str] = field(default_factory=frozenset)
    """Examples that must not be shown: what is written will be screened on them."""


async def run_standard(workspace: Workspace) -> list[Draft]:
    """Run the standard analyses in the sandbox; the playbook's hypotheses come from what they found.

    Groups that are fixed beforehand (each value of a field, each label, each quarter of the lengths) are counted on all
    of the champion's records; what is searched for, on the diagnosis half.
    """
    labels = list(workspace.task.labels)
    await workspace.run(PRESET.format(labels=labels), STANDARD_SOURCE, everywhere=True)
    fixed = len(workspace.findings)
    await workspace.run(SEARCHED.format(labels=labels), STANDARD_SOURCE)
    drafts: dict[str, Draft] = {}
    for place, finding in enumerate(workspace.findings):
        rows = finding.value if isinstance(finding.value, list) else []
        for row in rows:
            predicate = row.get("predicate") if isinstance(row, dict) else None
            if not isinstance(predicate, str) or not _speaks(row):
                continue
            group = fenced(str(row.get("group", "")), cap=120)
            claim = f"{group}: fails more often than the others"
            among = len(rows) if place < fixed else 0
            draft = Draft(STANDARD_SOURCE, claim, predicate, "fewer failures there", "", (finding.id,), among=among)
            drafts.setdefault(predicate, draft)
    return list(drafts.values())


def _speaks(row: dict[str, Any]) -> bool:
    p, n = row.get("p"), row.get("n")
    return isinstance(p, (int, float)) and isinstance(n, (int, float)) and p < PLAYBOOK_P and n >= 5


async def diagnose(
    workspace: Workspace,
    desk: AgentDesk,
    brief: Brief,
    rng: np.random.Generator,
    *,
    iteration: int,
    opinion: int,
    most: int,
    max_rounds: int,
    small: bool,
    focus: int | None = None,
) -> list[Draft]:
    """One diagnostician's hypotheses, at most `most`, after up to `max_rounds` requests.

    With a `focus` it looks closely at a few failures that want one answer: the focus-th most often failed.
    Whatever goes wrong (no reply, no JSON, code that fails) costs this opinion at most.
    """
    sample = _sample(workspace, brief, rng, focus)
    shown = tuple(r.example_id for r in sample)
    outputs: list[str] = []
    for turn in range(max_rounds):
        last = turn == max_rounds - 1
        enclosed = (workspace.champion.id, *shown, *(f.text for f in workspace.findings), *outputs)
        message = prompt_text(
            "diagnose" if workspace.sandbox else "diagnose_without_code",
            fence=fence(desk.calls.seed, iteration, opinion, turn, *enclosed),
            prompt=fenced(workspace.champion.system, cap=24_000),
            fields=workspace.fields,
            findings=list(accumulated(f.text for f in workspace.findings)),
            confirmed=[{"predicate": fenced(p, cap=500), "words": s.words} for p, s in brief.confirmed],
            nothing=[fenced(name, cap=60) for name in workspace.nothing[:MOST_NAMES]],
            user_template=workspace.champion.main == "user",
            failures=[shown_failure(workspace, r) for r in sample],
            failed=len(workspace.failures()),
            tried=[fenced(text, cap=300) for text in brief.tried],
            refuted=[fenced(text, cap=300) for text in brief.refuted],
            outputs=outputs,
            labels=workspace.task.labels,
            most=1 if small else most,
            may_run=not last and not small,
            rounds_left=max_rounds - 1 - turn,
        )
        shown = verbatim(workspace, message)
        schema: type[BaseModel] = OneHypothesis if small else Diagnosis
        if workspace.sandbox is None:
            schema = TextDiagnosis
        try:
            reply = await desk.ask(
                schema,
                [{"role": "user", "content": message}],
                role=f"diagnostician {opinion}",
                iteration=iteration,
                index=turn,
                max_tokens=4096,
            )
        except BudgetExceeded:
            return []
        if isinstance(reply, TextDiagnosis):
            found = [HypothesisDraft(claim=c.claim, predicate="", fix=c.fix) for c in reply.causes]
        elif isinstance(reply, OneHypothesis):
            found = [reply.hypothesis]
        elif isinstance(reply, Diagnosis):
            found = reply.hypotheses
            if not found and reply.code.strip() and not last:
                printed = await _ran(workspace, reply.code, opinion, turn)
                outputs.append(f"{fenced(reply.code.strip(), cap=CODE_SHOWN)}\n\nIt printed:\n{printed}")
                continue
        else:
            return []
        return [
            Draft(
                "diagnostician" if opinion == 0 else f"diagnostician {opinion + 1}",
                fenced(h.claim.strip(), cap=300),
                h.predicate.strip(),
                fenced(h.expected_effect.strip(), cap=300),
                fenced(h.fix.strip(), cap=600),
                _known(h.findings, workspace),
                shown,
                named_by=frozenset([f"{iteration}.{opinion}" + (focus is not None) * " closely"]),
            )
            for h in found[:most]
        ]
    return []


async def _ran(workspace: Workspace, code: str, opinion: int, turn: int) -> str:
    """What an agent's code printed, as it stands in the next request."""
    if len(code) > LONGEST_CODE:
        return f"Your code of step {turn + 1} was not run: it is longer than {LONGEST_CODE} characters."
    execution = await workspace.run(code, f"diagnostician {opinion + 1}, step {turn + 1}")
    text = fenced(execution.stdout, cap=4000).strip() or "(it printed nothing)"
    return text + (f"\nerror: {fenced(execution.error, cap=600)}" if execution.error else "")


def accumulated(texts: Iterable[str]) -> Iterator[str]:
    """The texts in their order, the newest of them as many as a request has room for."""
    room, kept = FINDINGS_SHOWN, []
    for text in reversed(list(texts)):
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    yield from reversed(kept)


def verbatim(workspace: Workspace, message: str) -> tuple[str, ...]:
    """The ids of the examples whose input stands in a request, whether we put it there or code printed it."""
    examples = (workspace.task.example(i) for i in sorted(workspace.half))
    said = " ".join(message.replace("\\n", " ").split())
    return tuple(e.id for e in examples if " ".join(fenced(e.input).split())[:RECOGNISED] in said)


RECOGNISED = 40
"""An example is known by the first so many characters of its input."""

INVENTED = "?"
"""Marks the ids of findings that do not exist."""


def _known(ids: Sequence[str], workspace: Workspace) -> tuple[str, ...]:
    real = {f.id for f in workspace.findings}
    return tuple(i if i in real else f"{fenced(i, cap=12)}{INVENTED}" for i in dict.fromkeys(ids[:10]))


def _sample(workspace: Workspace, brief: Brief, rng: np.random.Generator, focus: int | None) -> list[Record]:
    """Failures to show: drawn at random, one of each right answer before a second one of any; with a focus, of one
    right answer alone."""
    pool = [r for r in workspace.failures() if r.example_id not in brief.unseen]
    order = shuffled(pool, rng)

    def answer(record: Record) -> str:
        return workspace.task.example(record.example_id).label

    answers = [name for name, n in Counter(map(answer, pool)).most_common() if n > 1]
    if focus is None or not answers:
        return by_turns(order, answer)[:FAILURES_SHOWN]
    return [r for r in order if answer(r) == answers[focus % len(answers)]][:CLOSELY]


def shown_failure(workspace: Workspace, record: Record) -> dict[str, str]:
    """A record as it stands in a request."""
    example = workspace.task.example(record.example_id)
    fields = ", ".join(f"{name}={value}" for name, value in example.metadata.items())
    return {
        "input": fenced(example.input),
        "fields": fenced(fields, cap=300),
        "output": fenced(record.output, cap=600),
        "expected": fenced(example.label, cap=600),
        # Built-in metrics say no more than what stands above.
        "feedback": "" if record.feedback.startswith("expected ") else fenced(record.feedback, cap=300),
    }
