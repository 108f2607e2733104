"""Public benchmark data as tasks; skipped where the data is not beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.load import load_task

DATA = Path(__file__).parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="benchmark data is not here")


@needs_data
@pytest.mark.parametrize(
    ("source", "metric", "labels", "count"),
    [
        ("bbh:snarks", "label", ("(A)", "(B)"), 178),
        ("bbh:navigate", "label", ("No", "Yes"), 250),
        ("bbh:object_counting", "numeric", (), 250),
        ("gsm8k", "numeric", (), 400),
        ("formula", "numeric", (), 800),
        ("agnews", "label", ("World", "Sports", "Business", "Tech"), 500),
    ],
)
def test_a_benchmark_loads(source: str, metric: str, labels: tuple[str, ...], count: int) -> None:
    task = load_task(source, data=DATA)
    assert task.metric.name == metric
    assert task.labels == task.output.choices == labels
    assert len(task.everything) == count
    assert all(task.metric(example.label, example).value == 1.0 for example in task.everything)


@needs_data
@pytest.mark.parametrize("path", sorted((DATA / "bbh").glob("*.json")), ids=lambda path: path.stem)
def test_every_big_bench_hard_task_there_loads(path: Path) -> None:
    assert load_task(f"bbh:{path.stem}", data=DATA).name == f"bbh-{path.stem}"


@needs_data
def test_options_that_are_never_right_are_labels_too() -> None:
    assert load_task("bbh:geometric_shapes", data=DATA).labels[:3] == ("(A)", "(B)", "(C)")


@needs_data
def test_the_folder_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGE_DATA", str(DATA))
    assert load_task("bbh:snarks").name == "bbh-snarks"
    with pytest.raises(TaskError, match=r"Did you mean 'snarks'\?"):
        load_task("bbh:snark")


def test_without_data_the_error_says_how_to_set_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for source in ("bbh:snarks", "gsm8k", "formula", "sst2"):
        with pytest.raises(TaskError, match="SAGE_DATA"):
            load_task(source)
        with pytest.raises(TaskError, match="does not exist"):
            load_task(source, data=tmp_path / "nowhere")
    with pytest.raises(TaskError, match="No such BIG-Bench Hard task"):
        load_task("bbh:snarks", data=tmp_path)
    with pytest.raises(TaskError, match=r"gsm8k\.jsonl"):
        load_task("gsm8k", data=tmp_path)


def test_a_file_of_another_form_is_named(tmp_path: Path) -> None:
    (tmp_path / "bbh").mkdir()
    (tmp_path / "bbh" / "odd.json").write_text('{"cases": []}')
    with pytest.raises(TaskError, match=r"odd\.json"):
        load_task("bbh:odd", data=tmp_path)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "sst2.tsv").write_text("fine\t1\nno label\n")
    with pytest.raises(TaskError, match=r"sst2\.tsv line 2"):
        load_task("sst2", data=tmp_path)
