"""Chat models for agents, through LangChain: `ChatOpenAI` for OpenAI-compatible endpoints, else `init_chat_model`."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from ..errors import TransientModelError
from .embedded import EmbeddedModel, embedded
from .embedded_process import ALIAS
from .failures import model_error
from .langchain_models import compatible_model, http_client, provider_model
from .names import OPENAI_URL, ModelName, check_model, local_weights
from .parameters import is_reasoning, output_limit
from .prices import price

if TYPE_CHECKING:  # takes a second to import
    from openai import DefaultAioHttpClient


@dataclass(frozen=True)
class AgentReply:
    """What an agent model replied, its tokens as the provider counted them, and the seconds it took."""

    text: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float


class AgentModel:
    """One chat model that plays the agents, for one event loop. It never retries and never checks a reply: callers
    do both."""

    def __init__(self, name: ModelName) -> None:
        self.name = str(name)
        self.price = price(name)
        self._of = name
        self._chat: BaseChatModel | None = None
        self._http: DefaultAioHttpClient | None = None
        self._embedded: EmbeddedModel | None = None
        self._url = ""

    @property
    def local(self) -> bool:
        """Whether the model runs in this machine's own processes."""
        return self._of.local

    def output_limit(self, max_tokens: int) -> int:
        """The limit to ask for so that `max_tokens` of reply fit: reasoning models spend the same one on thinking."""
        return output_limit(self._of.model, max_tokens)

    async def complete(
        self, messages: list[dict[str, str]], *, schema: type[BaseModel] | None, max_tokens: int, temperature: float
    ) -> AgentReply:
        """One reply of at most `max_tokens` (thinking included); with `schema`, asked for as JSON of that form.

        Raises TransientModelError for what may pass, ModelError for what will not.
        """
        started = time.monotonic()
        chat = await self._model()
        try:
            if self._of.provider in ("openai", "local"):
                message = await chat.ainvoke(messages, **self._options(schema, max_tokens, temperature))
                text = str(message.text)
            else:
                options = {"max_tokens": max_tokens, "temperature": temperature}
                message, text = await _asked_elsewhere(chat, messages, schema, options)
        except (ValueError, TypeError, AttributeError, LookupError) as error:  # LangChain met a reply it cannot read
            raise TransientModelError(f"{self.name} sent a broken reply ({type(error).__name__})", spent=True) from None
        except Exception as error:  # every provider's package has error types of its own
            if self._embedded is not None and await self._embedded.url() != self._url:
                raise TransientModelError("the embedded model's process ended; the next call asks a new one") from None
            raise model_error(error, self.name) from None
        usage = message.usage_metadata
        return AgentReply(
            text=text,
            input_tokens=usage["input_tokens"] if usage else None,
            output_tokens=usage["output_tokens"] if usage else None,
            latency=time.monotonic() - started,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        http, self._http, self._chat = self._http, None, None
        if http is not None:
            await http.aclose()
        model, self._embedded = self._embedded, None
        if model is not None:
            await model.aclose()

    def _options(self, schema: type[BaseModel] | None, max_tokens: int, temperature: float) -> dict[str, Any]:
        body: dict[str, Any] = {}
        options: dict[str, Any] = {"extra_body": body}
        if schema is not None:
            # Not with_structured_output: it costs several times as much and loses the raw reply on an error.
            form = {"name": schema.__name__, "schema": schema.model_json_schema()}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if self._of.provider == "openai" and is_reasoning(self._of.model):
            return options | {"max_tokens": max_tokens}
        if self._of.base_url == OPENAI_URL:
            return options | {"max_tokens": max_tokens, "temperature": temperature}
        # ChatOpenAI would send the limit as `max_completion_tokens`, which not every other server knows.
        body["max_tokens"] = max_tokens
        return options | {"temperature": temperature}

    async def _model(self) -> BaseChatModel:
        if self._of.local:
            if self._embedded is None:
                self._embedded = await embedded(local_weights(self._of))
            url = await self._embedded.url()
            if url != self._url:  # the process was started anew
                self._chat, self._url = None, url
        if self._chat is None:
            if self._of.provider not in ("openai", "local"):
                self._chat = provider_model(self._of)
            else:
                if self._http is None:
                    self._http = http_client()
                model = ALIAS if self._of.local else self._of.model
                self._chat = compatible_model(model, self._url or self._of.base_url, self._of.api_key(), self._http)
        return self._chat


def agent_model(name: str, base_url: str | None = None) -> AgentModel:
    """The agent model of that name. Raises ModelSetupError where it cannot be used (no key, unknown provider)."""
    return AgentModel(check_model(name, base_url))


async def _asked_elsewhere(
    chat: BaseChatModel, messages: list[dict[str, str]], schema: type[BaseModel] | None, options: dict[str, Any]
) -> tuple[AIMessage, str]:
    """A reply by the provider's own way to structured output; the text is JSON where that worked."""
    if schema is None:
        message = await chat.ainvoke(messages, **options)
        return message, str(message.text)
    structured = chat.with_structured_output(schema, include_raw=True).with_config(run_name=schema.__name__)
    found: Any = await structured.ainvoke(messages, **options)
    message = found["raw"]
    if isinstance(found["parsed"], BaseModel):
        return message, found["parsed"].model_dump_json()
    calls = getattr(message, "tool_calls", None) or []
    return message, json.dumps(calls[0]["args"]) if calls else str(message.text)
