"""Users' own apps as targets: a Python callable, a LangChain Runnable or LangGraph graph, an HTTP endpoint.

An app gets the prompt's texts as they are: `{labels}` and other placeholders in them are for the app to fill.

What an app spends is not known here, so its price is unknown, unless the app says so by an attribute `price` (US
dollars per million input and output tokens) or the file in `SAGE_PRICES` names it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Callable
from typing import Any, get_type_hints

from langchain_core.runnables import Runnable

from ..errors import ModelError, ModelSetupError, TransientModelError, nearest
from ..models.client import ChatClient
from ..models.failures import model_error
from ..models.names import web_address
from ..models.prices import price
from ..seeding import digest
from .app_code import code_of
from .example import Example
from .prompt import Prompt
from .target import Output, Request, Usage
from .targets_chat import bounded
from .task import Task


class AppTarget:
    """What the apps have in common: a name, a price where one is known, bounds, and a fingerprint of what they see.

    `identity` tells apps of the same name apart (see `app_code`).
    """

    concurrency: int | None = 8

    def __init__(self, name: str, app: Any, task: Task, identity: str | None = None) -> None:
        self.name = name
        self._identity = identity or name
        self.price: tuple[float, float] | None = getattr(app, "price", None) or price(name)
        self.stochastic = task.output.temperature > 0
        self._task = task

    def request(self, prompt: Prompt, example: Example) -> Request:
        seen = {**_prompt(prompt), "input": example.input, "metadata": dict(example.metadata)}
        text = json.dumps(seen, ensure_ascii=False, sort_keys=True, default=str)
        return bounded(digest(self._identity, text), [text], self._task.output.max_tokens)

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        started = time.monotonic()
        try:
            text = await self._answer(prompt, example)
        except Exception as error:  # a user's app may fail in any way; that costs this answer, not the run
            raise model_error(error, self.name) from error
        return Output(text, Usage(), time.monotonic() - started)

    async def aclose(self) -> None:
        """Nothing to close."""

    async def _answer(self, prompt: Prompt, example: Example) -> str:
        raise NotImplementedError


class CallableTarget(AppTarget):
    """A Python function, asynchronous or not (then it runs in a thread).

    Called as `function(messages, example)` with the chat messages, or, where its first parameter is named
    `prompt`, as `function(prompt, example)` with the `Prompt`. It returns the answer's text.
    """

    def __init__(self, function: Callable[..., Any], task: Task, name: str | None = None) -> None:
        qualified = f"python:{_qualified(function)}"
        super().__init__(name or qualified, function, task, f"{qualified} {code_of(function)}")
        self._function = function
        self._wants_prompt = _first_parameter(function) == "prompt"
        call = getattr(function, "__call__", function)  # noqa: B004  an object's own __call__ may be asynchronous
        self._asynchronous = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)

    async def _answer(self, prompt: Prompt, example: Example) -> str:
        first = prompt if self._wants_prompt else prompt.messages(example, self._task.labels)
        if self._asynchronous:
            answer = await self._function(first, example)
        else:
            answer = await asyncio.to_thread(self._function, first, example)
        if inspect.isawaitable(answer):
            answer = await answer
        if not isinstance(answer, str):
            raise ModelError(f"{self.name} returned {type(answer).__name__}; a target returns the answer as text")
        return answer


class RunnableTarget(AppTarget):
    """A LangChain Runnable or LangGraph graph that takes its prompts by name.

    Every component of the prompt, and `demos` (a list of `{"input", "output"}`), is passed as
    `config["configurable"][name]`, and to a graph with a context schema as the context's field of that name. A
    graph whose state has `messages` gets the input as a user message; anything else gets `{"input": …}` with the
    example's metadata. The answer is the reply's text: a string, a message, the last of `messages`, or `output`.
    """

    def __init__(self, runnable: Runnable[Any, Any], task: Task, name: str | None = None) -> None:
        named = name or f"runnable:{runnable.get_name()}"
        super().__init__(named, runnable, task, f"{named} {code_of(runnable)}")
        self._runnable: Any = runnable
        schema = getattr(runnable, "context_schema", None)
        self._context = set(get_type_hints(schema)) if schema is not None else None
        components = set(task.seed_prompt.components)
        if self._context is not None and not components & self._context:
            raise ModelSetupError(
                f"{self.name}: its context has no field for the prompt's {', '.join(sorted(components))}; "
                f"it has {', '.join(sorted(self._context)) or 'none'}.{nearest(min(components), self._context)}"
            )
        channels = getattr(runnable, "channels", None)
        self._messages = isinstance(channels, dict) and "messages" in channels

    async def _answer(self, prompt: Prompt, example: Example) -> str:
        named = {**prompt.components, "demos": _demos(prompt)}
        given: Any = {**example.metadata, "input": example.input}
        if self._messages:
            given = {"messages": [{"role": "user", "content": example.input}]}
        options: dict[str, Any] = {}
        if self._context is not None:
            options["context"] = {name: value for name, value in named.items() if name in self._context}
        return _text_of(await self._runnable.ainvoke(given, {"configurable": named}, **options), self.name)


class HttpTarget(AppTarget):
    """An endpoint that takes POST `{"prompt": {name: text}, "demos": […], "input", "metadata"}` as JSON and replies
    `{"output": text}`."""

    concurrency: int | None = None

    def __init__(self, url: str, task: Task) -> None:
        parts = web_address(url)
        if parts is None or parts.username or parts.password:
            raise ModelSetupError("an HTTP target is named by its address, http://host:port/path, without a password")
        super().__init__(url, None, task)
        self._client = ChatClient(url, concurrency=0)
        self.rate_limit = self._client.rate_limit

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _answer(self, prompt: Prompt, example: Example) -> str:
        body = {**_prompt(prompt), "input": example.input, "metadata": dict(example.metadata)}
        reply = await self._client.post("", body)
        if not isinstance(reply.get("output"), str):
            raise TransientModelError(f"{self.name} sent no text under 'output'", spent=True)
        return reply["output"]


def _prompt(prompt: Prompt) -> dict[str, Any]:
    return {"prompt": dict(prompt.components), "demos": _demos(prompt)}


def _demos(prompt: Prompt) -> list[dict[str, str]]:
    return [{"input": demo.input, "output": demo.output} for demo in prompt.demos]


def _text_of(reply: Any, name: str) -> str:
    if isinstance(reply, dict):
        if reply.get("messages"):
            return _text_of(reply["messages"][-1], name)
        if "output" in reply:
            return _text_of(reply["output"], name)
    if isinstance(reply, str):
        return reply
    text = getattr(reply, "text", None)  # a LangChain message
    if isinstance(text, str):
        return str(text)
    raise ModelError(f"{name} returned {type(reply).__name__}; expected text, a message, `messages` or `output`")


def _qualified(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"


def _first_parameter(function: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(function).parameters), None)
    except (TypeError, ValueError):  # built-in callables have no signature
        return None
