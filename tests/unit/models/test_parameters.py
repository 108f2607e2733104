"""What is sent to which family of models."""

from __future__ import annotations

import pytest

from sage_spo.models.parameters import REASONING_TOKENS, chat_payload, is_reasoning, output_limit

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1", "gpt-5-nano", "openai/o3"]
)
def test_reasoning_models_get_no_temperature_and_room_to_think(model: str) -> None:
    payload = chat_payload(model, MESSAGES, max_tokens=16, temperature=0.0, seed=3)
    assert payload == {"model": model, "messages": MESSAGES, "max_completion_tokens": 16 + REASONING_TOKENS}
    assert output_limit(model, 16) == 16 + REASONING_TOKENS


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "o100", "olmo-2", "llama3", "gpt-50"])
def test_other_models_get_a_limit_and_a_temperature(model: str) -> None:
    assert not is_reasoning(model)
    payload = chat_payload(model, MESSAGES, max_tokens=16, temperature=0.0, seed=3)
    assert payload == {"model": model, "messages": MESSAGES, "max_tokens": 16, "temperature": 0.0}


def test_a_seed_is_sent_only_where_sampling_is_on() -> None:
    assert chat_payload("m", MESSAGES, max_tokens=1, temperature=0.5, seed=3)["seed"] == 3
    assert "seed" not in chat_payload("m", MESSAGES, max_tokens=1, temperature=0.5)
