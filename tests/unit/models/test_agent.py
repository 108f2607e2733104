"""Agents' chat models against the scripted server."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from sage_spo.errors import ModelError, ModelSetupError, TransientModelError
from sage_spo.models.agent import agent_model
from sage_spo.models.client import QuotaExhausted
from sage_spo.tests.fakes.faults import Fault, Faults
from sage_spo.tests.fakes.server import FakeServer

MESSAGES = [{"role": "system", "content": "You invent."}, {"role": "user", "content": "An idea?"}]
JSON = '{"name": "kite", "size": 3}'


class Idea(BaseModel):
    """What is asked for here."""

    name: str
    size: int


async def ask(server: FakeServer, model: str = "openai:fake", schema: type[BaseModel] | None = Idea) -> str:
    agent = agent_model(model, server.url)
    try:
        return (await agent.complete(MESSAGES, schema=schema, max_tokens=50, temperature=0.3)).text
    finally:
        await agent.aclose()


async def test_a_schema_is_asked_for_as_response_format_and_the_raw_text_comes_back() -> None:
    with FakeServer(lambda request: JSON) as server:
        agent = agent_model("openai:fake", server.url)
        reply = await agent.complete(MESSAGES, schema=Idea, max_tokens=50, temperature=0.3)
        await agent.aclose()
        [body] = server.chats
    assert Idea.model_validate_json(reply.text) == Idea(name="kite", size=3)
    assert reply.input_tokens
    assert reply.output_tokens
    assert reply.latency > 0
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name", "size"]
    assert body["messages"] == MESSAGES
    assert (body["max_tokens"], body["temperature"]) == (50, 0.3)
    assert "max_completion_tokens" not in body


async def test_without_a_schema_nothing_is_said_about_the_form() -> None:
    with FakeServer(lambda request: "prose") as server:
        assert await ask(server, schema=None) == "prose"
        assert "response_format" not in server.chats[0]


async def test_a_malformed_reply_comes_back_as_it_is() -> None:
    with FakeServer(lambda request: '{"name": "kite", ') as server:
        assert await ask(server) == '{"name": "kite", '


async def test_reasoning_models_are_asked_as_they_want() -> None:
    with FakeServer(lambda request: JSON) as server:
        await ask(server, "openai:gpt-5-mini")
        [body] = server.chats
    assert body["max_completion_tokens"] == 50
    assert not {"temperature", "max_tokens"} & set(body)
    assert agent_model("openai:gpt-5-mini", "http://127.0.0.1:1/v1").output_limit(50) > 1000
    assert agent_model("openai:fake", "http://127.0.0.1:1/v1").output_limit(50) == 50


@pytest.mark.parametrize("fault", ["429 wait", "500", "503", "reset", "truncated"])
async def test_what_may_pass_is_transient_and_tried_once_only(fault: Fault) -> None:
    with FakeServer(faults=Faults({fault: 1.0})) as server:
        with pytest.raises(TransientModelError) as caught:
            await ask(server)
        assert len(server.log) == 1
    assert caught.value.retry_after == (0.2 if fault == "429 wait" else None)


@pytest.mark.parametrize("fault", ["malformed", "html", "empty"])
async def test_a_broken_reply_may_pass(fault: Fault) -> None:
    with FakeServer(faults=Faults({fault: 1.0})) as server, pytest.raises(TransientModelError):
        await ask(server)


async def test_an_empty_account_is_an_error_of_its_own() -> None:
    with FakeServer(faults=Faults({"quota": 1.0})) as server, pytest.raises(QuotaExhausted):
        await ask(server)


async def test_where_nobody_listens_nothing_was_spent_and_the_reason_is_said() -> None:
    with FakeServer() as server:
        server.close()
        with pytest.raises(TransientModelError, match=r"cannot connect to openai:fake.*: connection refused") as caught:
            await ask(server)
    assert caught.value.sign == "unreachable"
    assert not caught.value.spent


async def test_no_error_shows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "my-very-own-secret")
    with FakeServer(key="another") as server, pytest.raises(ModelError) as caught:
        await ask(server)
    assert "401" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_cancelling_leaves_no_call_under_way() -> None:
    with FakeServer(faults=Faults({"hang": 1.0})) as server:
        task = asyncio.create_task(ask(server))
        await asyncio.to_thread(server.wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_model_that_cannot_be_used_is_refused_when_it_is_named() -> None:
    with pytest.raises(ModelSetupError, match="OPENAI_API_KEY"):
        agent_model("openai:gpt-4.1")
