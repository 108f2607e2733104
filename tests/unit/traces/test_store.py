"""Rows come back as they were added, and a row of the same primary key replaces the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sage_spo.seeding import digest
from sage_spo.traces.codec import pack, unpack
from sage_spo.traces.rows import Answer, Call, Decision, Record, Run, Spending, StoredPrompt
from sage_spo.traces.store import CHUNK, RunStore

from .conftest import RUN, Triple

PROMPT = digest("p")[:16]


async def test_every_kind_of_row_comes_back_as_it_was(tmp_path: Path, triple: Callable[[int], Triple]) -> None:
    answer, call, record = triple(1)
    content = {"components": {"system": "Sag {labels} — ünïcødé 🙂"}, "demos": []}
    prompt = StoredPrompt(RUN, PROMPT, 2, content, ("aa", "seed"), "edit")
    decision = Decision(RUN, 2, 1, PROMPT, "champion", "accepted", "higher bound", {"p": 0.01, "wins": [3, 1]})
    missing = replace(record, repeat=1, score=None, output="", label_logprobs=None)

    store = await RunStore.open(tmp_path)
    for row in (answer, call, record, prompt, decision, missing):
        store.add(row)
    await store.close()

    store = await RunStore.open(tmp_path)
    assert await store.answers([answer.key, digest("unknown")]) == {answer.key: answer}
    assert await store.calls(RUN) == [call]
    assert await store.records(RUN) == [record, missing]
    assert await store.prompts(RUN) == {PROMPT: prompt}
    assert await store.decisions(RUN) == [decision]
    await store.close()


async def test_what_was_added_is_seen_without_a_flush(store: RunStore, triple: Callable[[int], Triple]) -> None:
    for row in triple(1):
        store.add(row)
    assert len(await store.answers([triple(1)[0].key])) == 1
    assert len(await store.records(RUN)) == 1


async def test_the_last_row_of_a_primary_key_stays_and_of_answers_the_first(
    store: RunStore, triple: Callable[[int], Triple]
) -> None:
    answer, call, record = triple(1)
    for flushed_between in (True, False):
        store.add(answer)
        store.add(call)
        store.add(record)
        if flushed_between:
            await store.flush()
        store.add(replace(answer, text="another"))
        store.add(replace(call, attempts=3))
        store.add(replace(record, score=0.0, feedback="wrong"))
        assert (await store.answers([answer.key]))[answer.key].text == answer.text
        assert [c.attempts for c in await store.calls(RUN)] == [3]
        assert [(r.score, r.feedback) for r in await store.records(RUN)] == [(0.0, "wrong")]


async def test_more_keys_than_one_query_takes(store: RunStore) -> None:
    keys = [digest(i) for i in range(2 * CHUNK + 7)]
    for key in keys:
        store.add(Answer(key, "a", None, None, 0.0))
    assert set(await store.answers([*keys, *keys])) == set(keys)
    assert await store.answers([]) == {}


async def test_records_and_prompts_are_selected_by_run_prompt_and_split(store: RunStore) -> None:
    for run in (RUN, "other"):
        for prompt in ("aa", "bb", "cc"):
            store.add(StoredPrompt(run, prompt, 0, {}))
            for split in ("search", "test"):
                store.add(Record(run, prompt, split, 0, split, digest(run, prompt, split), 1.0, "x"))
    assert len(await store.records(RUN)) == 6
    assert {r.prompt_id for r in await store.records(RUN, ["aa", "cc"])} == {"aa", "cc"}
    assert {(r.run_id, r.prompt_id, r.split) for r in await store.records(RUN, ["bb"], "test")} == {(RUN, "bb", "test")}
    assert list(await store.prompts(RUN, ["bb"])) == ["bb"]
    assert await store.records(RUN, []) == []
    assert await store.prompts("nobody") == {}


async def test_the_order_of_reading_does_not_depend_on_the_order_of_writing(
    store: RunStore, triple: Callable[[int], Triple]
) -> None:
    for number in (3, 1, 2):
        for row in triple(number):
            store.add(row)
    store.add(Decision(RUN, 1, 1, "a", "b", "rejected", "", {}))
    store.add(Decision(RUN, 1, 0, "a", "b", "accepted", "", {}))
    assert [r.example_id for r in await store.records(RUN)] == ["e1", "e2", "e3"]
    assert [c.key for c in await store.calls(RUN)] == sorted(triple(n)[1].key for n in (1, 2, 3))
    assert [d.index for d in await store.decisions(RUN)] == [0, 1]


async def test_numbers_of_numpy_and_broken_surrogates_are_stored(store: RunStore) -> None:
    record = Record(RUN, "p", "e", 0, "search", digest(1), np.float64(0.5), "half \ud83d pair", "", np.int64(7))  # type: ignore[arg-type]
    store.add(record)
    found = (await store.records(RUN))[0]
    assert (found.score, found.tokens, found.output) == (0.5, 7, "half ? pair")


async def test_a_value_that_cannot_be_stored_is_refused_where_it_is_added(
    store: RunStore, run_row: Run, triple: Callable[[int], Triple]
) -> None:
    answer, call, _ = triple(1)
    with pytest.raises(TypeError, match=r"Answer\.label_logprobs"):
        store.add(replace(answer, label_logprobs={"client": object()}))  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"Call\.key"):
        store.add(replace(call, key=None))  # type: ignore[arg-type]
    for no_row in ("text", run_row):
        with pytest.raises(TypeError, match="not added"):
            store.add(no_row)  # type: ignore[arg-type]
    store.add(answer)
    assert len(await store.answers([answer.key])) == 1


async def test_a_row_is_stored_as_it_was_when_it_was_added(store: RunStore) -> None:
    stats = {"p": 0.5}
    store.add(Decision(RUN, 0, 0, "a", "b", "accepted", "", stats))
    stats["p"] = 0.9
    assert (await store.decisions(RUN))[0].stats == {"p": 0.5}


@settings(deadline=None)
@given(
    st.one_of(st.text(), st.uuids().map(str), st.binary().map(bytes.hex), st.binary().map(lambda b: b.hex().upper()))
)
def test_any_id_is_packed_and_unpacked(identifier: str) -> None:
    assert unpack(pack(identifier)) == identifier


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(max_size=3), st.binary(max_size=2).map(bytes.hex)), unique=True))
def test_different_ids_stay_different(identifiers: list[str]) -> None:
    assert len({pack(i) for i in identifiers}) == len(identifiers)


def test_digests_and_uuids_are_packed_small() -> None:
    assert len(pack(digest("x"))) == 17
    assert len(pack(RUN)) == 17


async def test_a_call_without_tokens_or_money_is_a_call(store: RunStore) -> None:
    call = Call(RUN, digest(1), "judge", 4, 0, 0, 0.0, 0, True, True)
    store.add(call)
    assert await store.calls(RUN) == [call]


async def test_what_the_calls_of_each_role_cost_is_summed_up(store: RunStore) -> None:
    for number, role in enumerate(("target", "target", "agent", "certification")):
        store.add(Call(RUN, digest(number), role, 0, 10, number, 0.5, 1, False, False))
    store.add(Call("other", digest(0), "target", 0, 10, 1, 0.5, 1, False, False))
    assert await store.spending(RUN) == [
        Spending("agent", 0, 1, 0, 0, 10, 2, 0.5),
        Spending("certification", 0, 1, 0, 0, 10, 3, 0.5),
        Spending("target", 0, 2, 0, 0, 20, 1, 1.0),
    ]
    assert await store.spending("nobody") == []
