"""Targets: what is sent, what comes back, and what a reservation is told. (The embedded model: integration tests.)"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime

from sage_spo.errors import ModelError, ModelSetupError, TransientModelError
from sage_spo.models.parameters import REASONING_TOKENS
from sage_spo.tasks.example import Example
from sage_spo.tasks.metrics import make_metric
from sage_spo.tasks.prompt import Demo, Prompt
from sage_spo.tasks.target import Target
from sage_spo.tasks.targets import make_target
from sage_spo.tasks.targets_apps import CallableTarget, HttpTarget, RunnableTarget
from sage_spo.tasks.targets_chat import ChatTarget
from sage_spo.tasks.task import OutputOptions, Task
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.faults import Faults
from sage_spo.tests.fakes.loopback import Loopback
from sage_spo.tests.fakes.server import FakeServer

EXAMPLE = Example("a", "Grüße aus Köln", "German", {"register": "card"})
PROMPT = Prompt(
    components={"system": "Name the language: {labels}. A {register}."},
    demos=(Demo(example_id="d", input="Hello", output="English"),),
)


def task(**output: Any) -> Task:
    return Task(
        name="languages",
        seed_prompt=PROMPT,
        search=(EXAMPLE,),
        holdout=(),
        test=(),
        metric=make_metric("exact"),
        labels=("German", "English"),
        output=OutputOptions(**output),
    )


async def answer(target: Target, prompt: Prompt = PROMPT, repeat: int = 0) -> str:
    try:
        return (await target(prompt, EXAMPLE, repeat)).text
    finally:
        await target.aclose()


# Chat models


async def test_a_chat_target_sends_the_prompts_messages_and_always_a_limit() -> None:
    with FakeServer(rule_for([{"input": EXAMPLE.input, "expected": "German"}], base=1.0)) as server:
        target = make_target("openai:fake", task(max_tokens=7), server.url)
        output = await target(PROMPT, EXAMPLE, 3)
        await target.aclose()
        [body] = server.chats
    assert (output.text, output.decoding) == ("German", "text")
    assert output.usage.input_tokens
    assert output.latency > 0
    assert body == {
        "model": "fake",
        "messages": [
            {"role": "system", "content": "Name the language: German, English. A card."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "English"},
            {"role": "user", "content": "Grüße aus Köln"},
        ],
        "max_tokens": 7,
        "temperature": 0.0,
    }


async def test_repeats_have_seeds_of_their_own_where_sampling_is_on() -> None:
    with FakeServer() as server:
        for repeat in (0, 1):
            await answer(make_target("openai:fake", task(temperature=0.7), server.url), repeat=repeat)
        assert [body["seed"] for body in server.chats] == [0, 1]


def test_the_bounds_hold_for_any_tokeniser() -> None:
    request = make_target("openai:fake", task(max_tokens=7), "http://127.0.0.1:1/v1").request(PROMPT, EXAMPLE)
    text = "".join(message["content"] for message in PROMPT.messages(EXAMPLE, ("German", "English")))
    assert request.max_input_tokens >= len(text.encode()) + 4 * 5
    assert request.max_output_tokens == 7
    thinking = make_target("openai:o3", task(max_tokens=7), "http://127.0.0.1:1/v1").request(PROMPT, EXAMPLE)
    assert thinking.max_output_tokens == 7 + REASONING_TOKENS


def test_a_fingerprint_is_the_same_for_the_same_question_and_differs_with_all_that_matters() -> None:
    url = "http://127.0.0.1:1/v1"
    base = make_target("openai:fake", task(), url).request(PROMPT, EXAMPLE).fingerprint
    assert make_target("openai:fake", task(), url).request(PROMPT, replace(EXAMPLE, id="b")).fingerprint == base
    others = [
        make_target("openai:other", task(), url).request(PROMPT, EXAMPLE),
        make_target("openai:fake", task(), "http://127.0.0.1:2/v1").request(PROMPT, EXAMPLE),
        make_target("openai:fake", task(max_tokens=5), url).request(PROMPT, EXAMPLE),
        make_target("openai:fake", task(temperature=0.5), url).request(PROMPT, EXAMPLE),
        make_target("openai:fake", task(), url).request(PROMPT, replace(EXAMPLE, input="Hallo")),
        make_target("openai:fake", task(), url).request(PROMPT.edited(demos=(), origin="test"), EXAMPLE),
    ]
    assert len({base, *(request.fingerprint for request in others)}) == 7


async def test_a_target_never_retries() -> None:
    with FakeServer(faults=Faults({"503": 1.0})) as server:
        with pytest.raises(TransientModelError):
            await answer(make_target("openai:fake", task(), server.url))
        assert len(server.log) == 1


def test_models_that_sample_or_think_are_stochastic() -> None:
    url = "http://127.0.0.1:1/v1"
    assert not make_target("openai:fake", task(), url).stochastic
    assert make_target("openai:fake", task(temperature=0.5), url).stochastic
    assert make_target("openai:gpt-5-mini", task(), url).stochastic


# Python callables


def app(messages: list[dict[str, str]], example: Example) -> str:
    return f"{messages[-1]['content']} {example.metadata['register']} {threading.current_thread().name}"


async def slow_app(messages: list[dict[str, str]], example: Example) -> str:
    await asyncio.sleep(0)
    return messages[0]["content"]


def prompt_app(prompt: Prompt, example: Example) -> str:
    return f"{prompt.system} {len(prompt.demos)}"


class Bot:
    """An app that keeps something between calls, and says what it costs."""

    price = (1.0, 2.0)

    async def __call__(self, messages: list[dict[str, str]], example: Example) -> str:
        return "bot"


async def test_a_synchronous_function_runs_in_a_thread_and_an_asynchronous_one_does_not() -> None:
    assert (await answer(make_target(app, task()))).startswith("Grüße aus Köln card ")
    assert threading.main_thread().name not in await answer(make_target(app, task()))
    assert (await answer(make_target(slow_app, task()))) == "Name the language: German, English. A card."


async def test_a_function_may_ask_for_the_prompt_itself() -> None:
    assert await answer(make_target(prompt_app, task())) == "Name the language: {labels}. A {register}. 1"


async def test_an_object_with_a_price_is_a_target_too() -> None:
    target = make_target(Bot(), task())
    assert target.price == (1.0, 2.0)
    assert await answer(target) == "bot"
    assert make_target(app, task()).price is None


async def test_a_function_that_fails_costs_one_answer() -> None:
    def failing(messages: list[dict[str, str]], example: Example) -> str:
        raise KeyError("field")

    def busy(messages: list[dict[str, str]], example: Example) -> str:
        raise TimeoutError("upstream")

    with pytest.raises(ModelError, match="KeyError: 'field'"):
        await answer(make_target(failing, task()))
    with pytest.raises(TransientModelError, match="upstream"):
        await answer(make_target(busy, task()))
    with pytest.raises(ModelError, match="returned int"):
        await answer(make_target(lambda messages, example: 3, task()))


async def test_a_function_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_app.py").write_text("def reply(messages, example):\n    return 'from a file'\n")
    monkeypatch.chdir(tmp_path)
    target = make_target("python:my_app:reply", task())
    assert target.name == "python:my_app:reply"
    assert await answer(target) == "from a file"


def test_a_function_whose_file_was_changed_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fingerprints = []
    for text in ("'a'", "'b'", "'b'"):
        (tmp_path / "my_app.py").write_text(f"def reply(messages, example):\n    return {text}\n")
        target = make_target("python:my_app:reply", task())
        fingerprints.append(target.request(task().seed_prompt, task().search[0]).fingerprint)
    assert fingerprints[0] != fingerprints[1] == fingerprints[2]


# LangChain and LangGraph


@dataclass
class Context:
    """What the graph below takes at run time."""

    system: str = ""
    tone: str = ""


async def echo(state: MessagesState, runtime: Runtime[Context]) -> dict[str, Any]:
    return {
        "messages": [{"role": "assistant", "content": f"{runtime.context.system} | {state['messages'][-1].content}"}]
    }


def graph(context: type | None = Context) -> Any:
    builder: Any = StateGraph(MessagesState, context_schema=context)
    builder.add_node("echo", echo)
    builder.add_edge(START, "echo")
    builder.add_edge("echo", END)
    return builder.compile()


async def test_a_graph_gets_its_prompts_by_the_names_of_its_context() -> None:
    found = await answer(make_target(graph(), task()))
    assert found == "Name the language: {labels}. A {register}. | Grüße aus Köln"


def test_a_graph_without_a_place_for_the_prompt_is_refused() -> None:
    @dataclass
    class Other:
        systm: str = ""

    with pytest.raises(ModelSetupError, match="Did you mean 'systm'"):
        make_target(graph(Other), task())


async def test_a_runnable_gets_them_in_its_configuration() -> None:
    def read(given: dict[str, Any], config: RunnableConfig) -> dict[str, Any]:
        named = config.get("configurable", {})
        return {"output": f"{named['system']} {len(named['demos'])} {given['input']} {given['register']}"}

    target = make_target(RunnableLambda(read), task())
    assert isinstance(target, RunnableTarget)
    assert await answer(target) == "Name the language: {labels}. A {register}. 1 Grüße aus Köln card"


async def test_a_chains_message_is_read() -> None:
    chain = ChatPromptTemplate([("user", "{input}")]) | FakeListChatModel(responses=["from a chain"])
    assert await answer(make_target(chain, task())) == "from a chain"


async def test_a_runnable_that_returns_something_else_is_told_what_is_expected() -> None:
    with pytest.raises(ModelError, match="expected text, a message"):
        await answer(make_target(RunnableLambda(lambda given: 3), task()))


# HTTP


class Endpoint(Loopback):
    """A user's own service."""

    path = "/answer"

    def __init__(self, respond: Callable[[dict[str, Any]], web.Response]) -> None:
        self.respond = respond

    def application(self) -> web.Application:
        async def handle(request: web.Request) -> web.Response:
            return self.respond(await request.json())

        app = web.Application()
        app.router.add_post(self.path, handle)
        return app


async def test_an_endpoint_gets_prompt_input_and_metadata() -> None:
    with Endpoint(lambda body: web.json_response({"output": json.dumps(body, sort_keys=True)})) as endpoint:
        target = make_target(endpoint.url, task())
        assert isinstance(target, HttpTarget)
        sent = json.loads(await answer(target))
    assert sent == {
        "prompt": {"system": "Name the language: {labels}. A {register}."},
        "demos": [{"input": "Hello", "output": "English"}],
        "input": "Grüße aus Köln",
        "metadata": {"register": "card"},
    }


async def test_an_endpoints_failures_are_told_apart() -> None:
    async def call(respond: Callable[[dict[str, Any]], web.Response]) -> str:
        with Endpoint(respond) as endpoint:
            return await answer(make_target(endpoint.url, task()))

    with pytest.raises(TransientModelError, match="'output'"):
        await call(lambda body: web.json_response({"outptu": "x"}))
    with pytest.raises(ModelError, match="no such field") as caught:
        await call(lambda body: web.Response(status=400, text="no such field"))
    assert not isinstance(caught.value, TransientModelError)


# Names


def test_every_kind_of_target_is_made_from_what_names_it() -> None:
    assert isinstance(make_target("openai:fake", task(), "http://127.0.0.1:1/v1"), ChatTarget)
    assert isinstance(make_target(app, task()), CallableTarget)
    made = make_target(app, task())
    assert make_target(made, task()) is made
    assert make_target("local", task()).price == (0.0, 0.0)
    with pytest.raises(ModelSetupError, match="cannot be a target"):
        make_target(3, task())  # type: ignore[arg-type]
    with pytest.raises(ModelSetupError, match="OPENAI_API_KEY"):
        make_target("openai:gpt-4.1", task())
    with pytest.raises(ModelSetupError, match="without a password"):
        make_target("http://user:secret@host/answer", task())


def test_making_a_target_starts_nothing() -> None:
    started = time.monotonic()
    before = threading.active_count()
    make_target("local", task(choices=("German", "English")))
    assert time.monotonic() - started < 1
    assert threading.active_count() == before
