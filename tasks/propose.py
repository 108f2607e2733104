"""The `task.yaml` that `sage-spo init DATA` writes: every choice with its reason, and what to look out for."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .fields import Placed
from .files import read_rows
from .guess import Guess, guess
from .metrics import AnyMetric, metric_names
from .splits import LEAST, Shares, split_sizes
from .text_metrics import normal

_FEW = 100
_RARE = 10
_DOMINANT = 0.6


@dataclass(frozen=True)
class Proposal:
    """A proposed task: `yaml` is the text of its task.yaml, `warnings` what the data makes one doubt."""

    name: str
    input: str
    expected: str
    metadata: tuple[str, ...]
    metric: AnyMetric
    labels: tuple[str, ...]
    seed_prompt: str
    max_tokens: int
    warnings: tuple[str, ...]
    yaml: str


def propose(path: str | Path, *, folder: str | Path | None = None) -> Proposal:
    """What the task in a data file seems to be, as a task.yaml to be written into `folder` (default: beside the file).

    Raises TaskError where the file cannot be read, or holds no inputs with answers.
    """
    path = Path(path)
    guessed = guess(path.name, read_rows(path))
    file = os.path.relpath(path, folder) if folder is not None else path.name
    name = "-".join(path.stem.split()) or "task"
    warnings = (*guessed.unsure, *_warnings(guessed))
    return Proposal(
        name=name,
        input=guessed.fields.input,
        expected=guessed.fields.expected,
        metadata=guessed.fields.metadata or (),
        metric=guessed.metric,
        labels=guessed.labels,
        seed_prompt=guessed.seed_prompt,
        max_tokens=guessed.max_tokens,
        warnings=warnings,
        yaml=_yaml(name, Path(file).as_posix(), guessed, warnings),
    )


def _yaml(name: str, file: str, guessed: Guess, warnings: Sequence[str]) -> str:
    fields, reasons = guessed.fields, guessed.reasons
    metadata = list(fields.metadata or ())
    sizes = split_sizes(len(guessed.examples), Shares())
    lines = [f"# Proposed from {file}; change what is wrong."]
    lines += [f"# Mind: {warning}" for warning in warnings]
    lines += [
        f"name: {_flow(name)}",
        'description: ""                    # one sentence: what a good answer is',
        "# What you would send today. {labels} and {field} are filled in; {{word}} is sent as {word}.",
        f"seed_prompt: {_flow(guessed.seed_prompt)}",
        f"examples: {_flow(file)}",
        f"# input: {reasons['input']}; expected: {reasons['expected']}; metadata: all others, to see which fail.",
        f"fields: {{input: {_flow(fields.input)}, expected: {_flow(fields.expected)}, metadata: {_flow(metadata)}}}",
        f"# {reasons['metric']}. Others: {', '.join(metric_names())}, or an own module:function.",
        f"metric: {_flow(guessed.metric)}",
    ]
    if guessed.labels:
        lines += ["# All answers there are; add those that no example has.", f"labels: {_flow(list(guessed.labels))}"]
    choices = ", choices: labels" if guessed.choices == "labels" else ""
    lines += [
        "# The longest answer in tokens" + (", and that it is one of the labels." if choices else "."),
        f"output: {{max_tokens: {guessed.max_tokens}{choices}}}",
        "# search is seen while optimising, holdout guards against harm, test proves the result:",
        f"# here {', '.join(f'{size} {split}' for split, size in sizes.items())} examples.",
        "split: {search: 0.5, holdout: 0.2, test: 0.3, seed: 0}",
    ]
    return "".join((_comment(line) if line.startswith("#") else line) + "\n" for line in lines)


def _comment(line: str) -> str:
    """A comment on one line, whatever characters the data put into it."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(line.split()))


def _flow(value: object) -> str:
    """`value` as YAML on one line: JSON with plain keys, and without characters that YAML cannot hold."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)


def _warnings(guessed: Guess) -> list[str]:
    examples = guessed.examples
    found = [*_few(len(examples)), *_repeated(examples)]
    if guessed.labels:
        found += _imbalance(examples, guessed.labels)
    return found


def _few(n: int) -> list[str]:
    least = next(m for m in range(1, 1000) if min(split_sizes(m, Shares()).values()) >= LEAST)
    if n < least:
        return [f"Only {n} examples; a run needs at least {least}, so bring {least - n} more."]
    if n < _FEW:
        tested = split_sizes(n, Shares())["test"]
        return [f"Only {n} examples: with {tested} to test on, no more than a very large gain can be proven."]
    return []


def _repeated(examples: Sequence[Placed]) -> list[str]:
    answers: dict[str, list[Placed]] = {}
    for one in examples:
        answers.setdefault(one.example.input, []).append(one)
    repeated = [group for group in answers.values() if len(group) > 1]
    torn = [group for group in repeated if len({one.example.label.casefold() for one in group}) > 1]
    found = []
    if repeated:
        first = repeated[0]
        surplus = sum(len(group) - 1 for group in repeated)
        found.append(f"{surplus} repeated inputs, first {first[0].where} and {first[1].where}; they share a split.")
    if torn:
        first = torn[0]
        words = f"{len(torn)} inputs with contradicting answers, first {first[0].where} and {first[1].where}"
        found.append(f"{words}: no prompt can get both right.")
    return found


def _imbalance(examples: Sequence[Placed], labels: Sequence[str]) -> list[str]:
    names = {normal(label): label for label in labels}
    counts = Counter(names[normal(one.example.label)] for one in examples)
    found = []
    label, most = counts.most_common(1)[0]
    if most > _DOMINANT * len(examples):
        found.append(f"{most / len(examples):.0%} of the answers are '{label}': answering that always scores as much.")
    rare = [f"'{label}' ({count})" for label, count in sorted(counts.items()) if count < _RARE]
    if rare:
        found.append(f"Fewer than {_RARE} examples of {', '.join(rare)}.")
    spelt = {one.example.label.strip() for one in examples}
    if len(spelt) > len(counts):
        found.append("Some labels are spelt in upper and lower case; case is ignored.")
    return found
