"""Plain replies of a chat model, many of them: over the lean client where the endpoint is OpenAI-compatible."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .client import ChatClient, reply_text, reply_usage
from .embedded import EmbeddedModel, embedded
from .embedded_process import ALIAS
from .names import ModelName, check_model, local_weights
from .parameters import chat_payload, output_limit
from .prices import price

if TYPE_CHECKING:  # importing LangChain takes seconds
    from .agent import AgentModel


@dataclass(frozen=True)
class PlainReply:
    """A reply, its tokens as the provider counted them, and the seconds it took."""

    text: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float


class PlainChat:
    """One chat model, for one event loop; it never retries. A request costs a tenth of what it does through LangChain,
    which is only asked for providers that have an interface of their own. Raises ModelSetupError where the model cannot
    be used."""

    def __init__(self, name: str, base_url: str | None = None) -> None:
        self._of: ModelName = check_model(name, base_url)
        self.name = str(self._of)
        self.price = price(self._of)
        self._client: ChatClient | EmbeddedModel | None = None
        self._elsewhere: AgentModel | None = None
        if self._of.provider not in ("openai", "local"):
            from .agent import AgentModel

            self._elsewhere = AgentModel(self._of)

    def output_limit(self, max_tokens: int) -> int:
        """The limit to ask for so that `max_tokens` of reply fit (see `models.parameters`)."""
        return output_limit(self._of.model, max_tokens)

    async def reply(
        self, messages: list[dict[str, str]], *, max_tokens: int, temperature: float, seed: int
    ) -> PlainReply:
        """One reply. `seed` says which of the possible ones is wanted, to models that take one.

        Raises TransientModelError for what may pass, ModelError for what will not.
        """
        if self._elsewhere is not None:
            found = await self._elsewhere.complete(
                messages, schema=None, max_tokens=max_tokens, temperature=temperature
            )
            return PlainReply(found.text, found.input_tokens, found.output_tokens, found.latency)
        started = time.monotonic()
        model = ALIAS if self._of.local else self._of.model
        payload = chat_payload(model, messages, max_tokens=max_tokens, temperature=temperature, seed=seed)
        reply = await (await self._opened()).chat(payload)
        return PlainReply(reply_text(reply), *reply_usage(reply), time.monotonic() - started)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        if self._elsewhere is not None:
            await self._elsewhere.aclose()

    async def _opened(self) -> ChatClient | EmbeddedModel:
        if self._client is None and self._of.local:
            opened = await embedded(local_weights(self._of))
            self._client = self._client or opened  # another request may have been faster
        elif self._client is None:
            self._client = ChatClient(self._of.base_url or "", self._of.api_key(), concurrency=0)
        return self._client
