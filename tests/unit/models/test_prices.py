"""What a million tokens cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from sage_spo.errors import ModelSetupError
from sage_spo.graphs.decide_settings import PROVIDER_EMBEDDINGS
from sage_spo.models.names import parse_model
from sage_spo.models.prices import price


def test_the_table_prices_well_known_models_and_their_dated_versions() -> None:
    assert price(parse_model("openai:gpt-4.1-mini")) == (0.4, 1.6)
    assert price(parse_model("openai:gpt-4.1-mini-2025-04-14")) == (0.4, 1.6)
    assert price(parse_model("anthropic:claude-sonnet-4-20250514")) == (3.0, 15.0)


def test_the_table_prices_openais_embedding_models_for_input_alone() -> None:
    assert price(parse_model("openai:text-embedding-3-small")) == (0.02, 0.0)
    assert price(parse_model(PROVIDER_EMBEDDINGS)) == (0.13, 0.0)


def test_a_local_model_is_free_and_an_unknown_one_has_no_price() -> None:
    assert price(parse_model("local")) == (0.0, 0.0)
    assert price(parse_model("local:/some/model.gguf")) == (0.0, 0.0)
    assert price(parse_model("openai:no-such-model")) is None


def test_another_server_does_not_charge_openais_prices() -> None:
    assert price(parse_model("openai:gpt-4.1-mini", "http://127.0.0.1:1/v1")) is None


def test_an_own_table_comes_first_and_can_price_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text("prices:\n  openai:gpt-4.1-mini: [9, 10]\n  openai:mine: [1, 2]\n  python:app.answer: [3, 4]\n")
    monkeypatch.setenv("SAGE_PRICES", str(own))
    assert price(parse_model("openai:gpt-4.1-mini")) == (9.0, 10.0)
    assert price(parse_model("openai:mine", "http://127.0.0.1:1/v1")) == (1.0, 2.0)
    assert price(parse_model("openai:gpt-4.1")) == (2.0, 8.0)
    assert price("python:app.answer") == (3.0, 4.0)
    own.write_text("prices:\n  openai:mine: [5, 6]\n")
    assert price(parse_model("openai:mine")) == (5.0, 6.0)


@pytest.mark.parametrize("text", ["prices: 3", "no: prices", "prices: {a: [1]}", "prices: {a: [x, 1]}", "a: [", ""])
def test_an_unreadable_table_is_refused_with_the_form_it_should_have(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(text)
    monkeypatch.setenv("SAGE_PRICES", str(own))
    with pytest.raises(ModelSetupError, match="it should say"):
        price(parse_model("openai:gpt-4.1"))


def test_a_negative_price_and_a_missing_table_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "prices.yaml"
    monkeypatch.setenv("SAGE_PRICES", str(own))
    with pytest.raises(ModelSetupError, match=r"prices\.yaml"):
        price(parse_model("openai:gpt-4.1"))
    for text in ("-1", ".nan", ".inf"):
        own.write_text(f"prices: {{a: [{text}, 1]}}")
        with pytest.raises(ModelSetupError, match="negative or no number"):
            price(parse_model("openai:gpt-4.1"))
