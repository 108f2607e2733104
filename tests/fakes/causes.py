"""A target that fails for known causes, each mended by known phrases of the prompt; for tests of diagnosis.

Support tickets with a channel, a plan and a field that means nothing. A ticket is answered right unless a cause is
about it that the prompt's text does not mend, or it is one of the few that are wrong whatever is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sage_spo.agents.workspace import Workspace
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.seeding import generator
from sage_spo.tasks.example import Example
from sage_spo.tasks.metrics import make_metric
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tasks.task import OutputOptions, Task
from sage_spo.traces.rows import CodeRun, Record

LABELS = ("billing", "refund", "other")
FIELDS = {"channel": ("phone", "mail", "chat"), "plan": ("free", "pro"), "shade": ("teal", "plum", "rust", "sand")}
SEED_PROMPT = "Sort the ticket into one of: {labels}."
SYLLABLES = ("ba", "ro", "ti", "mu", "ke", "sol", "van", "der", "pli", "gon", "fa", "zu")

Target = Callable[[Sequence[Message], Example], str]


@dataclass(frozen=True)
class Cause:
    """Tickets with these fields fail, until all phrases of one of the groups in `mended_by` stand in the prompt."""

    fields: Mapping[str, str]
    mended_by: tuple[tuple[str, ...], ...] = ()

    def holds(self, example: Example, text: str) -> bool:
        about = all(example.metadata[name] == value for name, value in self.fields.items())
        return about and not any(all(phrase in text for phrase in group) for group in self.mended_by)


PHONE = Cause({"channel": "phone"}, (("spoken tickets",),))
"""The cause that most tests plant."""

FIX = "Read spoken tickets as what the caller asks for in the end."


def tickets(
    sizes: tuple[int, int, int] = (96, 30, 60),
    *,
    seed_prompt: str = SEED_PROMPT,
    locked: tuple[str, ...] = (),
    inputs: Mapping[str, str] | None = None,
) -> Task:
    """The task; `inputs` replaces the text of some tickets, by id."""
    examples = [_ticket(i, inputs or {}) for i in range(sum(sizes))]
    a, b = sizes[0], sizes[0] + sizes[1]
    return Task(
        name="tickets",
        seed_prompt=Prompt(components={"system": seed_prompt}),
        search=tuple(examples[:a]),
        holdout=tuple(examples[a:b]),
        test=tuple(examples[b:]),
        metric=make_metric("label", LABELS),
        labels=LABELS,
        output=OutputOptions(max_tokens=8, choices=LABELS),
        locked=locked,
    )


def _ticket(number: int, inputs: Mapping[str, str]) -> Example:
    rng = generator(11, "ticket", number)
    made = ["".join(rng.choice(SYLLABLES, 3)) for _ in range(int(rng.integers(9, 16)))]
    metadata = {name: str(rng.choice(values)) for name, values in FIELDS.items()}
    ticket = f"e{number}"
    return Example(ticket, inputs.get(ticket, " ".join(made)), LABELS[number % len(LABELS)], metadata)


def failing_for(*causes: Cause, noise: float = 0.06) -> Target:
    """The target that fails for these causes, and on a share `noise` of the tickets for no reason at all."""

    def target(messages: Sequence[Message], example: Example) -> str:
        text = messages[0]["content"]
        wrong = generator(12, "noise", example.id).random() < noise or any(c.holds(example, text) for c in causes)
        return LABELS[(LABELS.index(example.label) + wrong) % len(LABELS)]

    return target


def records_of(task: Task, target: Target, prompt: Prompt | None = None, **changes: Any) -> list[Record]:
    """What measuring a prompt (the seed) on the search split gives."""
    prompt = prompt or task.seed_prompt
    found = []
    for example in task.search:
        output = target(prompt.messages(example, task.labels), example)
        score = task.metric(output, example).value
        fields = {"score": score, "output": output, **changes}
        found.append(Record("run", prompt.id, example.id, 0, "search", f"key {example.id}", **fields))
    return found


def written(task: Task, folder: Path) -> Path:
    """The task as files, for a process of its own; returns the path of its task.yaml."""
    for split in ("search", "holdout", "test"):
        rows = [{"text": e.input, "queue": e.expected, **e.metadata} for e in task.examples(split)]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "task.yaml").write_text(
        f"name: tickets\nseed_prompt: {json.dumps(SEED_PROMPT)}\nmetric: label\n"
        "examples: {search: search.jsonl, holdout: holdout.jsonl, test: test.jsonl}\n"
        "fields: {input: text, expected: queue}\nlabels: [billing, refund, other]\n"
        "output: {max_tokens: 8, choices: labels}\n"
    )
    return folder / "task.yaml"


def answering(task: Task, target: Target) -> Callable[[dict[str, Any]], str]:
    """The target as a model on a server."""
    known = {e.input: e for e in task.everything}
    return lambda request: target(request["messages"], known[request["messages"][-1]["content"]])


def workspace_of(task: Task, measured: Sequence[Record], sandbox: Sandbox | None, **more: Any) -> Workspace:
    """The seed prompt's records in a workspace; every other example is in the diagnosis half."""
    runs: list[CodeRun] = []
    given: dict[str, Any] = {
        "champion": task.seed_prompt,
        "records": {task.seed_prompt.id: measured},
        "half": frozenset(e.id for e in task.search[::2]),
        "keep": runs.append,
        **more,
    }
    return Workspace(task=task, sandbox=sandbox, run_id="run", iteration=1, **given)
