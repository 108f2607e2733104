"""A model of this machine as target: labels are scored where the task has choices that can be told apart."""

from __future__ import annotations

import asyncio
import time

from ..models.client import reply_text, reply_usage
from ..models.embedded import EmbeddedModel, embedded
from ..models.names import ModelName, local_weights
from ..models.scoring import FirstTokens, choose, first_tokens, grammar_options, label_logprobs, scoring_options
from ..seeding import digest
from .example import Example
from .prompt import Message, Prompt
from .target import Output, Request, Usage
from .targets_chat import bounded, contents
from .task import Task

DECODING = "labels by their first tokens, else grammar"
"""Part of the fingerprint: change it when decoding changes, so that cached answers are not mixed with new ones."""


class EmbeddedTarget:
    """The embedded model, or another GGUF file.

    With `output.choices` it scores their first tokens; choices that share one are spelled under a grammar; without
    choices it writes freely. `Output.decoding` says which of these it was; it is the same for all prompts.
    """

    price: tuple[float, float] | None = (0.0, 0.0)

    def __init__(self, name: ModelName, task: Task) -> None:
        self.name = str(name)
        self.stochastic = task.output.temperature > 0
        # Enough to see which process will be free first; free text takes seconds, and must not wait for minutes.
        self.concurrency: int | None = 16 if task.output.choices else 4
        self._task = task
        self._weights = local_weights(name)
        self._size = self._weights.stat().st_size
        self._choices = tuple(dict.fromkeys(task.output.choices))
        self._grammar = grammar_options(self._choices) if self._choices else {}
        self._model: EmbeddedModel | None = None
        self._tokens: FirstTokens | None = None
        self._starting = asyncio.Lock()

    def request(self, prompt: Prompt, example: Example) -> Request:
        output = self._task.output
        messages = prompt.messages(example, self._task.labels)
        options = (self._choices, output.max_tokens, output.temperature)
        fingerprint = digest(self.name, self._size, DECODING, *options, messages)
        return bounded(fingerprint, contents(messages), max(output.max_tokens, self._grammar.get("max_tokens", 1)))

    async def __call__(self, prompt: Prompt, example: Example, repeat: int) -> Output:
        model = await self._started()
        messages = prompt.messages(example, self._task.labels)
        started = time.monotonic()
        if self._tokens is not None:
            return await self._scored(model, self._tokens, messages, repeat, started)
        output = self._task.output
        payload = {"messages": messages, "max_tokens": output.max_tokens, "temperature": output.temperature}
        if output.temperature > 0:
            payload["seed"] = repeat
        reply = await model.chat(payload | self._grammar)
        decoding = "grammar" if self._choices else "text"
        return Output(reply_text(reply), Usage(*reply_usage(reply)), time.monotonic() - started, decoding=decoding)

    async def aclose(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            await model.aclose()

    async def _scored(
        self, model: EmbeddedModel, tokens: FirstTokens, messages: list[Message], repeat: int, started: float
    ) -> Output:
        reply = await model.chat({"messages": messages, **scoring_options(tokens)})
        logprobs = label_logprobs(reply, tokens)
        text = choose(logprobs, self._task.output.temperature, repeat, "label", digest(messages))
        usage = Usage(*reply_usage(reply))
        return Output(text, usage, time.monotonic() - started, logprobs, decoding="label scoring")

    async def _started(self) -> EmbeddedModel:
        async with self._starting:
            if self._model is None:
                model = await embedded(self._weights)
                if self._choices:
                    self._tokens = await first_tokens(model, self._choices)
                self._model = model
            return self._model
