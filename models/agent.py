"""Chat models for agents, through LangChain: `ChatOpenAI` for OpenAI-compatible endpoints, else `init_chat_model`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel

from ..errors import ModelError, ModelSetupError, TransientModelError
from ..traces.redact import redact
from .client import retry_after
from .embedded import embedded
from .names import ModelName, check_model, is_reasoning
from .prices import price


@dataclass(frozen=True)
class AgentReply:
    """What an agent model replied, its tokens as the provider counted them, and the seconds it took."""

    text: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float


class AgentModel:
    """One chat model that plays the agents. It never retries and never checks a reply: callers do both."""

    def __init__(self, name: ModelName) -> None:
        self.name = str(name)
        self.price = price(name)
        self._of = name
        self._chat: BaseChatModel | None = None
        self._http: Any = None

    async def complete(
        self, messages: list[dict[str, str]], *, schema: type[BaseModel] | None, max_tokens: int, temperature: float
    ) -> AgentReply:
        """One reply; with `schema` an OpenAI-compatible endpoint is asked for JSON of that form.

        Raises TransientModelError for what may pass, ModelError for what will not.
        """
        started = time.monotonic()
        chat = await self._model()
        options: dict[str, Any] = {"max_tokens": max_tokens}
        if not is_reasoning(self._of.model):
            options["temperature"] = temperature
        if schema is not None and self._of.provider in ("openai", "local"):
            # Not with_structured_output: it costs several times as much and loses the raw reply on an error.
            form = {"name": schema.__name__, "schema": schema.model_json_schema()}
            options["extra_body"] = {"response_format": {"type": "json_schema", "json_schema": form}}
        try:
            reply = await chat.ainvoke(messages, **options)
        except openai.APIStatusError as error:
            message = redact(f"{self.name} answered {error.status_code}: {error.message}")[:400]
            if error.status_code in (408, 409, 429) or error.status_code >= 500:
                raise TransientModelError(message, retry_after=retry_after(error.response.headers)) from None
            raise ModelError(message) from None
        except openai.APIConnectionError as error:  # time-outs are of this kind too
            raise TransientModelError(redact(f"{self.name}: {error}")[:400], spent=True) from None
        except (TimeoutError, ConnectionError) as error:
            raise TransientModelError(redact(f"{self.name}: {error}")[:400], spent=True) from None
        except ModelError:
            raise
        except Exception as error:  # other providers' packages have error types of their own
            raise ModelError(redact(f"{self.name}: {type(error).__name__}: {error}")[:400]) from None
        usage = reply.usage_metadata
        return AgentReply(
            text=str(reply.text),
            input_tokens=usage["input_tokens"] if usage else None,
            output_tokens=usage["output_tokens"] if usage else None,
            latency=time.monotonic() - started,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        http, self._http, self._chat = self._http, None, None
        if http is not None:
            await http.aclose()

    async def _model(self) -> BaseChatModel:
        if self._chat is None:
            self._chat = await self._make()
        return self._chat

    async def _make(self) -> BaseChatModel:
        if self._of.provider not in ("openai", "local"):
            from langchain.chat_models import init_chat_model  # heavy, and rarely needed

            try:
                return init_chat_model(self._of.model, model_provider=self._of.provider, max_retries=0)
            except ImportError as error:
                raise ModelSetupError(f"model '{self.name}': {error}") from None
        from langchain_openai import ChatOpenAI

        url = await (await embedded()).url() if self._of.provider == "local" else self._of.base_url
        self._http = openai.DefaultAioHttpClient()
        return ChatOpenAI(
            model=self._of.model or "embedded",
            base_url=url,
            api_key=lambda: self._of.api_key() or "none",
            max_retries=0,
            http_async_client=self._http,
        )


def agent_model(name: str, base_url: str | None = None) -> AgentModel:
    """The agent model of that name. Raises ModelSetupError where it cannot be used (no key, unknown provider)."""
    return AgentModel(check_model(name, base_url))
