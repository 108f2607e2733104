"""The targets: what is called with a prompt and an example, each under the `Target` protocol."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelError, ModelSetupError
from ..models.client import ChatClient, reply_text, reply_usage
from ..models.embedded import EmbeddedModel, embedded
from ..models.names import ModelName, is_reasoning, parse_model
from ..models.prices import price
from ..models.scoring import LabelTokens, choice_grammar, label_scores, label_tokens, scoring_request
from ..seeding import digest
from .example import Example
from .prompt import Message, Prompt
from .target import Output, Request, Target, Usage
from .task import Task

GRAMMAR_TOKENS = 12
"""Least output limit where choices are spelled token by token."""


def make_target(target: Any, task: Task, base_url: str | None = None) -> Target:
    """The target of that name, or around a Python callable. Raises ModelSetupError where it cannot be used."""
    if isinstance(target, str):
        name = parse_model(target, base_url)
        if name.provider == "local":
            return EmbeddedTarget(name, task)
        if name.provider == "openai":
            return ChatTarget(name, task)
        raise ModelSetupError(f"target: {target} cannot be a target yet; use openai:MODEL with a base URL, or local")
    if callable(target):
        return CallableTarget(target, task)
    return target


def bounds(messages: list[Message], max_output_tokens: int, fingerprint: str) -> Request:
    """The request with its upper bounds: a token is at least one byte of UTF-8."""
    return Request(fingerprint, sum(len(m["content"].encode()) + 16 for m in messages) + 16, max_output_tokens)


class ChatTarget:
    """A chat model behind an OpenAI-compatible endpoint."""

    concurrency = 20

    def __init__(self, name: ModelName, task: Task) -> None:
        self.name = str(name)
        self.price = price(name)
        self.stochastic = task.output.temperature > 0 and not is_reasoning(name.model)
        self._task = task
        self._client = ChatClient(name.base_url or "", name.api_key(), concurrency=self.concurrency * 2)
        limit = "max_completion_tokens" if is_reasoning(name.model) else "max_tokens"
        self._options: dict[str, Any] = {"model": name.model, limit: task.output.max_tokens}
        if not is_reasoning(name.model):
            self._options["temperature"] = task.output.temperature

    def request(self, prompt: Prompt, example: Example) -> Request:
        messages = prompt.messages(example, self._task.labels)
        return bounds(messages, self._task.output.max_tokens, digest(self.name, sorted(self._options.items()), messages))

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        messages = prompt.messages(example, self._task.labels)
        seed = {"seed": repeat} if self.stochastic else {}
        started = time.monotonic()
        reply = await self._client.chat({**self._options, **seed, "messages": messages})
        return Output(reply_text(reply), Usage(*reply_usage(reply)), time.monotonic() - started)

    async def aclose(self) -> None:
        await self._client.aclose()


class EmbeddedTarget:
    """The embedded model: labels are scored where the task has choices that differ in their first token."""

    price = (0.0, 0.0)
    concurrency = 32
    """All of these wait at the model's own queue, which keeps a prompt's requests together."""

    def __init__(self, name: ModelName, task: Task) -> None:
        self.name = str(name)
        self.stochastic = task.output.temperature > 0 and not task.output.choices
        self._task = task
        self._weights = Path(name.model) if name.model else None
        self._opening: asyncio.Task[tuple[EmbeddedModel, LabelTokens | None]] | None = None

    def request(self, prompt: Prompt, example: Example) -> Request:
        messages = prompt.messages(example, self._task.labels)
        output = self._task.output
        options = (output.choices, output.max_tokens, output.temperature)
        return bounds(messages, max(output.max_tokens, GRAMMAR_TOKENS), digest(self.name, options, messages))

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        model, tokens = await self._open()
        messages = prompt.messages(example, self._task.labels)
        output = self._task.output
        started = time.monotonic()
        if tokens is not None:
            reply = await model.chat({"messages": messages, **scoring_request()})
            scores = label_scores(reply, tokens)
            text, decoding = max(scores, key=lambda label: scores[label]), "label scoring"
        else:
            payload: dict[str, Any] = {"messages": messages, "max_tokens": output.max_tokens, "seed": repeat}
            payload["temperature"] = output.temperature
            if output.choices:
                payload |= {"grammar": choice_grammar(output.choices), "temperature": 0}
                payload["max_tokens"] = max(output.max_tokens, GRAMMAR_TOKENS)
            reply = await model.chat(payload)
            text, scores, decoding = reply_text(reply), None, "grammar" if output.choices else "text"
        return Output(text, Usage(*reply_usage(reply)), time.monotonic() - started, scores, decoding)

    async def aclose(self) -> None:
        if self._opening is not None:
            model, _ = await self._opening
            await model.aclose()

    async def _open(self) -> tuple[EmbeddedModel, LabelTokens | None]:
        if self._opening is None:
            self._opening = asyncio.create_task(self._start())
        return await asyncio.shield(self._opening)

    async def _start(self) -> tuple[EmbeddedModel, LabelTokens | None]:
        model = await embedded(self._weights)
        choices = self._task.output.choices
        return model, await label_tokens(model, choices) if len(choices) > 1 else None


class CallableTarget:
    """A Python function `(messages, example) -> str`, synchronous (run in a thread) or not."""

    price = (0.0, 0.0)
    concurrency = 8

    def __init__(self, function: Callable[..., Any], task: Task) -> None:
        self.name = f"python:{getattr(function, '__name__', type(function).__name__)}"
        self.stochastic = task.output.temperature > 0
        self._function = function
        self._task = task

    def request(self, prompt: Prompt, example: Example) -> Request:
        messages = prompt.messages(example, self._task.labels)
        return bounds(messages, self._task.output.max_tokens, digest(self.name, messages, example.id))

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        messages = prompt.messages(example, self._task.labels)
        started = time.monotonic()
        try:
            if inspect.iscoroutinefunction(self._function):
                text = await self._function(messages, example)
            else:
                text = await asyncio.to_thread(self._function, messages, example)
        except ModelError:
            raise
        except Exception as error:  # a user's function may fail in any way; that costs this answer, not the run
            raise ModelError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        return Output(str(text), Usage(0, 0), time.monotonic() - started)

    async def aclose(self) -> None:
        """Nothing to close."""
