"""Which runs a landscape may be drawn from, which prompts it takes, and what is refused before any call."""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import BudgetError, BudgetTooSmall, ModelSetupError, StoreError, UsageError
from sage_spo.jobs.landscape.call import landscape_call
from sage_spo.jobs.landscape.choice import (
    chosen_prompts,
    common_panel,
    default_embeddings,
    embedded_text,
    job,
)
from sage_spo.jobs.landscape.sources import Met, Sources, find_sources
from sage_spo.settings import settings as installation
from sage_spo.tasks.load import load_task
from sage_spo.tasks.prompt import Demo, Prompt
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.tests.fakes.searches import edited, store_search
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

HERE: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1"}


async def sources(*names: str) -> Sources:
    async with await RunStore.open(installation().home) as store:
        return await find_sources(store, names)


def seed() -> Prompt:
    return load_task("reviews").seed_prompt


async def test_prompts_of_several_runs_are_counted_once_with_their_least_generation() -> None:
    first = edited(seed(), 6)
    other = [first[0], first[3].model_copy(update={"parents": (first[0].id,)})]
    await store_search("one", first, best=first[4].id)
    await store_search("two", other)
    found = await sources("one", "two", "one")
    assert found.names == ["one", "two"]
    met = {prompt.id: found.prompts[prompt.id] for prompt in first}
    assert len(found.prompts) == 7
    assert [met[prompt.id].generation for prompt in first] == [0, 1, 2, 1, 4, 5, 6]
    assert [one.leads for one in met.values()] == [True, False, False, False, True, False, False]
    assert met[first[3].id].runs == [0, 1]


async def test_a_comparison_stands_for_the_runs_of_its_rows() -> None:
    async with await RunStore.open(installation().home) as store:
        await store.create_run(Run(str(uuid.uuid4()), "cmp", "reviews", "compare", {"command": "sage-spo compare x"}))
    with pytest.raises(StoreError, match="has no runs yet; go on with: sage-spo compare x"):
        await sources("cmp")
    await store_search("cmp/random-0", edited(seed(), 3, tag="a"))
    await store_search("cmp/gepa-0", edited(seed(), 3, tag="b"), strategy="peer:gepa")
    await store_search("cmpx", edited(seed(), 3, tag="c"))
    found = await sources("cmp")
    assert found.names == ["cmp/random-0", "cmp/gepa-0"]
    assert len(found.prompts) == 7


async def test_runs_that_cannot_be_compared_are_refused_by_name(tmp_path: Path) -> None:
    await store_search("one", edited(seed(), 3))
    await store_search("elsewhere", edited(seed(), 3), target="openai:other")
    await store_search("headlines", edited(seed(), 3), task="headlines")
    await store_search("looked", edited(seed(), 3), strategy="evaluate")
    with pytest.raises(StoreError, match="Did you mean 'one'"):
        await sources("onne")
    with pytest.raises(UsageError, match=r"runs one \(reviews\) and headlines \(headlines\) are of different tasks"):
        await sources("one", "headlines")
    with pytest.raises(UsageError, match=r"run one was made with target = openai:fake, run elsewhere with openai:oth"):
        await sources("one", "elsewhere")
    with pytest.raises(UsageError, match=r"run looked is no search \(evaluate\)"):
        await sources("looked")
    with pytest.raises(UsageError, match="at least one run"):
        await sources()


async def test_a_task_that_has_changed_since_is_refused() -> None:
    await store_search("old", edited(seed(), 3), task_key="another")
    with pytest.raises(UsageError, match="task reviews is not what run old was made with"):
        await sources("old")


async def test_a_run_from_python_wants_its_objects_again() -> None:
    task = make_task()
    await store_search("mine", edited(task.seed_prompt, 14), loaded=task, in_process=True, target="answer")
    with pytest.raises(UsageError, match="run mine was started from Python"):
        await sources("mine")
    call = await landscape_call("mine", task=task, target=lambda messages, example: "red", embeddings="local")
    assert len(call.prompts) == 15


def test_the_seed_and_the_best_come_first_then_the_runs_by_turns() -> None:
    many = edited(seed(), 40, tag="a")
    few = edited(seed(), 4, tag="b")[1:]
    prompts = {p.id: Met(p, i, leads=i in (0, 9), runs=[0]) for i, p in enumerate(many)}
    prompts |= {p.id: Met(p, i, runs=[1]) for i, p in enumerate(few)}
    chosen = chosen_prompts(prompts, 12)
    assert chosen[:2] == [many[0].id, many[9].id]
    assert [prompts[i].runs[0] for i in chosen[2:]] == [0, 1, 0, 1, 0, 1, 0, 1, 0, 0]
    assert chosen_prompts(prompts, 20)[:12] == chosen
    assert sorted(chosen_prompts(prompts, 60)) == sorted(prompts)


def test_the_panel_avoids_worked_examples_and_no_prompt_is_measured_on_its_own() -> None:
    task = load_task("reviews")
    used = [Demo(example_id=e.id, input=e.input, output=e.label) for e in task.search[:-40]]
    prompts = [seed(), *(seed().edited(demos=used, origin=f"demos {i}", text=f"Text {i}.") for i in range(3))]
    panel = common_panel(task, prompts)
    assert len(panel) == 48
    assert {e.id for e in task.search[-40:]} <= {e.id for e in panel}
    assert len(job(prompts[0], panel).examples) == 48
    assert len(job(prompts[1], panel).examples) == 40
    assert Counter(e.id for e in common_panel(task, [seed()])).most_common(1)[0][1] == 1
    assert "Text 1." in embedded_text(prompts[2])
    assert used[0].input in embedded_text(prompts[2])
    with pytest.raises(UsageError, match=r"search split of colours has 12 examples; it takes 20"):
        common_panel(make_task((12, 6, 9)), prompts)


def test_openai_embeds_for_its_own_models_and_the_embedded_model_for_all_others() -> None:
    assert default_embeddings("openai:gpt-4.1-mini", None) == "openai:text-embedding-3-small"
    assert default_embeddings("openai:fake", "http://127.0.0.1:9/v1") == "local"
    assert default_embeddings("local", None) == "local"
    assert default_embeddings("anthropic:claude-sonnet-4-5", None) == "local"


async def test_what_cannot_be_measured_is_refused_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    await store_search("few", edited(seed(), 10), **HERE)
    await store_search("enough", edited(seed(), 14), **HERE)
    with pytest.raises(UsageError, match="have met 11 prompts; it takes at least 12"):
        await landscape_call("few")
    for prompts in (11, 61):
        with pytest.raises(UsageError, match="between 12 and 60"):
            await landscape_call("enough", prompts=prompts)
    with pytest.raises(BudgetTooSmall, match="12 prompts on 48 examples take 576 calls, all 15 take 720"):
        await landscape_call("enough", budget="target_calls=575")
    with pytest.raises(BudgetError, match="target_cals"):
        await landscape_call("enough", budget="target_cals=575")
    with pytest.raises(ModelSetupError, match=r"--embeddings: .*openai:MODEL"):
        await landscape_call("enough", embeddings="ollama:x")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    await store_search("keyless", edited(seed(), 14), base_url=None)
    with pytest.raises(ModelSetupError, match="needs a key: set OPENAI_API_KEY"):
        await landscape_call("keyless")
    call = await landscape_call("enough", budget="usd=1", embeddings="openai:fake")
    with pytest.raises(BudgetError, match="price of openai:fake"):
        await call.check()


async def test_the_same_call_has_the_same_name_and_other_prompts_another() -> None:
    await store_search("one", edited(seed(), 14), **HERE)
    names = [(await landscape_call("one", embeddings="openai:fake", prompts=n)).name for n in (60, 60, 13)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("landscape-")
    assert (await landscape_call("one", run="mine")).name == "mine"
    with pytest.raises(UsageError, match="a name is made of letters"):
        await landscape_call("one", run="a b")
