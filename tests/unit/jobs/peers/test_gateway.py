"""What a peer may ask of the gateway, what it is told, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from sage_spo.errors import ModelRefused
from sage_spo.evaluation.budget import Budget
from sage_spo.jobs.measuring import measuring
from sage_spo.jobs.peers import gateway
from sage_spo.jobs.peers.agent import PeerAgent
from sage_spo.jobs.peers.gateway import Gateway
from sage_spo.jobs.peers.prompt import as_prompt, lost, seed_text
from sage_spo.models.agent import agent_model
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer

TASK = make_task((12, 6, 9))
BETTER = "Answer with the colour of the thing: red, green, blue."


class Client:
    """A peer that talks to the gateway, and the target that is asked behind it."""

    def __init__(self, gateway: Gateway, session: aiohttp.ClientSession, server: FakeServer) -> None:
        self.gateway, self.session, self.server = gateway, session, server
        self.asked: list[tuple[str, str]] = []
        self.token = gateway.token

    async def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.post(self.gateway.url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def target(self, system: str, text: str) -> tuple[int, dict[str, Any]]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        return await self.post("/v1/chat/completions", {"model": "target", "messages": messages})

    async def agent(self, text: str, **options: Any) -> tuple[int, dict[str, Any]]:
        messages = [{"role": "user", "content": text}]
        return await self.post("/v1/chat/completions", {"model": "agent", "messages": messages, **options})

    async def measure(self, prompt: str, inputs: list[Any]) -> tuple[int, dict[str, Any]]:
        return await self.post("/measure", {"prompt": prompt, "inputs": inputs})

    @property
    def calls(self) -> float:
        return self.gateway.evaluator.calls.ledger.spent("target_calls")


@asynccontextmanager
async def served(budget: str = "target_calls=100", **server: Any) -> AsyncIterator[Client]:
    """The gateway of a run of the colour task, and a peer."""
    asked: list[tuple[str, str]] = []

    def target(messages: list[Message], example: Example) -> str:
        asked.append((messages[0]["content"], example.id))
        return answer(messages, example)

    with FakeServer(**server) as running:
        model = agent_model("openai:fake", running.url)
        async with measuring(TASK, target, Budget.parse(budget), strategy="peer:gepa", settings={}) as opened:
            gateway = Gateway(TASK, opened.evaluator, PeerAgent(model, opened.evaluator.calls), "peer gepa")
            async with gateway.serving(), aiohttp.ClientSession() as session:
                client = Client(gateway, session, running)
                client.asked = asked
                yield client
        await model.aclose()


async def test_a_prompt_and_an_input_are_measured_as_everywhere_by_the_tasks_own_metric() -> None:
    async with served() as client:
        example = TASK.holdout[2]
        status, reply = await client.target(BETTER, example.input)
        assert status == 200
        said = reply["choices"][0]["message"]["content"]
        expected = TASK.metric(said, example)
        assert (reply["sage_score"], reply["sage_feedback"]) == (expected.value, expected.feedback)
        [prompt] = client.gateway.candidates.values()
        [record] = client.gateway.evaluator.records(prompt.id)
        assert (record.example_id, record.split, record.output) == (example.id, "holdout", said)
        # The labels became the placeholder, and are filled in again for the target.
        assert client.asked == [(BETTER, example.id)]
        assert prompt.system == "Answer with the colour of the thing: {labels}."


async def test_the_same_request_is_free_and_the_seed_is_known_by_its_text() -> None:
    async with served() as client:
        inputs = [e.input for e in TASK.search]
        first = await client.measure(seed_text(TASK), inputs)
        again = await client.measure(seed_text(TASK) + "\n", inputs)
        one = await client.target(seed_text(TASK), inputs[3])
        assert first == again
        assert one[1]["sage_score"] == first[1]["outputs"][3]["score"]
        assert client.calls == len(client.asked) == len(inputs)
        assert {p.id for p in client.gateway.candidates.values()} == {TASK.seed_prompt.id}


async def test_what_does_not_fit_the_budget_is_not_begun() -> None:
    async with served("target_calls=10") as client:
        assert (await client.measure(BETTER, [e.input for e in TASK.holdout]))[0] == 200
        status, reply = await client.measure(BETTER, [e.input for e in TASK.search])
        assert (status, reply["error"]["code"]) == (402, "budget_spent")
        assert client.calls == len(client.asked) == 6
        assert "no room for 12 more target calls" in client.gateway.spent
        # What is known stays free.
        assert (await client.measure(BETTER, [e.input for e in TASK.holdout]))[0] == 200


async def test_no_other_input_is_answered_and_the_test_split_least_of_all() -> None:
    async with served() as client:
        for text in (TASK.test[0].input, "thing number 1 of red", ""):
            status, reply = await client.target(BETTER, text)
            assert status == 400
            assert "no example of search or holdout has this input" in reply["error"]["message"]
        assert not client.asked


async def test_without_the_token_nothing_is_answered() -> None:
    async with served() as client:
        client.token = "guessed"
        for status, _ in (await client.target(BETTER, TASK.search[0].input), await client.agent("hello")):
            assert status == 401
        assert not client.asked
        assert not client.server.log


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"model": "other", "messages": [{"role": "user", "content": "x"}]},
        {"model": "target", "messages": [{"role": "user", "content": "x"}]},
        {"model": "agent", "messages": [{"role": "tool", "content": "x"}]},
        {"model": "agent", "messages": [{"role": "user", "content": ["x"]}]},
        {"model": "target", "messages": [{"role": "system", "content": "x" * 24_001}, {"role": "user", "content": ""}]},
    ],
)
async def test_a_request_of_another_form_is_refused_in_words(body: Any) -> None:
    async with served() as client:
        status, reply = await client.post("/v1/chat/completions", body)
        assert (status, reply["error"]["code"]) == (400, "bad_request")
        assert reply["error"]["message"]


async def test_the_agent_is_asked_as_it_is_and_every_draw_counts() -> None:
    async with served("target_calls=9,agent_calls=2", answer=lambda request: "well\x1b[2J then") as client:
        status, reply = await client.agent("Better?", temperature=0.3, max_tokens=99_999)
        assert status == 200
        assert reply["choices"][0]["message"]["content"] == "well then"
        sent = client.server.chats[0]
        assert sent["messages"] == [{"role": "user", "content": "Better?"}]
        assert (sent["temperature"], sent["max_tokens"]) == (0.3, 8192)
        assert (await client.agent("Better?", temperature=0.3))[0] == 200
        assert (await client.agent("Better?", temperature=0.3))[0] == 402
        assert len(client.server.chats) == 2
        assert client.gateway.evaluator.calls.ledger.spent("agent_calls") == 2


async def test_a_peer_that_goes_round_in_circles_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "MOST_IN_VAIN", 3)
    async with served() as client:
        for _ in range(3):
            assert (await client.agent("again"))[0] == 200
            assert (await client.target(BETTER, TASK.search[0].input))[0] == 200
        # Only the first of these prompts was new.
        assert (await client.agent("again"))[0] == 200
        assert (await client.agent("again"))[0] == 402
        assert client.gateway.spent == "3 agent calls in a row led to no prompt that is new"


async def test_what_no_peer_can_do_anything_about_ends_the_run() -> None:
    async with served(key="another") as client:
        status, reply = await client.agent("hello")
        assert (status, reply["error"]["code"]) == (503, "run_ended")
        with pytest.raises(ModelRefused):
            await asyncio.wait_for(client.gateway.failure, 1)


async def test_an_input_that_stands_there_twice_is_sent_once() -> None:
    twin = replace(TASK.search[0], id="twin", expected="blue")
    task = replace(TASK, holdout=(twin, *TASK.holdout))
    async with measuring(task, answer, Budget(target_calls=9), strategy="peer:gepa", settings={}) as opened:
        agent = PeerAgent(agent_model("openai:fake", "http://127.0.0.1:9/v1"), opened.evaluator.calls)
        gateway = Gateway(task, opened.evaluator, agent, "peer gepa")
        assert [e.id for e in gateway.rows("search")] == [e.id for e in TASK.search]
        assert [e.id for e in gateway.rows("holdout")] == [e.id for e in TASK.holdout]
        gateway.failure.cancel()


def test_a_text_that_lost_what_must_stay_is_mended_as_those_of_agents_are() -> None:
    task = replace(make_task(seed_prompt="Name the colour: {labels}. Shelf {shelf}. Be kind."), locked=("Be kind.",))
    found = as_prompt(task, "What colour?", "peer gepa")
    assert not task.violations(found)
    assert found.system.startswith("What colour?")
    # Whoever names every label has lost none, in whatever order.
    named = as_prompt(TASK, "Say blue, green or red.", "peer gepa")
    assert named.system == "Say blue, green or red."
    assert not lost(TASK, named)
