"""What model names mean, and what is said about those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from sage_spo.errors import ModelSetupError
from sage_spo.models.names import OPENAI_URL, check_model, local_weights, parse_model


def test_an_openai_model_goes_to_openai_by_default() -> None:
    name = parse_model("openai:gpt-4.1-mini")
    assert (name.provider, name.model, name.base_url, str(name)) == (
        "openai",
        "gpt-4.1-mini",
        OPENAI_URL,
        "openai:gpt-4.1-mini",
    )


def test_the_address_comes_from_the_name_then_the_argument_then_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://environment:1/v1")
    assert parse_model("openai:m").base_url == "http://environment:1/v1"
    assert parse_model("openai:m", "http://argument:2/v1/").base_url == "http://argument:2/v1"
    name = parse_model("openai:llama3:8b@http://name:3/v1", "http://argument:2/v1")
    assert (name.model, name.base_url, name.host) == ("llama3:8b", "http://name:3/v1", "name")
    assert str(name) == "openai:llama3:8b@http://name:3/v1"


def test_a_base_url_is_for_openai_models_alone() -> None:
    assert parse_model("local", "http://argument:2/v1").base_url is None
    assert parse_model("groq:llama", "http://argument:2/v1").base_url is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gpt-4.1", "Did you mean 'openai:gpt-4.1'?"),
        ("antropic:claude", "Did you mean 'anthropic'?"),
        ("openai:", "write openai:MODEL"),
        ("openai:m@http://user:pass@host/v1", "put the key into OPENAI_API_KEY"),
        ("openai:m@http://host:port/v1", "http://host:port/v1"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_the_mend(name: str, says: str) -> None:
    with pytest.raises(ModelSetupError) as caught:
        parse_model(name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "user:pass" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("openai:gpt-4.1", "OPENAI_API_KEY"),
        ("anthropic:claude-sonnet-4-5", "langchain-anthropic"),
        ("local:/no/such/model.gguf", "no such weights file: /no/such/model.gguf"),
        ("local:hf:owner/repo", "local:hf:OWNER/REPO/FILE.gguf"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_spent(name: str, says: str) -> None:
    with pytest.raises(ModelSetupError) as caught:
        check_model(name)
    assert says in str(caught.value)


def test_weights_from_the_hub_say_which_extra_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "huggingface_hub" else object())
    with pytest.raises(ModelSetupError, match=r"sage-spo\[hub\]"):
        check_model("local:hf:owner/repo/file.gguf")


def test_another_server_needs_no_key() -> None:
    assert check_model("openai:m", "http://127.0.0.1:1/v1").api_key() is None


def test_a_key_may_stand_in_the_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-from-dotenv\n")
    monkeypatch.chdir(tmp_path)
    name = check_model("openai:gpt-4.1")
    assert name.api_key() == "sk-from-dotenv"
    assert "sk-from-dotenv" not in repr(name) + str(name)


def test_the_bundled_weights_are_found_and_own_ones_taken_as_named(tmp_path: Path) -> None:
    assert local_weights(check_model("local")).suffix == ".gguf"
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    assert local_weights(check_model(f"local:{own}")) == own


def test_missing_libraries_and_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelSetupError, match="uv sync"):
        check_model("local")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "xllamacpp" else None)
    with pytest.raises(ModelSetupError, match="weights are not installed"):
        check_model("local")
