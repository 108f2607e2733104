"""When calls wait for a provider that is down, and how that ends. The clock is the test's own."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from sage_spo.errors import ModelError, ProviderDown, TransientModelError
from sage_spo.evaluation.outage import FAILURES, FEW_SECONDS, PROBE_CAP, START_SECONDS, WITNESSES, Outage, Paused

GONE = TransientModelError("connection refused", sign="unreachable")
SICK = TransientModelError("500", sign="failing")
BUSY = TransientModelError("429", sign="serving")


class Scene:
    """An outage object, its clock, and what it said."""

    def __init__(self, patience: float = 600.0, *, known: bool = True) -> None:
        self.now = 0.0
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.outage = Outage(
            "m",
            patience,
            rng=np.random.default_rng(0),
            known=known,
            on_change=lambda event, fields: self.said.append((event, fields)),
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def fails(self, key: str, error: TransientModelError | TimeoutError, times: int = FAILURES) -> bool:
        """Whether so many failures in a row end in a pause."""
        try:
            for _ in range(times):
                self.outage.failed(key, error)
        except Paused:
            return True
        return False

    async def probe(self, key: str = "a") -> None:
        """Wait for the turn to probe, and find nobody."""
        await self.outage.ready(key)
        with pytest.raises(Paused):
            self.outage.failed(key, GONE)


def test_one_call_without_a_connection_is_enough_after_some_attempts() -> None:
    scene = Scene()
    assert not scene.fails("a", GONE, FAILURES - 1)
    assert scene.fails("a", GONE, 1)
    assert scene.outage.down
    [(event, fields)] = scene.said
    assert (event, fields["name"], fields["reason"], fields["patience"]) == ("outage", "m", "connection refused", 600)


@pytest.mark.parametrize("error", [SICK, TimeoutError()])
def test_where_it_can_be_reached_several_calls_must_fail(error: TransientModelError | TimeoutError) -> None:
    scene = Scene()
    assert not any(scene.fails(key, error, 9) for key in "abc"[: WITNESSES - 1])
    assert scene.fails("d", error)


def test_an_answer_in_between_means_that_it_is_up() -> None:
    scene = Scene()
    for key in "abcdef":
        assert not scene.fails(key, GONE, FAILURES - 1)
        scene.outage.answered()


def test_too_many_requests_and_broken_replies_are_no_outage() -> None:
    assert not any(Scene().fails(key, BUSY, 50) for key in "abcdef")


async def test_probes_come_at_growing_intervals_up_to_the_cap_and_an_answer_ends_the_pause() -> None:
    scene = Scene()
    assert scene.fails("a", GONE)
    times = [scene.now]
    for _ in range(9):
        await scene.probe()
        times.append(scene.now)
    waits = np.diff(times)
    assert all(0.5 * full <= wait <= full for wait, full in zip(waits, [1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True))
    assert max(waits) <= PROBE_CAP
    await scene.outage.ready("a")
    scene.outage.answered()
    assert not scene.outage.down
    assert scene.said[-1][0] == "outage_over"
    assert scene.said[-1][1]["seconds"] == pytest.approx(scene.now)


async def test_one_call_probes_and_the_others_go_on_with_it() -> None:
    scene = Scene()
    assert scene.fails("a", GONE)
    tasks = [asyncio.create_task(scene.outage.ready(key)) for key in "abcdef"]
    for _ in range(20):
        await asyncio.sleep(0)
    assert sum(task.done() for task in tasks) == 1
    scene.outage.answered()
    await asyncio.wait_for(asyncio.gather(*tasks), 1)


async def test_a_probing_call_that_is_cancelled_leaves_its_place_to_another() -> None:
    scene = Scene()
    assert scene.fails("a", GONE)
    await scene.outage.ready("a")
    other = asyncio.create_task(scene.outage.ready("b"))
    await asyncio.sleep(0)
    scene.outage.leave("a")
    await asyncio.wait_for(other, 1)
    assert scene.outage.probe_seconds("b") is not None


async def test_patience_ends_for_every_call_that_waits_and_for_later_ones() -> None:
    scene = Scene(patience=5.0)
    assert scene.fails("a", GONE)
    await scene.outage.ready("a")
    others = [asyncio.create_task(scene.outage.ready(key)) for key in "bc"]
    await asyncio.sleep(0)
    scene.now = 6.0
    with pytest.raises(Paused):
        scene.outage.failed("a", GONE)
    with pytest.raises(ProviderDown, match="m has not answered for 6 s"):
        await scene.outage.ready("a")
    ended = await asyncio.gather(*others, scene.outage.ready("d"), return_exceptions=True)
    assert [type(error) for error in ended] == [ProviderDown] * 3


async def test_no_patience_ends_at_once() -> None:
    scene = Scene(patience=0.0)
    assert scene.fails("a", GONE)
    with pytest.raises(ProviderDown):
        await scene.outage.ready("a")


async def test_few_calls_that_were_all_that_was_asked_are_given_up_after_a_short_pause() -> None:
    scene = Scene()
    with pytest.raises(Paused):
        for _ in range(FAILURES):
            scene.outage.failed("a", SICK, witnesses=1)
    scene.now = FEW_SECONDS + 1
    with pytest.raises(ModelError) as caught:
        await scene.outage.ready("a")
    assert not isinstance(caught.value, ProviderDown)
    assert not scene.outage.down


def test_a_provider_that_never_answered_is_waited_for_less_long() -> None:
    scene = Scene(known=False)
    assert scene.fails("a", GONE)
    assert scene.said[0][1]["patience"] == START_SECONDS
