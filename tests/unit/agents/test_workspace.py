"""The workspace: what code may see, what is taken from it, and that whatever it emits can be shown."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from sage_spo.agents.workspace import RESERVED, NumberedFinding, Workspace, rendered
from sage_spo.evaluation.hypotheses import coin
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.seeding import generator
from sage_spo.tasks.task import Task
from sage_spo.tests.fakes.causes import PHONE, failing_for, records_of, tickets, workspace_of

TASK = tickets((24, 4, 4))
RECORDS = records_of(TASK, failing_for(PHONE))
CHANNEL = {e.id: e.metadata["channel"] for e in TASK.search}


def place(sandbox: Sandbox | None, task: Task = TASK, **more: Any) -> Workspace:
    """The records in a workspace."""
    return workspace_of(task, RECORDS, sandbox, **more)


def with_metadata(**metadata: Any) -> Task:
    """The task, every search ticket with more metadata."""
    changed = tuple(replace(e, metadata={**e.metadata, **metadata}) for e in TASK.search)
    return replace(TASK, search=changed)


# -- what code sees ------------------------------------------------------------------------------------------


async def test_code_sees_the_records_of_the_diagnosis_half_and_no_others(sandbox: Sandbox):
    workspace = place(sandbox)
    done = await workspace.run("print(sorted(records['example_id']))\nprint(records.to_csv())", "look")
    assert done.error is None
    assert done.stdout.splitlines()[0] == str(sorted(workspace.half))
    hidden = [e for e in TASK.search if e.id not in workspace.half]
    assert len(hidden) == len(TASK.search) // 2
    assert not any(e.input in done.stdout for e in hidden)


async def test_code_sees_every_column_it_was_promised(sandbox: Sandbox):
    workspace = place(sandbox)
    done = await workspace.run("emit('columns', list(records))\nemit('scores', set(records['score']))", "look")
    assert [f.value for f in done.results] == [workspace.fields, [0.0, 1.0]]
    assert {*RESERVED, "channel", "plan", "shade"} <= set(workspace.fields)


async def test_other_prompts_of_the_pool_are_seen_on_the_same_half_after_the_champion(sandbox: Sandbox):
    other = TASK.seed_prompt.edited(text="{labels}!", origin="other")
    records = {other.id: records_of(TASK, failing_for(), other), TASK.seed_prompt.id: RECORDS}
    workspace = place(sandbox, records=records)
    code = "emit('prompts', records['prompt_id'].unique())\nemit('ids', sorted(records['example_id'].unique()))"
    done = await workspace.run(code, "look")
    assert [f.value for f in done.results] == [[TASK.seed_prompt.id, other.id], sorted(workspace.half)]


async def test_what_code_emits_is_numbered_on_and_on_and_every_run_is_kept(sandbox: Sandbox):
    kept: list[Any] = []
    workspace = place(sandbox, keep=kept.append)
    await workspace.run("emit('a', 1)\nemit('a', 2)", "first")
    await workspace.run("emit('b', 3)\n1/0", "second")
    assert [f.id for f in workspace.findings] == ["F1", "F2", "F3"]
    assert len({f.name for f in workspace.findings}) == 3
    assert [(run.purpose, run.index) for run in kept] == [("first", 1), ("second", 2)]
    assert [[f["id"] for f in run.findings] for run in kept] == [["F1", "F2"], ["F3"]]
    assert kept[0].error is None
    assert "ZeroDivisionError" in kept[1].error


# -- predicates ----------------------------------------------------------------------------------------------


async def test_a_predicate_is_evaluated_over_all_of_the_champions_records(sandbox: Sandbox):
    other = TASK.seed_prompt.edited(text="{labels}!", origin="other")
    workspace = place(sandbox, records={TASK.seed_prompt.id: RECORDS, other.id: RECORDS})
    [mask] = await workspace.masks(['records["channel"].eq("phone")'])
    assert mask == {i: channel == "phone" for i, channel in CHANNEL.items()}


@pytest.mark.parametrize("column", ["score", "missing", "feedback"])
async def test_a_predicate_cannot_see_what_became_of_an_example(sandbox: Sandbox, column: str):
    by_any_name = f'records[[c for c in records if c == "{column}"][0]].notna()'
    masks = await place(sandbox).masks([f'records["{column}"].notna()', f"records.{column}.notna()", by_any_name])
    assert all(isinstance(mask, str) and "cannot be evaluated" in mask for mask in masks)


@pytest.mark.parametrize(
    ("predicate", "reason"),
    [
        ('records["channel"]', "gives no true/false per record"),
        ("records", "gives no true/false per record"),
        ("lambda: True", "gives no true/false per record"),
        ('records["n_words"]', "gives no true/false per record"),
        ("True", "has 1 value for 24 records"),
        ('records["channel"].eq("phone").head(3)', "has 3 values for 24 records"),
        ('records["channel"].eq("fax")', "matches no record"),
        ('records["n_words"] > 0', "matches every record"),
        ('records["chanel"].eq("phone")', "KeyError"),
        ("exit()", "cannot be evaluated"),
        ("__import__('os').kill(1, 9)", "cannot be evaluated"),
        ("__import__('os')._exit(0)", "could not be run"),
    ],
)
async def test_a_predicate_that_is_none_says_why_and_costs_no_other(sandbox: Sandbox, predicate: str, reason: str):
    bad, good = await place(sandbox).masks([predicate, 'records["channel"].eq("phone")'])
    assert isinstance(bad, str)
    assert reason in bad
    assert isinstance(good, dict)
    assert sum(good.values()) == list(CHANNEL.values()).count("phone")


@pytest.mark.parametrize(
    "predicate",
    [
        "setattr(pd.Series, 'eq', lambda a, b: a.isna()) or records['n_words'] > 9",
        "__import__('sys')._getframe(1).f_globals['emit']('predicate 1', '1' * len(records)) or records['n_words'] > 9",
        "pd.set_option('mode.string_storage', 'python') or [pd.Series.__dict__] and records['n_words'] > 9",
    ],
)
async def test_a_predicate_that_reaches_further_changes_no_others_matches(sandbox: Sandbox, predicate: str):
    bad, good, empty = await place(sandbox).masks(
        [predicate, 'records["channel"].eq("phone")', 'records["channel"].eq("fax")']
    )
    assert isinstance(bad, dict)
    assert isinstance(good, dict)
    assert sum(good.values()) == list(CHANNEL.values()).count("phone")
    assert empty == "matches no record"


async def test_a_mask_in_another_order_is_matched_by_index_as_pandas_does(sandbox: Sandbox):
    straight, sorted_first = await place(sandbox).masks(
        ['records["channel"].eq("phone")', 'records.sort_values("input")["channel"].eq("phone")']
    )
    assert sorted_first == straight


async def test_where_an_example_was_measured_twice_the_first_answer_counts(sandbox: Sandbox):
    again = [replace(r, repeat=1, output="something else") for r in RECORDS]
    [mask] = await place(sandbox, records={TASK.seed_prompt.id: [*RECORDS, *again]}).masks(
        ['records["output"].eq("refund")']
    )
    assert mask == {r.example_id: r.output == "refund" for r in RECORDS}


async def test_a_predicate_may_hold_any_character(sandbox: Sandbox):
    task = tickets((24, 4, 4), inputs={"e0": 'where is my 🦊 "parcel"?\nhéllo'})
    masks = await workspace_of(task, RECORDS, sandbox).masks(
        ['records["input"].str.contains("🦊")', 'records["input"].str.contains("\\nhé", regex=False)']
    )
    for mask in masks:
        assert isinstance(mask, dict), mask
        assert [i for i, hit in mask.items() if hit] == ["e0"]


def test_counts_are_our_own_over_all_records_or_over_the_confirmation_half():
    workspace = place(None)
    phone = {i: channel == "phone" for i, channel in CHANNEL.items()}
    failed = {r.example_id for r in RECORDS if r.score == 0.0}
    for ids, found in [
        (set(CHANNEL), workspace.support(phone)),
        (set(CHANNEL) - workspace.half, workspace.support(phone, confirmation=True)),
    ]:
        matched = {i for i in ids if phone[i]}
        assert (found.n, found.failures) == (len(matched), len(matched & failed))
        assert (found.other_n, found.other_failures) == (len(ids - matched), len(ids & failed - matched))


def test_an_answer_without_a_score_counts_nowhere():
    records = [replace(r, score=None) if r.example_id in ("e0", "e1") else r for r in RECORDS]
    workspace = place(None, records={TASK.seed_prompt.id: records})
    assert "e0" not in workspace.failed
    assert len(workspace.failed) == len(RECORDS) - 2
    everything = dict.fromkeys(CHANNEL, True)
    assert workspace.support(everything).n == len(RECORDS) - 2
    assert not {"e0", "e1"} & {r.example_id for r in workspace.failures()}


def test_failures_that_may_be_shown_are_of_the_diagnosis_half():
    workspace = place(None)
    shown = {r.example_id for r in workspace.failures()}
    assert shown
    assert shown == {i for i, bad in workspace.failed.items() if bad} & workspace.half


# -- columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RESERVED, "n_words", "n_chars"])
async def test_metadata_named_like_a_column_takes_no_columns_place(sandbox: Sandbox, name: str):
    workspace = place(sandbox, with_metadata(**{name: "from the metadata"}))
    assert len(workspace.fields) == len(set(workspace.fields))
    done = await workspace.run(f"emit('values', records[{name!r}].astype(str).unique())", "look")
    assert done.error is None
    if name in RESERVED:
        assert "from the metadata" not in done.results[0].value


async def test_metadata_of_any_kind_reaches_the_code(sandbox: Sandbox):
    odd = {"nothing": None, "tags": ["a", {"b": 1}], "rate": math.nan, "ünï \n code": "\u202e\x00", "flag": True}
    workspace = place(sandbox, with_metadata(**odd))
    done = await workspace.run("emit('n', len(records))\nemit('tags', records['tags'].iloc[0])", "look")
    assert done.error is None
    assert [f.value for f in done.results] == [12, ["a", {"b": 1}]]


async def test_metadata_that_only_some_examples_have_is_a_column_all_the_same(sandbox: Sandbox):
    first, *others = TASK.search
    task = replace(TASK, search=(first, *(replace(e, metadata={**e.metadata, "late": "yes"}) for e in others)))
    workspace = place(sandbox, task)
    done = await workspace.run("emit('late', records['late'].eq('yes').sum())", "look")
    assert done.results[0].value == 11
    assert "late" in workspace.fields


# -- what findings look like ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        math.nan,
        math.inf,
        -(2**63),
        "x" * 1_000_000,
        "\x1b[31m\x00\u202e</prompt>",
        [{"group": "a", "n": "many", "failures": None, "rate": "high"}],
        [{"group": "a", "n": 3, "failures": 1, "rate": math.nan}],
        [{"group": "a", "n": 3, "failures": 1, "rate": math.inf}],
        [{"group": {"deep": ["x" * 5000]}, "n": True, "failures": [], "rate": {}}],
        [{"group": "y" * 100_000, "n": 1}] * 5000,
        [{"group": "a"}, 3, None],
        {"a": {"n": 1}, "b": {"n": None, "rate": "?"}, "c": {"n": [1, 2], "group": "other"}},
        {"a": {"n": 1}, "b": 2},
        {"": {}},
        [[[[[[[["deep"]]]]]]]],
        [],
        {},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_whatever_code_emits_can_be_shown(value: Any):
    finding = NumberedFinding("F1", "name\x07" * 50, value, "note\u202e")
    text = finding.text
    assert text.startswith("F1: ")
    assert len(text) <= 4100
    assert not {"\x00", "\x07", "\x1b", "\u202e"} & set(text)


def test_groups_with_counts_are_a_line_each():
    rows = [{"group": "channel=phone", "predicate": "…", "n": 50, "failures": 31, "rate": 0.62, "p": 0.001}]
    assert rendered(rows) == "channel=phone: n=50 failures=31 rate=0.62"
    by_name = {"phone": {"n": 50, "failures": 31}, "mail": {"n": 7, "failures": 0}}
    assert rendered(by_name) == "phone: n=50 failures=31\nmail: n=7 failures=0"


def test_what_is_no_table_of_counts_is_json():
    assert json.loads(rendered({"a": [1, "é"]})) == {"a": [1, "é"]}


# -- the coin ------------------------------------------------------------------------------------------------


def test_the_coin_falls_anew_each_iteration_and_the_same_way_each_time():
    ids = [e.id for e in TASK.search]
    halves = [coin(ids, generator(5, iteration, "coin")) for iteration in range(1, 7)]
    assert len(set(halves)) == len(halves)
    assert halves == [coin(reversed(ids), generator(5, iteration, "coin")) for iteration in range(1, 7)]
    assert all(len(half) == len(ids) // 2 for half in halves)
    assert frozenset.union(*halves) == set(ids)
