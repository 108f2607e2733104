"""The standard analyses find planted causes, count what their predicates select, and survive odd records."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sage_spo.evaluation.hypotheses import Support, p_value, predicate_problem

FILE = Path(__file__).resolve().parents[3] / "sandbox" / "inside" / "toolkit" / "__init__.py"


def loaded() -> Any:
    """The toolkit as a worker loads it: by its path, without sage_spo around it."""
    spec = importlib.util.spec_from_file_location("toolkit", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["toolkit"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


toolkit = loaded()
LABELS = ("billing", "refund", "other")
ANALYSES = (
    *("by_label", "by_field", "by_length", "output_format"),
    *("by_other_labels", "by_cut", "by_field_pairs", "terms"),
)


def records(n: int = 240, seed: int = 0, **columns: Any) -> pd.DataFrame:
    """Right answers of one prompt to random messages, with some metadata; `columns` go on top."""
    rng = np.random.default_rng(seed)
    words = [f"word{i}" for i in range(60)]
    expected = rng.choice(LABELS, n)
    table = {
        "prompt_id": "champion",
        "example_id": [f"e{i}" for i in range(n)],
        "repeat": 0,
        "input": [" ".join(rng.choice(words, size)) for size in rng.integers(5, 60, n)],
        "output": expected,
        "expected": expected,
        "score": 1.0,
        "missing": False,
        "feedback": "",
        "tokens": 12,
        "channel": rng.choice(["phone", "mail", "chat"], n),
        "plan": rng.choice(["free", "pro"], n),
        "age": rng.integers(18, 90, n),
        "amount": rng.normal(100, 30, n).round(2),
    }
    return toolkit.with_lengths(pd.DataFrame(table | columns))


def fail(table: pd.DataFrame, where: Any, base: float = 0.08, rate: float = 0.85, seed: int = 1) -> pd.DataFrame:
    """Fail `rate` of the records that match and `base` of the others, each with some other label."""
    rng = np.random.default_rng(seed)
    bad = rng.random(len(table)) < np.where(np.asarray(where, dtype=bool), rate, base)
    other = {label: LABELS[i - 1] for i, label in enumerate(LABELS)}
    return table.assign(
        score=np.where(bad, 0.0, 1.0),
        output=[other[want] if wrong else want for want, wrong in zip(table["expected"], bad, strict=True)],
    )


def selected(table: pd.DataFrame, predicate: str) -> np.ndarray:
    """What a predicate gives over the records, nothing counting as no."""
    mask = eval(predicate, {"records": table, "pd": pd, "np": np})
    assert isinstance(mask, pd.Series)
    return np.array([value is True or value is np.True_ for value in mask.tolist()])


def check(table: pd.DataFrame, rows: list[dict[str, Any]], threshold: float = 0.5) -> None:
    """Every row's figures are those of its predicate over the champion's scored records, and rows are in order."""
    own = table["prompt_id"].eq(table["prompt_id"].iloc[0])
    if "repeat" in table:  # the first answer to each example counts
        first = table[own].sort_values("repeat", kind="stable").drop_duplicates("example_id").index
        own &= table.index.isin(first)
    scored = own.to_numpy() & table["score"].notna().to_numpy()
    failed = scored & (table["score"] < threshold).to_numpy()
    assert [row["p"] for row in rows] == sorted(row["p"] for row in rows)
    for row in rows:
        assert row["n"] + row["others_n"] == scored.sum()
        assert row["failures"] + row["others_failures"] == failed.sum()
        assert row["rate"] == pytest.approx(row["failures"] / row["n"], abs=1e-4)
        found = Support(row["n"], row["failures"], row["others_n"], row["others_failures"])
        assert row["p"] == pytest.approx(p_value(found), rel=5e-3, abs=1e-12)
        if row["predicate"] is not None:
            mask = selected(table, row["predicate"]) & scored
            assert (row["n"], row["failures"]) == (mask.sum(), (mask & failed).sum()), row
            assert predicate_problem(row["predicate"]) is None


def emitted(table: pd.DataFrame, labels: tuple[str, ...] = LABELS, **call: Any) -> dict[str, tuple[list[Any], str]]:
    """What `preset` and `searched` (or, given a mask, `within`) emit, which must be plain and small."""
    found: dict[str, tuple[list[Any], str]] = {}
    most = 100

    def emit(name: str, rows: list[Any], note: str) -> None:
        assert name not in found
        assert len(rows) <= most
        found[name] = (json.loads(json.dumps(rows, allow_nan=False)), note)

    if "mask" in call:
        most = 12
        toolkit.within(table, call["mask"], emit, labels)
        return found
    toolkit.preset(table, emit, labels)
    most = 12
    toolkit.searched(table, emit, labels)
    return found


def failures_to_run(found: dict[str, tuple[list[Any], str]]) -> dict[str, str]:
    return {name: note for name, (_, note) in found.items() if note.startswith("failed")}


# --- what the files may use


@pytest.mark.parametrize("file", sorted(FILE.parent.glob("*.py")), ids=lambda file: file.name)
def test_every_file_needs_numpy_and_pandas_alone(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names |= {node.module or "." for node in found if not node.level}
    assert {node.level for node in found} <= {0, 1}
    own = {name.partition(".")[0] for name in names} - {"numpy", "pandas"}
    assert own <= set(sys.stdlib_module_names)


# --- planted causes


def test_a_field_that_fails_is_found_first() -> None:
    table = records()
    table = fail(table, table["channel"].eq("phone"))
    rows = toolkit.by_field(table)
    assert rows[0]["predicate"] == 'records["channel"].eq("phone")'
    assert rows[0]["p"] < 1e-10
    check(table, rows)


def test_a_cut_of_a_number_is_found() -> None:
    table = records()
    table = fail(table, table["age"] >= 65)
    rows = toolkit.by_cut(table)
    assert rows[0]["group"].startswith("age >= ")
    assert 62 <= float(rows[0]["group"].split()[-1]) <= 68
    check(table, rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_is_found_where_neither_half_alone_fails(seed: int) -> None:
    table = records(seed=seed)
    where = table["channel"].eq("phone") & table["plan"].eq("pro")
    table = fail(table, where, seed=seed)
    rows = toolkit.by_field_pairs(table)
    assert set(rows[0]["group"].split(" & ")) == {"channel=phone", "plan=pro"}
    assert rows[0]["n"] == where.sum()
    check(table, rows)


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_of_a_field_and_a_length_is_found_with_its_cut(seed: int) -> None:
    table = records(400, seed)
    table = fail(table, table["channel"].eq("phone") & (table["n_words"] >= 36), seed=seed)
    rows = toolkit.by_field_pairs(table)
    field, _, cut = rows[0]["group"].partition(" & n_words >= ")
    assert field == "channel=phone"
    assert 31 <= int(cut) <= 41
    check(table, rows)


def test_a_pair_of_a_label_and_a_field_is_found() -> None:
    table = records()
    table = fail(table, table["expected"].eq("refund") & table["channel"].eq("chat"))
    rows = toolkit.by_field_pairs(table)
    assert set(rows[0]["group"].split(" & ")) == {"expected=refund", "channel=chat"}
    check(table, rows)


def test_a_pair_that_adds_nothing_to_one_half_is_not_listed() -> None:
    """Where one field explains everything, pairs with it are noise."""
    listed = 0
    for seed in range(10):
        table = records(seed=seed)
        rows = toolkit.by_field_pairs(fail(table, table["channel"].eq("phone"), seed=seed))
        listed += any(row["group"] == f"channel=phone & plan={plan}" for row in rows for plan in ("free", "pro"))
    assert listed <= 1


def test_the_quarters_of_the_lengths_are_counted_and_its_cut_is_searched_for() -> None:
    table = records()
    table = fail(table, table["n_words"] >= 36)
    quarters = toolkit.by_length(table)
    assert len(quarters) == 4
    assert sum(row["n"] for row in quarters) == len(table)
    assert quarters[0]["group"].startswith("n_words >= ")
    rows = toolkit.by_cut(table)
    assert rows[0]["group"].startswith("n_words >= ")
    assert 34 <= int(rows[0]["group"].split()[-1]) <= 38
    check(table, quarters)
    check(table, rows)


def test_inputs_of_one_word_are_measured_in_characters() -> None:
    table = records(60, input=["字" * (i + 1) for i in range(60)])
    table = fail(table, table["n_chars"] > 40)
    rows = toolkit.by_length(table)
    assert rows[0]["group"].startswith("n_chars >= ")
    check(table, rows)


def test_lengths_given_as_metadata_stay() -> None:
    table = pd.DataFrame({"input": ["one two", None], "n_words": [7, 8]})
    assert toolkit.with_lengths(table)["n_words"].tolist() == [7, 8]
    assert toolkit.with_lengths(table)["n_chars"].tolist() == [7, 0]


def test_a_word_and_a_phrase_are_found_in_any_case() -> None:
    table = records()
    has = np.arange(len(table)) % 5 == 0
    marked = [
        f"{text} please {'Chargeback Fee' if hit else 'fee chargeback'} now"
        for text, hit in zip(table["input"], has, strict=True)
    ]
    table = fail(table.assign(input=marked), has)
    rows = toolkit.terms(table)
    assert rows[0]["predicate"] == 'records["input"].str.contains("chargeback fee", case=False, regex=False)'
    assert rows[0]["n"] == has.sum()
    check(table, rows)


def test_a_label_is_found_first() -> None:
    table = records()
    table = fail(table, table["expected"].eq("refund"))
    rows = toolkit.by_label(table)
    assert rows[0]["predicate"] == 'records["expected"].eq("refund")'
    assert len(rows) == 3
    check(table, rows)


def test_a_model_that_keeps_giving_one_answer_fails_on_all_labels_but_that_one() -> None:
    table = records()
    table = table.assign(output="other", score=np.where(table["expected"].eq("other"), 1.0, 0.0))
    [row] = toolkit.by_other_labels(table)
    assert row["predicate"] == '~(records["expected"].eq("other"))'
    assert row["rate"] == 1.0
    check(table, [row])
    two = table[table["expected"].ne("billing")]
    assert toolkit.by_other_labels(two) == []  # of two labels it says nothing more than the other one


def test_answers_off_the_form_are_found() -> None:
    table = records()
    forms = ["The queue is {}.", "", "no idea", "{}\nbecause I say so"]
    output = [forms[i % 4].format(want) if i % 3 == 0 else want for i, want in enumerate(table["expected"])]
    table = table.assign(output=output, score=np.where(np.arange(len(table)) % 3 == 0, 0.0, 1.0))
    rows = toolkit.output_format(table, LABELS)
    assert rows[0]["group"] == "output is none of the labels word for word"
    assert (rows[0]["n"], rows[0]["failures"]) == (80, 80)
    assert all(row["group"].startswith("output ") for row in rows)
    counts = {row["group"]: row["n"] for row in rows}
    assert counts["output is empty"] == counts["output has several lines"] == counts["output ends in a stop"] == 20
    assert counts["output holds a label amid other text"] == 40
    assert counts["output has more words than any expected (1)"] == 60
    check(table, rows)


def test_labels_in_brackets_and_with_odd_signs_are_found_amid_text() -> None:
    labels = ("(A)", "C++", 'a "b"')
    expected = [labels[i % 3] for i in range(60)]
    output = [f"It is {label}, I think" if i < 20 else label for i, label in enumerate(expected)]
    table = records(60, expected=expected, output=output, score=[0.0] * 20 + [1.0] * 40)
    rows = toolkit.output_format(table, labels)
    assert {row["group"]: row["n"] for row in rows}["output holds a label amid other text"] == 20
    check(table, rows)


def test_many_labels_give_counts_without_a_predicate() -> None:
    labels = tuple(f"a rather long label number {i}" for i in range(60))
    table = records(120, expected=[labels[i % 60] for i in range(120)], output="?", score=[0.0, 1.0] * 60)
    rows = toolkit.output_format(table, labels)
    assert any(row["predicate"] is None and row["n"] == 120 for row in rows)


# --- other tables


def test_confusion_counts_what_was_answered_instead_whatever_its_case() -> None:
    expected = ["refund"] * 10 + ["billing"] * 10
    output = ["Billing."] * 3 + ["billing"] + ["what?"] * 2 + ["refund"] * 4 + ["billing"] * 10
    table = records(20, expected=expected, output=output, score=[0.0] * 6 + [1.0] * 14)
    assert toolkit.confusion(table, LABELS) == [
        {"expected": "refund", "output": "billing", "n": 4, "share": 0.4},
        {"expected": "refund", "output": "(no label)", "n": 2, "share": 0.2},
    ]
    assert toolkit.confusion(table)[0] == {"expected": "refund", "output": "Billing.", "n": 3, "share": 0.3}


def test_label_shares_show_a_label_that_swallows_the_others() -> None:
    table = records(30, expected=["refund", "billing", "other"] * 10, output="other", score=0.0)
    rows = toolkit.label_shares(table, LABELS)
    assert rows[0] == {"label": "other", "expected": 10, "answered": 30, "excess": 20}
    assert rows[-1]["excess"] == -10
    assert toolkit.label_shares(records(30, expected=[f"text {i}" for i in range(30)])) == []


def test_disagreements_count_what_only_one_of_two_prompts_got_right_by_label() -> None:
    first = records(30, expected=["refund", "billing", "other"] * 10, score=[1.0, 0.0, 1.0] * 10)
    second = first.assign(prompt_id="rival", score=[0.0, 1.0, 1.0] * 9 + [np.nan, 1.0, 1.0])
    rows = toolkit.disagreements(pd.concat([first, second], ignore_index=True))
    total = {"a": "champion", "b": "rival", "label": None, "n": 29, "only_a_right": 9, "only_b_right": 10}
    assert rows[0] == total
    assert {(row["label"], row["n"], row["only_a_right"], row["only_b_right"]) for row in rows[1:]} == {
        ("refund", 9, 9, 0),
        ("billing", 10, 0, 10),
    }
    assert toolkit.disagreements(first) == []


def test_flaky_examples_are_those_scored_differently_by_one_prompt() -> None:
    once = records(10, score=1.0)
    again = once.assign(repeat=1, score=[0.0] + [1.0] * 9, output=["what?"] + ["fine"] * 9)
    other = once.assign(prompt_id="rival", score=0.0)
    rows = toolkit.flaky(pd.concat([once, again, other], ignore_index=True))
    assert [(row["prompt_id"], row["example_id"], row["answers"], row["mean"]) for row in rows] == [
        ("champion", "e0", 2, 0.5)
    ]
    assert rows[0]["outputs"] == [once["output"][0], "what?"]


def test_suspicious_examples_are_those_on_which_all_prompts_agree_against_the_label() -> None:
    first = records(40, expected=["refund"] * 20 + ["billing"] * 20, output=["refund"] * 20 + ["billing"] * 20)
    wrong = first.assign(
        output=["other", "huh", "billing", *first["output"][3:20], *["refund"] * 9, "other", *first["output"][30:]],
        score=[0.0] * 3 + [1.0] * 17 + [0.0] * 10 + [1.0] * 10,
    )
    rival = wrong.assign(prompt_id="rival")
    rival.loc[2, ["output", "score"]] = ["refund", 1.0]
    rows = toolkit.suspicious(pd.concat([wrong, rival], ignore_index=True), LABELS)
    # e1 is no label, e2 is disputed; the nine usual mistakes come last.
    assert [row["example_id"] for row in rows[:2]] == ["e29", "e0"]
    assert {row["usual"] for row in rows[2:]} == {0.9}
    assert len(rows) == 11
    assert toolkit.suspicious(wrong, LABELS) == []
    thrice = pd.concat([wrong.assign(repeat=i) for i in range(3)], ignore_index=True)
    assert len(toolkit.suspicious(thrice, LABELS)) == 12


# --- all together


PRESET = {"overall", "by_label", "label_shares", "confusion", "output_format", "by_field", "by_length"}
SEARCHED = {"by_other_labels", "by_cut", "by_field_pairs", "terms", "disagreements", "flaky", "suspicious"}


def test_every_analysis_is_emitted_small_and_with_the_cause() -> None:
    table = records()
    table = fail(table, table["channel"].eq("phone"))
    found = emitted(pd.concat([table, fail(table, False).assign(prompt_id="rival")], ignore_index=True))
    assert set(found) == PRESET | SEARCHED
    assert failures_to_run(found) == {}
    assert found["overall"][0][0]["n"] == 240
    assert found["overall"][0][0]["prompts"] == 2
    assert found["by_field"][0][0]["group"] == "channel=phone"
    assert found["flaky"] == ([], "nothing found")
    assert len(json.dumps(found)) < 30_000


def of(analyses: Any, table: pd.DataFrame) -> dict[str, list[str | None]]:
    """The predicates that `preset` or `searched` emits, by analysis."""
    found: dict[str, list[str | None]] = {}

    def emit(name: str, rows: list[Any], note: str) -> None:
        found[name] = [*sorted(str(row.get("predicate")) for row in rows)]

    analyses(table, emit, LABELS)
    return found


def test_groups_that_are_fixed_beforehand_are_the_same_whatever_fails() -> None:
    table = records()
    one, other = fail(table, table["channel"].eq("phone")), fail(table, table["age"] >= 65, seed=9)
    one, other = (each.assign(output=table["output"]) for each in (one, other))
    groups = of(toolkit.preset, one)
    assert set(groups) == PRESET
    fixed = ("by_label", "by_field", "by_length")
    assert [groups[name] for name in fixed] == [of(toolkit.preset, other)[name] for name in fixed]
    assert set(of(toolkit.searched, one)) == SEARCHED
    assert of(toolkit.searched, one)["by_cut"] != of(toolkit.searched, other)["by_cut"]


def test_no_fixed_group_is_left_out_for_how_little_it_fails() -> None:
    table = records(800, channel=[f"channel {i % 20}" for i in range(800)])
    found = emitted(fail(table, table["channel"].eq("channel 3")))
    rows, note = found["by_field"]
    assert sum(row["group"].startswith("channel=") for row in rows) == 20
    assert "rows" not in note
    assert len(found["terms"][0]) <= 12


def test_predicates_hold_with_several_prompts_repeats_and_missing_scores() -> None:
    table = records()
    table = fail(table, table["channel"].eq("phone"))
    table = pd.concat([table, table.assign(repeat=1), table.assign(prompt_id="rival", score=0.0)], ignore_index=True)
    table.loc[::7, "score"] = np.nan
    for name in ANALYSES:
        rows = getattr(toolkit, name)(table)
        assert rows or name == "output_format"
        check(table, rows)


def test_real_valued_scores_fail_below_the_threshold_and_another_prompt_can_be_asked_for() -> None:
    table = records()
    table = table.assign(score=np.where(table["plan"].eq("pro"), 0.6, 0.9))
    assert toolkit.by_field(table)[0]["failures"] == 0
    rows = toolkit.by_field(table, threshold=0.7)
    assert (rows[0]["group"], rows[0]["rate"]) == ("plan=pro", 1.0)
    check(table, rows, 0.7)
    both = pd.concat([table, table.assign(prompt_id="rival", score=0.0)], ignore_index=True)
    assert toolkit.by_field(both, prompt_id="rival")[0]["rate"] == 1.0


def test_within_counts_inside_and_outside_and_finds_the_cause_inside() -> None:
    table = records(600)
    where = table["channel"].eq("phone")
    table = fail(table, where & table["plan"].eq("pro"))
    both = pd.concat([table, table.assign(prompt_id="rival")], ignore_index=True)
    found = emitted(both, mask=both["channel"].eq("phone"))
    assert failures_to_run(found) == {}
    sides = {row["group"]: row for row in found["counts"][0]}
    assert sides["inside"]["n"] == where.sum() == sides["outside"]["others_n"]
    assert sides["inside"]["failures"] == (table["score"].eq(0) & where).sum()
    assert found["inside_by_field"][0][0]["group"] == "plan=pro"
    assert not any("channel" in row["group"] for row in found["inside_by_field"][0])
    check(table[where], found["inside_by_field"][0])
    expected = found["inside_expected"][0]
    assert sum(row["n"] for row in expected) == where.sum()
    assert sum(row["share"] for row in expected) == pytest.approx(1, abs=1e-3)
    assert sum(row["n"] for row in found["inside_confusion"][0]) == sides["inside"]["failures"]


@pytest.mark.parametrize("fill", [False, True, None])
def test_within_takes_a_mask_of_all_or_none(fill: bool | None) -> None:
    table = fail(records(30), False, base=0.4)
    assert failures_to_run(emitted(table, mask=[fill] * 30)) == {}
    with pytest.raises(ValueError, match="30 records"):
        toolkit.within(table, [True], lambda *_: None)


# --- odd records

ODD = [
    'say "hi"',
    "it's",
    "{braces} {0}",
    "new\nline",
    "tab\t",
    "back\\slash",
    "\u2028",
    "\x00",
    "ünïcødé 字 🙂",
    "\ud800",
    "",
]


def test_values_of_any_text_are_quoted_and_counted_exactly() -> None:
    n = len(ODD) * 12
    table = records(n, channel=pd.Series(ODD * 12, dtype=object))
    table = table.rename(columns={"plan": 'the "plan"\n{x}'})
    table = fail(table, table["channel"].eq('say "hi"'))
    rows = toolkit.by_field(table)
    assert rows[0]["n"] == 12
    assert sum(row["group"].startswith("channel=") for row in rows) == len(ODD)
    assert any("the " in row["group"] and "pro" in row["group"] for row in rows)
    check(table, rows)
    check(table, toolkit.by_field_pairs(table))


@given(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
@settings(deadline=None)
def test_a_literal_is_the_value_and_nothing_more(value: Any) -> None:
    source = toolkit.literals.literal_of(value)
    assert source is None or (ast.literal_eval(source) == value and len(source) <= 120)
    assert source is not None or len(repr(value)) > 100
    assert source is None or "\n" not in source


@pytest.mark.parametrize("value", [None, math.nan, math.inf, [1], {"a": 1}, (1,), pd.Timestamp(0), 1j, b"x"])
def test_what_has_no_plain_literal_gets_none(value: Any) -> None:
    assert toolkit.literals.literal_of(value) is None


def odd_tables() -> dict[str, pd.DataFrame]:
    table = fail(records(60), False, base=0.3)
    rng = np.random.default_rng(0)
    gaps = rng.random(60) < 0.4
    return {
        "none": table.iloc[:0],
        "one": table.iloc[:1],
        "two": table.iloc[:2],
        "all right": table.assign(score=1.0),
        "all wrong": table.assign(score=0.0),
        "no scores": table.assign(score=np.nan),
        "scores of None": table.assign(score=pd.Series([None] * 60, dtype=object)),
        "scores as text": table.assign(score=["0", "1", "x"] * 20),
        "flagged missing": table.assign(missing=gaps, score=np.where(gaps, 0.0, table["score"])),
        "gaps in metadata": table.assign(channel=table["channel"].mask(gaps), age=np.where(gaps, np.nan, table["age"])),
        "infinite": table.assign(age=np.where(gaps, np.inf, table["age"]), amount=-np.inf),
        "constant": table.assign(channel="phone", plan=None, age=3, input="same text"),
        "lists": table.assign(channel=[["a"], {"b": 1}, None] * 20, expected=pd.Series([["x"]] * 60)),
        "mixed": table.assign(channel=[1, "1", True, None, 1.5, "x"] * 10),
        "booleans": table.assign(channel=[True, False, None] * 20, plan=[True, False] * 30),
        "nullable": table.assign(
            age=pd.array([1, None, 3] * 20, dtype="Int64"), plan=pd.array([True, None] * 30, dtype="boolean")
        ),
        "categorical": table.assign(channel=pd.Categorical(table["channel"])),
        "dates": table.assign(channel=pd.Timestamp(0), age=pd.date_range("2020", periods=60)),
        "numbers as text columns": table.assign(input=5, output=3, expected=3),
        "empty texts": table.assign(input="", output="", expected=""),
        "no answers": table.assign(output=None),
        "some answers": table.assign(output=table["output"].mask(gaps)),
        "inputs of None": table.assign(input=None),
        "two columns of a name": pd.concat([table, table[["channel"]]], axis=1),
        "columns by number": table.assign(**{"x": 1}).rename(columns={"x": 7}),
        "no metadata": table[["prompt_id", "example_id", "repeat", "input", "output", "expected", "score", "missing"]],
        "long texts": table.assign(channel=["x" * 5000, "y" * 200] * 30, input="word " * 20_000),
        "index of its own": table.set_index(pd.Index(["same"] * 60)),
    }


@pytest.mark.parametrize("name", odd_tables())
def test_odd_records_stop_nothing(name: str) -> None:
    table = odd_tables()[name]
    found = emitted(table)
    assert failures_to_run(found) == {}
    if len(table):
        assert failures_to_run(emitted(table, mask=[True, False] * (len(table) // 2) + [True] * (len(table) % 2))) == {}


@pytest.mark.parametrize("name", sorted(set(odd_tables()) - {"none", "scores of None", "scores as text"}))
def test_odd_records_are_counted_exactly(name: str) -> None:
    table = odd_tables()[name]
    if name == "flagged missing":
        table = table.assign(score=table["score"].mask(table["missing"]))
    for analysis in ANALYSES:
        check(toolkit.with_lengths(table), getattr(toolkit, analysis)(table))


def test_an_analysis_that_fails_leaves_its_name_and_the_error() -> None:
    found = emitted(fail(records(40), False).drop(columns=["output"]))
    assert set(failures_to_run(found)) >= {"confusion", "output_format"}
    assert found["confusion"] == ([], "failed: KeyError: 'output'")
    assert found["by_field"][0]


def test_the_same_records_give_the_same_rows() -> None:
    table = fail(records(), False, base=0.3)
    assert emitted(table) == emitted(table)
