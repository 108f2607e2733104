"""The body of a chat request, in the words that each family of models wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

REASONING = re.compile(r"(?:.*/)?(?:o[134]|gpt-5)(?![a-z0-9])(?!.*chat)", re.IGNORECASE)
REASONING_TOKENS = 4096


def is_reasoning(model: str) -> bool:
    """Whether this OpenAI model thinks before it answers: no `temperature`, and `max_completion_tokens`."""
    return REASONING.match(model) is not None


def output_limit(model: str, max_tokens: int) -> int:
    """The limit to send so that `max_tokens` of answer fit: reasoning models spend the same limit on thinking."""
    return max_tokens + REASONING_TOKENS if is_reasoning(model) else max_tokens


def takes_seed(model: str, temperature: float) -> bool:
    """Whether a request says which draw of the model it wants: only where sampling is on."""
    return temperature > 0 and not is_reasoning(model)


def chat_payload(
    model: str, messages: Sequence[dict[str, str]], *, max_tokens: int, temperature: float, seed: int | None = None
) -> dict[str, Any]:
    """The body for POST /chat/completions. A limit is always sent; `seed` only where the model takes one."""
    limit = output_limit(model, max_tokens)
    if is_reasoning(model):
        return {"model": model, "messages": list(messages), "max_completion_tokens": limit}
    payload = {"model": model, "messages": list(messages), "max_tokens": limit, "temperature": temperature}
    if seed is not None and takes_seed(model, temperature):
        payload["seed"] = seed
    return payload
