"""Model names: `openai:MODEL`, `local`, `local:/path/x.gguf`, `provider:model`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import ModelSetupError, nearest
from ..settings import secret
from .embedded_servers import bundled_weights, check_runtime

OPENAI_URL = "https://api.openai.com/v1"
REASONING = re.compile(r"^(o\d|gpt-5)(?!.*chat)")
PROVIDERS = ("openai", "local", "anthropic", "google_genai", "mistralai", "groq", "ollama")


@dataclass(frozen=True)
class ModelName:
    """A model by provider and name; `base_url` for OpenAI-compatible endpoints."""

    provider: str
    model: str
    base_url: str | None = None

    def api_key(self) -> str | None:
        """The key for this model's provider from the environment or `.env`; None where none is set."""
        return secret("OPENAI_API_KEY") if self.provider == "openai" else None

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.model else self.provider


def parse_model(name: str, base_url: str | None = None) -> ModelName:
    """The model that `name` names. Raises ModelSetupError for a name of unknown form or provider."""
    provider, _, model = name.partition(":")
    if provider not in PROVIDERS:
        raise ModelSetupError(
            f"model '{name}': unknown provider '{provider}'.{nearest(provider, PROVIDERS)} "
            "Use local, local:/path/to/model.gguf, openai:MODEL or PROVIDER:MODEL."
        )
    if provider != "local" and not model:
        raise ModelSetupError(f"model '{name}': name the model too, as in {provider}:MODEL")
    if provider == "openai":
        return ModelName(provider, model, base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
    return ModelName(provider, model)


def is_reasoning(model: str) -> bool:
    """Whether a model takes no temperature and wants `max_completion_tokens` (o1, o3, o4, gpt-5 families)."""
    return bool(REASONING.match(model.split("/")[-1]))


def check_model(name: str, base_url: str | None = None) -> ModelName:
    """The model, after making sure that it can be used: its key is set, its weights are there."""
    parsed = parse_model(name, base_url)
    if parsed.provider == "local":
        check_runtime()
        if parsed.model:
            if not os.path.isfile(parsed.model):
                raise ModelSetupError(f"model '{name}': no such weights file: {parsed.model}")
        else:
            bundled_weights()
    if parsed.provider == "openai" and parsed.base_url == OPENAI_URL and not parsed.api_key():
        raise ModelSetupError(f"model '{name}': OPENAI_API_KEY is not set; set it in the environment or in .env")
    return parsed
