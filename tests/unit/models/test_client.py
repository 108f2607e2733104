"""The client against everything that a server can do to it."""

from __future__ import annotations

import asyncio
import time

import pytest

from sage_spo.errors import ModelError, ModelRefused, TransientModelError
from sage_spo.models.client import ChatClient, QuotaExhausted, reply_text, reply_usage, retry_after
from sage_spo.tests.fakes.faults import Fault, Faults
from sage_spo.tests.fakes.server import FakeServer

PAYLOAD = {"model": "fake", "messages": [{"role": "user", "content": "Grüße"}], "max_tokens": 5}


async def ask(server: FakeServer, key: str | None = None) -> str:
    client = ChatClient(server.url, key)
    try:
        return reply_text(await client.chat(PAYLOAD))
    finally:
        await client.aclose()


async def test_it_sends_the_payload_and_gives_the_parsed_reply() -> None:
    with FakeServer(lambda request: request["messages"][0]["content"].upper()) as server:
        client = ChatClient(server.url + "/")
        reply = await client.chat(PAYLOAD)
        await client.aclose()
        assert server.chats == [PAYLOAD]
    assert reply_text(reply) == "GRÜSSE"
    assert all(count is not None and count > 0 for count in reply_usage(reply))


@pytest.mark.parametrize(
    ("fault", "says", "spent"),
    [
        ("429", "answered 429", False),
        ("500", "answered 500", False),
        ("503", "answered 503", False),
        ("reset", "broke", True),
        ("truncated", "broke", True),
        ("malformed", "something other than a JSON object", True),
        ("html", "text/html", True),
        ("large", "larger than 5 MB", True),
        ("empty", "without choices", True),
    ],
)
async def test_what_may_pass_is_transient_and_says_what_happened(fault: Fault, says: str, spent: bool) -> None:
    with FakeServer(faults=Faults({fault: 1.0}, at_most=1)) as server:
        with pytest.raises(TransientModelError, match=says) as caught:
            await ask(server)
        assert caught.value.spent is spent
        assert await ask(server) == "ok"


async def test_the_servers_wish_to_wait_is_kept() -> None:
    with FakeServer(faults=Faults({"429 wait": 1.0})) as server, pytest.raises(TransientModelError) as caught:
        await ask(server)
    assert caught.value.retry_after == 0.2


async def test_an_empty_account_is_an_error_of_its_own() -> None:
    with FakeServer(faults=Faults({"quota": 1.0})) as server, pytest.raises(QuotaExhausted, match="no credit left"):
        await ask(server)


async def test_no_server_is_transient_and_cost_nothing() -> None:
    with FakeServer() as server:
        pass
    with pytest.raises(TransientModelError, match="cannot connect") as caught:
        await ask(server)
    assert not caught.value.spent


async def test_an_address_with_https_of_a_server_without_it_is_refused_at_once() -> None:
    with FakeServer() as server:
        client = ChatClient(server.url.replace("http://", "https://"))
        with pytest.raises(ModelRefused, match="does not speak TLS: is it http://"):
            await client.chat(PAYLOAD)
        await client.aclose()


async def test_a_refusal_is_an_answer() -> None:
    with FakeServer(faults=Faults({"refusal": 1.0})) as server:
        assert await ask(server) == "I cannot help with that."


@pytest.mark.parametrize("key", ["sk-secret-1234567890", "plain-secret", None])
async def test_a_refused_key_is_permanent_and_never_shown(key: str | None) -> None:
    with FakeServer(key="the right one") as server:
        with pytest.raises(ModelError, match="answered 401") as caught:
            await ask(server, key)
        assert await ask(server, "the right one") == "ok"
    assert not isinstance(caught.value, TransientModelError)
    assert "secret" not in str(caught.value)


async def test_an_unknown_address_is_permanent() -> None:
    with FakeServer() as server:
        client = ChatClient(server.url + "/nowhere")
        with pytest.raises(ModelError, match="check the model's name and base URL"):
            await client.chat(PAYLOAD)
        await client.aclose()


@pytest.mark.parametrize("fault", ["hang", "trickle"])
async def test_a_slow_reply_can_be_cut_at_any_time(fault: Fault) -> None:
    with FakeServer(faults=Faults({fault: 1.0})) as server:
        client = ChatClient(server.url)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.chat(PAYLOAD)
        await client.aclose()
        assert time.monotonic() - started < 2


async def test_connections_are_limited_and_kept() -> None:
    with FakeServer(latency=0.02) as server:
        client = ChatClient(server.url, concurrency=3)
        await asyncio.gather(*(client.chat({**PAYLOAD, "seed": i}) for i in range(12)))
        await client.aclose()
        assert server.peak == 3
        assert len(server.log) == 12


def test_retry_after_is_read_in_all_its_forms() -> None:
    assert retry_after({}) is None
    assert retry_after({"Retry-After": "3"}) == 3.0
    assert retry_after({"Retry-After": "-3"}) == 0.0
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after({"Retry-After": "soon"}) is None


def test_odd_replies_give_text_and_counts_where_there_are_any() -> None:
    def reply(content: object) -> dict[str, object]:
        return {"choices": [{"message": {"content": content}}], "usage": {"prompt_tokens": "3"}}

    assert reply_text(reply([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])) == "ab"
    assert reply_text(reply(None)) == ""
    assert reply_usage(reply("a")) == (None, None)
