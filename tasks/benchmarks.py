"""Public benchmark data in its original files, as tasks: BIG-Bench Hard, GSM8K, XBRL Formula and three text sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import TaskError, nearest
from .assemble import Parts
from .fields import Fields, Placed, to_examples
from .files import Row, read_rows, read_text

_BBH = "bbh:"
_OPTION = re.compile(r"^\([A-Z]\)", re.MULTILINE)


def benchmark_names() -> tuple[str, ...]:
    """What `load_task` understands as a benchmark; `bbh:NAME` stands for every BIG-Bench Hard task."""
    return ("bbh:NAME", *_READERS)


def is_benchmark(source: str) -> bool:
    """Whether `source` names a benchmark."""
    return source.startswith(_BBH) or source in _READERS


def benchmark_parts(source: str, data: Path | None) -> Parts:
    """The parts of a benchmark task, read from the folder `data`.

    Raises TaskError when there is no such folder, file or task, saying how to set SAGE_DATA.
    """
    where = "Set SAGE_DATA (or data=) to a folder with the benchmark files, such as bbh/snarks.json."
    if data is None:
        raise TaskError(f"'{source}' is read from a folder of public benchmark data, and none is set. {where}")
    if not data.is_dir():
        raise TaskError(f"The folder of benchmark data, {data}, does not exist. {where}")
    if source.startswith(_BBH):
        return _bbh(data, source.removeprefix(_BBH))
    return _READERS[source](data)


def _found(data: Path, task: str, *candidates: str) -> Path:
    for candidate in candidates:
        if (data / candidate).is_file():
            return data / candidate
    raise TaskError(f"'{task}' needs {' or '.join(candidates)} in {data}, the folder that SAGE_DATA (or data=) names.")


def _bbh(data: Path, name: str) -> Parts:
    path = data / "bbh" / f"{name}.json"
    if not path.is_file() or "/" in name:
        known = sorted(file.stem for file in (data / "bbh").glob("*.json"))
        listed = ", ".join(known) or "none"
        raise TaskError(f"No such BIG-Bench Hard task: '{name}'.{nearest(name, known)} In {data / 'bbh'}: {listed}.")
    try:
        records = json.loads(read_text(path))["examples"]
        rows = [Row(f"{path.name} example {n}", dict(record)) for n, record in enumerate(records, start=1)]
    except (ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{path.name}: not the form of BIG-Bench Hard ({type(error).__name__}: {error}).") from error
    examples = to_examples(rows, Fields(input="input", expected="target"))
    answers = {one.example.label for one in examples}
    if all(re.fullmatch(r"-?\d+", answer) for answer in answers):
        return _numeric(f"bbh-{name}", "Answer the question with a number.", examples, 256)
    # An option that is never right is an answer all the same.
    options = {option for one in examples for option in _OPTION.findall(one.example.input)}
    return Parts(
        name=f"bbh-{name}",
        seed_prompt="Answer the question with one of: {labels}.",
        examples=examples,
        metric={"name": "label", "take": "last"},
        labels=tuple(sorted(answers | options if options & answers else answers)),
        choices="labels",
        max_tokens=256,
    )


def _numeric(
    name: str, seed_prompt: str, examples: tuple[Placed, ...], max_tokens: int, tolerance: float = 0.0
) -> Parts:
    metric = {"name": "numeric", "tolerance": tolerance}
    return Parts(name=name, seed_prompt=seed_prompt, metric=metric, examples=examples, max_tokens=max_tokens)


def _gsm8k(data: Path) -> Parts:
    path = _found(data, "gsm8k", "text/gsm8k_400.jsonl", "gsm8k.jsonl", "gsm8k/test.jsonl")
    examples = to_examples(read_rows(path), Fields(input="question", expected="answer"))
    return _numeric("gsm8k", "Solve the problem.", examples, 400)


def _formula(data: Path) -> Parts:
    rows = [row for part in ("train", "val") for row in read_rows(_found(data, "formula", f"formula/{part}.jsonl"))]
    examples = to_examples(rows, Fields(input="context", expected="target"))
    # The answers are rounded to two decimals.
    return _numeric("formula", "Answer the question with a number.", examples, 256, tolerance=0.005)


def _text(name: str, labels: tuple[str, ...], what: str) -> Callable[[Path], Parts]:
    """A reader of `text/NAME.tsv`: text, a tab, the index of the label."""

    def read(data: Path) -> Parts:
        path = _found(data, name, f"text/{name}.tsv")
        rows = []
        for number, line in enumerate(read_text(path).split("\n"), start=1):
            text, _, index = line.rpartition("\t")
            if not line.strip():
                continue
            if not index.strip().isdigit() or int(index) >= len(labels):
                raise TaskError(f"{path.name} line {number}: expected text, a tab and a label's number.")
            rows.append(Row(f"{path.name} line {number}", {"input": text, "expected": labels[int(index)]}))
        return Parts(
            name=name,
            seed_prompt=f"Classify the {what} as one of: {{labels}}.",
            metric="label",
            examples=to_examples(rows, Fields()),
            labels=labels,
            choices="labels",
            max_tokens=16,
        )

    return read


_READERS: dict[str, Callable[[Path], Parts]] = {
    "gsm8k": _gsm8k,
    "formula": _formula,
    "subj": _text("subj", ("subjective", "objective"), "sentence"),
    "agnews": _text("agnews", ("World", "Sports", "Business", "Tech"), "news item"),
    "sst2": _text("sst2", ("negative", "positive"), "sentence"),
}
