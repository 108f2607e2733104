"""What is known, refused and asked before anything is spent."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from sage_spo.errors import BudgetError, BudgetTooSmall, ModelSetupError, UsageError
from sage_spo.graphs.run_settings import RunSettings
from sage_spo.jobs.before import agree_on_cost, survey
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.traces.store import RunStore

PAID = {"target": "openai:gpt-4.1-mini"}


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def settings(**chosen: Any) -> RunSettings:
    return RunSettings(task="colours", **chosen)


async def test_the_embedded_model_costs_nothing() -> None:
    known = await survey(make_task(), settings())
    assert known.most_usd == 0.0
    assert known.plan["certification"] == 180
    assert known.plan["search"] == 1020


@pytest.mark.usefixtures("key")
async def test_the_most_it_may_cost() -> None:
    by_calls = (await survey(make_task(), settings(**PAID, budget="target_calls=1000"))).most_usd
    twice = (await survey(make_task(), settings(**PAID, budget="target_calls=2000"))).most_usd
    assert by_calls
    assert 0.01 < by_calls < 1
    assert twice == pytest.approx(2 * by_calls)
    both = settings(**PAID, budget="target_calls=2000,usd=0.05")
    assert (await survey(make_task(), both)).most_usd == 0.05
    tokens = settings(**PAID, budget="tokens=1000000")
    assert (await survey(make_task(), tokens)).most_usd == pytest.approx(1.6)
    agent = settings(**PAID, agent="openai:gpt-4.1")
    assert (await survey(make_task(), agent)).most_usd == math.inf


async def test_what_a_run_would_refuse_is_refused_before_it_is_made() -> None:
    with pytest.raises(BudgetTooSmall, match="target_calls=100"):
        await survey(make_task(), settings(budget="target_calls=100"))
    with pytest.raises(ModelSetupError, match="OPENAI_API_KEY"):
        await survey(make_task(), settings(**PAID))
    with pytest.raises(UsageError, match="candidates"):
        await survey(make_task(), settings(options={"candidates": 0}))
    unknown = settings(target="openai:mine", base_url="http://127.0.0.1:1/v1", budget="usd=1")
    with pytest.raises(BudgetError, match=r"price of openai:mine.*SAGE_PRICES"):
        await survey(make_task(), unknown)
    free = settings(target="openai:mine", base_url="http://127.0.0.1:1/v1")
    assert (await survey(make_task(), free)).most_usd is None


async def test_earlier_uses_of_the_test_split_count() -> None:
    task = make_task()
    other = replace(task, test=task.test[1:])
    store = await RunStore.open(installation().home)
    await store.use_test(task.test_key, "11111111-0000")
    await store.close()
    assert (await survey(task, settings())).uses == 1
    assert (await survey(other, settings())).uses == 0


@pytest.mark.parametrize(
    ("most", "above", "yes"),
    [(0.0, 1.0, False), (0.5, 1.0, False), (5.0, 10.0, False), (5.0, 1.0, True), (None, 1, False)],
)
def test_nobody_is_asked_below_the_threshold_with_yes_or_without_a_price(
    most: float | None, above: float, yes: bool
) -> None:
    agree_on_cost(most, ask_above=above, yes=yes, target="local", base_url=None)


@pytest.mark.parametrize(("most", "words"), [(5.0, r"up to \$5\.00"), (math.inf, "nothing limits")])
def test_without_a_terminal_more_than_the_threshold_is_refused(most: float, words: str) -> None:
    with pytest.raises(UsageError, match=rf"{words}.*--yes"):
        agree_on_cost(most, ask_above=1.0, yes=False, target="local", base_url=None)
