"""What `init` proposes for a data file, and that the proposal is a task that loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sage_spo.errors import TaskError
from sage_spo.tasks.load import load_task
from sage_spo.tasks.propose import Proposal, propose
from sage_spo.tasks.task import Task


def write(folder: Path, records: list[dict[str, Any]], name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def proposed(folder: Path, records: list[dict[str, Any]]) -> tuple[Proposal, Task]:
    """The proposal, and the task loaded from its own task.yaml."""
    proposal = propose(write(folder, records))
    (folder / "task.yaml").write_text(proposal.yaml)
    return proposal, load_task(folder)


def test_few_short_answers_are_labels(tmp_path: Path) -> None:
    records = [
        {"ticket_id": f"T{n}", "message": f"text {n}", "queue": ("billing", "other")[n % 2], "plan": "free"}
        for n in range(120)
    ]
    proposal, task = proposed(tmp_path, records)
    assert (proposal.input, proposal.expected, proposal.metadata) == ("message", "queue", ("plan",))
    assert proposal.metric == task.metric.name == "label"
    assert proposal.labels == task.output.choices == ("billing", "other")
    assert proposal.seed_prompt == task.seed_prompt.system == "Classify the message as one of: {labels}."
    assert proposal.warnings == ()
    assert proposal.yaml.count("#") > 5


@pytest.mark.parametrize(
    ("answer", "metric", "words"),
    [
        (lambda n: n * 7, "numeric", "number"),
        (lambda n: f"{n * 7}.25", "numeric", "number"),
        (lambda n: f"so it is\n#### {n}", "numeric", "number"),
        (lambda n: {"name": f"n{n}", "age": n}, "json", "JSON with the fields name, age"),
        (lambda n: json.dumps({"name": f"n{n}"}), "json", "JSON with the fields name"),
        (lambda n: f"City {n}", "exact", "Answer the question."),
        (lambda n: f"this is a much longer answer with number {n} in it", "f1", "Answer the question."),
        (lambda n: n % 2, "label", "one of: {labels}"),
        (lambda n: bool(n % 2), "label", "one of: {labels}"),
    ],
)
def test_the_metric_follows_the_answers(tmp_path: Path, answer: Any, metric: str, words: str) -> None:
    records = [{"question": f"question {n}?", "answer": answer(n)} for n in range(40)]
    proposal, task = proposed(tmp_path, records)
    assert task.metric.name == metric
    assert words in proposal.seed_prompt
    assert task.metric(
        task.search[0].label if metric != "json" else json.dumps(task.search[0].expected), task.search[0]
    )


def test_decimals_set_the_tolerance(tmp_path: Path) -> None:
    proposal, _ = proposed(tmp_path, [{"input": f"x {n}", "expected": f"{n}.25"} for n in range(40)])
    assert proposal.metric == {"name": "numeric", "tolerance": 0.005}


def test_fields_without_telling_names_are_chosen_by_content(tmp_path: Path) -> None:
    records = [{"a": f"a rather long text, number {n}", "b": ("x", "y")[n % 2]} for n in range(40)]
    proposal, task = proposed(tmp_path, records)
    assert (proposal.input, proposal.expected) == ("a", "b")
    assert any("'b' was chosen by its values" in warning for warning in proposal.warnings)
    assert len(task.everything) == 40


def test_warnings_name_imbalance_repetition_contradiction_and_few_examples(tmp_path: Path) -> None:
    records = [{"text": f"text {n}", "label": "a" if n % 9 else "b"} for n in range(36)]
    records += [{"text": "text 1", "label": "b"}, {"text": "text 2", "label": "A"}]
    warnings = "\n".join(propose(write(tmp_path, records)).warnings)
    assert "Only 38 examples" in warnings
    assert "of the answers are 'a'" in warnings
    assert "'b' (5)" in warnings
    assert "2 repeated inputs" in warnings
    assert "1 inputs with contradicting answers, first data.jsonl line 2 and data.jsonl line 37" in warnings
    assert "upper and lower case" in warnings


def test_too_few_to_run_says_how_many_more(tmp_path: Path) -> None:
    proposal = propose(write(tmp_path, [{"input": f"x {n}", "expected": "a"} for n in range(10)]))
    assert any("bring 13 more" in warning for warning in proposal.warnings)


def test_the_task_file_may_go_into_another_folder(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    path = write(tmp_path, [{"input": f"x {n}", "expected": "ab"[n % 2]} for n in range(40)])
    proposal = propose(path, folder=tmp_path / "tasks")
    (tmp_path / "tasks" / "task.yaml").write_text(proposal.yaml)
    assert len(load_task(tmp_path / "tasks").everything) == 40


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"input": "x"}], "no field for the expected answer"),
        ([{"expected": "x"}], "no field left for the input"),
        ([{"input": "x", "expected": "y"}, {"input": "x"}], "line 2"),
    ],
)
def test_a_file_without_examples_is_refused(tmp_path: Path, records: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        propose(write(tmp_path, records))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12).filter(str.strip), min_size=2, max_size=5, unique=True),
    st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=2, max_size=4, unique=True),
)
def test_whatever_the_fields_are_called_the_proposal_loads(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], answers: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("proposed")
    records = [
        {f"{name}§": f"some text {n}" if k == 0 else answers[n % len(answers)] for k, name in enumerate(names)}
        for n in range(60)
    ]
    _, task = proposed(folder, records)
    assert len(task.everything) == 60


def test_an_answer_of_punctuation_alone_is_no_label(tmp_path: Path) -> None:
    proposal, _ = proposed(tmp_path, [{"input": f"x {n}", "expected": "0." if n % 2 else "."} for n in range(40)])
    assert proposal.labels == ()
