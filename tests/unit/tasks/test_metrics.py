"""What each built-in metric counts as right, and how a metric is named in a task."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_spo.errors import TaskError
from sage_spo.tasks.example import Example, Score
from sage_spo.tasks.metrics import AnyMetric, expected_problem, make_metric, metric_names
from sage_spo.tasks.value_metrics import last_number

LABELS = ("billing", "refund", "refund request")


def score(metric: AnyMetric, output: str, expected: Any, labels: tuple[str, ...] = LABELS) -> Score:
    return make_metric(metric, labels)(output, Example("e1", "some input", expected))


@pytest.mark.parametrize("output", ["Orle\u0301ans", " orl\u00e9ans. ", "ORL\u00c9ANS\n"])
def test_exact_ignores_case_space_a_final_full_stop_and_how_accents_are_encoded(output: str) -> None:
    assert score("exact", output, "Orl\u00e9ans").value == 1.0


def test_exact_counts_white_space_runs_as_one_space_and_nothing_else() -> None:
    assert score("exact", "New\n  York", "new york").value == 1.0
    assert score("exact", "New York!", "new york").value == 0.0


def test_feedback_says_what_was_expected_and_what_came() -> None:
    assert score("exact", "billing", "refund").feedback == "expected 'refund', got 'billing'"
    assert score("exact", "  ", "refund").feedback == "the answer is empty"


@pytest.mark.parametrize(
    "output",
    [
        "billing",
        "Billing.",
        "**Billing**",
        "The queue is billing.",
        '{"label": "billing"}',
        "billing, i.e. BILLING",
        "_billing_",
    ],
)
def test_label_finds_the_one_label_named(output: str) -> None:
    assert score("label", output, "billing").value == 1.0


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("none of them", "names no label"),
        ("billings", "names no label"),
        ("", "empty"),
        ("billing or refund", "alone"),
        ("refund request", "got 'refund request'"),
    ],
)
def test_label_gives_zero_with_the_reason(output: str, words: str) -> None:
    result = score("label", output, "refund")
    assert result.value == 0.0
    assert words in result.feedback


def test_a_label_inside_a_longer_one_does_not_count() -> None:
    assert score("label", "It is a refund request", "refund request").value == 1.0


def test_label_reads_the_last_one_where_the_task_says_so() -> None:
    spec = {"name": "label", "take": "last"}
    assert score(spec, "Not (A), so the answer is (B).", "(B)", ("(A)", "(B)")).value == 1.0
    assert score(spec, "(B)? No: (A).", "(B)", ("(A)", "(B)")).value == 0.0


def test_a_whole_answer_without_the_labels_brackets_is_understood() -> None:
    assert score("label", "B", "(B)", ("(A)", "(B)")).value == 1.0
    assert score("label", "B is a letter", "(B)", ("(A)", "(B)")).value == 0.0


@given(st.text(max_size=60), st.sampled_from(LABELS))
def test_label_scores_are_binary_and_feedback_short(output: str, expected: str) -> None:
    result = score("label", output, expected)
    assert result.value in (0.0, 1.0)
    assert len(result.feedback) <= 300


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The total is $1,000,000.50.", 1000000.5),
        ("10-5", 5.0),
        ("it fell to -3", -3.0),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("\u22124", -4.0),
        ("12%", 12.0),
        ("- 5 apples", 5.0),
        ("so...5", 5.0),
        ("5.", 5.0),
        ("1, 2, 3", 3.0),
        ("18kg", 18.0),
        ("2e3", 2000.0),
        (".5", 0.5),
        ("He has 3 left.\n#### 70,000", 70000.0),
        ("#### 8 (not 9)", 9.0),
        ("no number, H2O aside", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_the_last_number_of_an_answer(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_numeric_allows_the_tolerance_and_no_more() -> None:
    spec = {"name": "numeric", "tolerance": 0.01}
    assert score(spec, "1.03", 1.02).value == 1.0
    assert score(spec, "1.031", "1.02").value == 0.0
    assert score({"name": "numeric", "relative": 0.1}, "109", 100).value == 1.0
    assert score("numeric", "70000", "steps\n#### 70,000").value == 1.0
    assert score("numeric", "70001", "steps\n#### 70,000").feedback == "expected 70000, got 70001"
    assert score("numeric", "many", 3).feedback == "expected 3, no number in 'many'"


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.text(alphabet="abc ,.!", max_size=10))
def test_a_number_written_out_is_read_back(number: float, before: str) -> None:
    assert last_number(f"{before} = {number!r}") == pytest.approx(number, rel=1e-9)


def test_contains() -> None:
    assert score("contains", "I would say  Paris, France", "paris").value == 1.0
    assert score("contains", "Lyon", "paris").feedback == "'paris' does not occur in 'Lyon'"


def test_regex_takes_the_expected_answer_as_pattern() -> None:
    assert score("regex", "call 555-1234 now", r"\d{3}-\d{4}").value == 1.0
    assert score("regex", "call me", r"\d+").value == 0.0


def test_regex_with_a_group_compares_what_it_caught_last() -> None:
    spec = {"name": "regex", "pattern": r"Answer: (\w+)"}
    assert score(spec, "Answer: no\nAnswer: Yes", "yes").value == 1.0
    assert score(spec, "Answer: no", "yes").feedback == "expected 'yes', got 'no'"


def test_regex_is_not_tried_on_very_long_answers() -> None:
    result = score("regex", "a" * 20_000, "a")
    assert result.value == 0.0
    assert "20000 characters" in result.feedback


def test_f1_is_the_harmonic_mean_over_words() -> None:
    assert score("f1", "The cat sat.", "the cat sat").value == 1.0
    assert score("f1", "the dog", "the cat").value == pytest.approx(0.5)
    result = score("f1", "the dog", "the cat")
    assert "lacks 'cat'" in result.feedback
    assert "besides 'dog'" in result.feedback
    assert score("f1", "", "the cat").value == 0.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_lies_between_0_and_1_and_is_symmetric(one: str, other: str) -> None:
    there, back = score("f1", one, other).value, score("f1", other, one).value
    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(back)


def test_json_gives_the_share_of_right_fields() -> None:
    expected = {"name": "Ann", "age": 41, "tags": ["x"], "ok": True}
    output = 'Here:\n```json\n{"name": "ann.", "age": 41.0, "tags": ["x"], "ok": 1}\n```'
    result = score("json", output, expected)
    assert result.value == 0.75
    assert result.feedback == "ok: expected true, got 1"


def test_json_reads_expected_text_limits_fields_and_takes_the_last_object() -> None:
    spec = {"name": "json", "fields": ["a"]}
    assert score(spec, '{"a": 2} no, {"a": 1}', '{"a": 1, "b": 2}').value == 1.0
    assert score("json", "no object", '{"a": 1}').value == 0.0
    assert "not in the answer" in score("json", "{}", '{"a": 1}').feedback


def test_json_survives_hostile_output() -> None:
    assert score("json", "{" * 50_000, {"a": 1}).value == 0.0
    assert score("json", '{"a":' * 20_000, {"a": 1}).value == 0.0


@pytest.mark.parametrize(
    ("spec", "expected", "words"),
    [
        ("numeric", "many", "holds no number"),
        ("json", "text", "not a JSON object"),
        ("json", {}, "not a JSON object"),
        ({"name": "json", "fields": ["b"]}, {"a": 1}, "'b'"),
        ("regex", "(", "not a regular expression"),
        ("label", "order", "none of the labels"),
    ],
)
def test_an_expected_value_that_can_never_be_met_is_noticed(spec: AnyMetric, expected: Any, words: str) -> None:
    assert words in expected_problem(make_metric(spec, LABELS), expected)


@pytest.mark.parametrize("name", metric_names())
def test_metrics_know_their_name_and_can_travel(name: str) -> None:
    metric = make_metric(name, LABELS)
    assert metric.name == name
    assert make_metric(metric) is metric
    assert pickle.loads(pickle.dumps(metric)) == metric


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("exat", "Did you mean 'exact'?"),
        ({"name": "numeric", "tolerence": 1}, "Did you mean 'tolerance'?"),
        ({"name": "numeric", "tolerance": "much"}, "must be a number"),
        ({"name": "numeric", "tolerance": -1}, "at least 0"),
        ({"name": "label", "take": "first"}, "'only' or 'last'"),
        ({"name": "regex", "pattern": "("}, "not a regular expression"),
        ({"name": "regex", "ignore_case": "yes"}, "true or false"),
        ({"name": "json", "fields": "a"}, "list of names"),
        ({"tolerance": 0.1}, "has no name"),
        ({"function": "nowhere_at_all:score"}, "cannot be imported"),
        ({"function": "math:sqroot"}, "Did you mean 'sqrt'?"),
        ({"function": "math"}, "module:name"),
        ({"function": "math:pi"}, "not a function"),
        ({"function": "math:sqrt", "nmae": "root"}, "Did you mean 'name'?"),
    ],
)
def test_a_metric_that_cannot_be_made_says_why(spec: AnyMetric, words: str) -> None:
    with pytest.raises(TaskError) as error:
        make_metric(spec, LABELS)
    assert words in str(error.value)


def test_label_needs_labels_that_can_be_found() -> None:
    with pytest.raises(TaskError, match="at least two labels"):
        make_metric("label", ("only",))
    with pytest.raises(TaskError, match="rename it"):
        make_metric("label", ("a", "."))
