"""Chat models as targets: through our own client where the endpoint is OpenAI-compatible, else through LangChain."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from langchain_core.language_models import BaseChatModel

from ..models.client import ChatClient, reply_text, reply_usage
from ..models.failures import model_error
from ..models.langchain_models import provider_model
from ..models.names import ModelName
from ..models.parameters import chat_payload, is_reasoning, output_limit, takes_seed
from ..models.prices import price
from ..models.wire import to_json
from ..seeding import digest
from .example import Example
from .prompt import Message, Prompt
from .target import Output, Request, Usage
from .task import Task

MESSAGE_TOKENS = 16
"""More than any provider counts for a message beside its text."""


def bounded(
    fingerprint: str,
    texts: Sequence[str],
    max_output_tokens: int,
    send: Callable[[int], Awaitable[Output]] | None = None,
) -> Request:
    """A request whose input bound is the texts' UTF-8 bytes (a token is at least one) plus an overhead for each."""
    size = sum(len(text.encode(errors="replace")) + MESSAGE_TOKENS for text in texts) + MESSAGE_TOKENS
    return Request(fingerprint, size, max_output_tokens, send)


def contents(messages: Sequence[Message]) -> list[str]:
    """The messages' texts."""
    return [message["content"] for message in messages]


class ChatTarget:
    """A chat model behind an OpenAI-compatible endpoint. A limit of output tokens is always sent.

    A request is written as JSON once: the same bytes are its fingerprint and go over the wire.
    """

    concurrency: int | None = None

    def __init__(self, name: ModelName, task: Task) -> None:
        self.name = str(name)
        self.price = price(name)
        self.stochastic = task.output.temperature > 0 or is_reasoning(name.model)
        self._model = name.model
        self._task = task
        self._limit = output_limit(name.model, task.output.max_tokens)
        self._seeded = takes_seed(name.model, task.output.temperature)
        self._client = ChatClient(name.base_url or "", name.api_key(), concurrency=0)
        self.rate_limit = self._client.rate_limit

    def request(self, prompt: Prompt, example: Example) -> Request:
        output = self._task.output
        messages = prompt.messages(example, self._task.labels)
        payload = chat_payload(self._model, messages, max_tokens=output.max_tokens, temperature=output.temperature)
        body = to_json(payload)
        return bounded(digest(self.name, body), contents(messages), self._limit, partial(self._send, body))

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        request = self.request(prompt, example)
        assert request.send is not None
        return await request.send(repeat)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _send(self, body: bytes, repeat: int) -> Output:
        started = time.monotonic()
        if self._seeded:
            body = b'%b,"seed":%d}' % (body[:-1], repeat)
        reply = await self._client.chat(body)
        return Output(reply_text(reply), Usage(*reply_usage(reply)), time.monotonic() - started)


class LangChainTarget:
    """A chat model of any provider that LangChain knows."""

    concurrency: int | None = 8

    def __init__(self, name: ModelName, task: Task) -> None:
        self.name = str(name)
        self.price = price(name)
        self.stochastic = task.output.temperature > 0
        self._task = task
        self._chat: BaseChatModel = provider_model(name)

    def request(self, prompt: Prompt, example: Example) -> Request:
        messages = prompt.messages(example, self._task.labels)
        output = self._task.output
        fingerprint = digest(self.name, output.max_tokens, output.temperature, messages)
        return bounded(fingerprint, contents(messages), output.max_tokens)

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        output = self._task.output
        messages = prompt.messages(example, self._task.labels)
        started = time.monotonic()
        try:
            reply = await self._chat.ainvoke(messages, max_tokens=output.max_tokens, temperature=output.temperature)
        except Exception as error:  # every provider's package has error types of its own
            raise model_error(error, self.name) from None
        counts = reply.usage_metadata
        usage = Usage(counts["input_tokens"], counts["output_tokens"]) if counts else Usage()
        return Output(str(reply.text), usage, time.monotonic() - started)

    async def aclose(self) -> None:
        """Nothing to close: the provider's package keeps its own connections."""
