"""A user's own metric: where it is found, and how what it returns is checked."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import ModelError, TaskError
from sage_spo.tasks.example import Example, Score
from sage_spo.tasks.metrics import expected_problem, make_metric


def test_an_own_metric_beside_the_task_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "own_rules.py").write_text("GOOD = 0.25\n")
    (tmp_path / "my_metrics.py").write_text(
        "from own_rules import GOOD\ndef score(output, example):\n    return GOOD if output else 0\n"
    )
    metric = make_metric({"function": "my_metrics:score"}, folder=tmp_path)
    assert metric.name == "my_metrics:score"
    assert metric("x", Example("e1", "", "y")) == Score(0.25)
    assert pickle.loads(pickle.dumps(metric))("x", Example("e1", "", "y")) == Score(0.25)


def test_two_tasks_own_metrics_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for folder, value in (("a", "0.1"), ("b", "0.2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my_metrics.py").write_text(f"def score(output, example):\n    return {value}\n")
    first, second = (make_metric("my_metrics:score", folder=tmp_path / name) for name in "ab")
    example = Example("e1", "", "y")
    assert (first("", example).value, second("", example).value) == (0.1, 0.2)


def test_an_own_metric_whose_module_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken_metric.py").write_text("1 / 0\n")
    with pytest.raises(TaskError, match="ZeroDivisionError"):
        make_metric("broken_metric:score", folder=tmp_path)


@pytest.mark.parametrize("result", [float("nan"), float("inf"), 1.5, -0.1, "high", None, Score(2.0)])
def test_what_an_own_metric_returns_is_checked(result: Any) -> None:
    def strange(output: str, example: Example) -> Any:
        return result

    with pytest.raises(TaskError) as error:
        make_metric(strange)("x", Example("e7", "", "y"))
    assert isinstance(error.value, ModelError)
    assert "strange" in str(error.value)
    assert "e7" in str(error.value)


def test_an_own_metric_that_fails_or_is_a_coroutine_is_named() -> None:
    async def later(output: str, example: Example) -> float:
        return 1.0

    def fails(output: str, example: Example) -> float:
        raise KeyError("gone")

    with pytest.raises(ModelError, match="coroutine"):
        make_metric(later)("x", Example("e1", "", "y"))
    with pytest.raises(ModelError, match="KeyError"):
        make_metric(fails)("x", Example("e1", "", "y"))


def test_an_own_metric_may_return_bools_numbers_or_scores() -> None:
    example = Example("e1", "", "y")
    assert make_metric(lambda output, example: output == "x")("x", example).value == 1.0
    assert make_metric(lambda output, example: Score(0.5, "so so"))("x", example) == Score(0.5, "so so")


class Half:
    """A metric as an object, with a check of the expected answers."""

    name = "half"

    def __call__(self, output: str, example: Example) -> float:
        return 0.5 if output else 2.0

    def problem(self, expected: Any) -> str:
        return "" if expected else "nothing is expected"


def test_an_own_metric_may_be_an_object_with_a_name_and_a_check() -> None:
    metric = make_metric(Half())
    assert metric.name == "half"
    assert metric("x", Example("e1", "", "y")) == Score(0.5)
    assert (expected_problem(metric, ""), expected_problem(metric, "y")) == ("nothing is expected", "")
    with pytest.raises(ModelError, match="between 0 and 1"):
        metric("", Example("e1", "", "y"))
