"""Making LangChain chat models. None of them retries: there is one retry layer, above."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from ..errors import ModelSetupError
from .names import ModelName

if TYPE_CHECKING:  # takes a second to import
    from openai import DefaultAioHttpClient


def http_client() -> DefaultAioHttpClient:
    """aiohttp below LangChain, which halves its cost per call. One client belongs to one event loop."""
    from openai import DefaultAioHttpClient

    return DefaultAioHttpClient()


def compatible_model(
    model: str, base_url: str | None, api_key: str | None, http: DefaultAioHttpClient
) -> BaseChatModel:
    """A model behind an OpenAI-compatible endpoint."""
    from langchain_openai import ChatOpenAI  # takes a second to import

    return ChatOpenAI(
        model=model,
        base_url=base_url,
        api_key=lambda: api_key or "none",
        max_retries=0,
        http_async_client=http,
        use_responses_api=False,
        stream_usage=False,
    )


def provider_model(name: ModelName) -> BaseChatModel:
    """A model of any other provider. Raises ModelSetupError where LangChain cannot make it."""
    from langchain.chat_models import init_chat_model  # takes a second to import

    options: dict[str, Any] = {"max_retries": 0}
    if name.key_variable and name.key_variable not in os.environ and name.api_key():
        options["api_key"] = name.api_key()  # from `.env`, where the provider's package does not look
    try:
        return init_chat_model(name.model, model_provider=name.provider, **options)
    except ImportError as error:
        raise ModelSetupError(f"'{name}': {' '.join(str(error).split())}") from None
    except Exception as error:  # wrong options, missing credentials: each package has its own words for it
        reason = " ".join(str(error).split())[:300]
        raise ModelSetupError(f"'{name}' cannot be set up: {type(error).__name__}: {reason}") from None
