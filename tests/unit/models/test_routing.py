"""Which process takes which request."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from sage_spo.models.embedded_routing import REMEMBERED, Router

LONG, OTHER = ["x" * 3000], ["y" * 3000]


def test_a_lone_prompt_stays_where_it_was_read() -> None:
    router = Router(2)
    for _ in range(5):
        with router.place(LONG, "input", 1) as chosen:
            assert chosen == 0


def test_two_prompts_at_once_go_to_a_process_each_and_stay_there() -> None:
    router = Router(2)
    with router.place(LONG, "input", 1) as first, router.place(OTHER, "input", 1) as second:
        assert (first, second) == (0, 1)
    with router.place(OTHER, "input", 1) as again:
        assert again == 1


def test_a_long_queue_is_worth_reading_the_prompt_twice() -> None:
    router = Router(2)
    with ExitStack() as stack:
        chosen = [stack.enter_context(router.place(LONG, "i" * 300, 1)) for _ in range(24)]
    assert set(chosen) == {0, 1}


def test_a_request_that_fails_is_no_longer_in_the_way() -> None:
    router = Router(2)
    with pytest.raises(ValueError, match="broken"), router.place(LONG, "input", 1000):
        raise ValueError("broken")
    with router.place(LONG, "input", 1) as chosen:
        assert chosen == 0


def test_what_was_read_long_ago_is_forgotten() -> None:
    router = Router(1)
    for number in range(REMEMBERED + 1):
        with router.place([f"{number}"], "input", 1):
            pass
    assert len(router._read[0]) == REMEMBERED
