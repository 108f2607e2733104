"""No secret reaches a log or an error message, wherever it stands; what is no secret stays readable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sage_spo.traces.redact import MAX_STRING, REDACTED, redact, redacted

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
CHARACTERS = st.text(ALPHABET, min_size=36, max_size=48)
SHAPED = st.one_of(
    CHARACTERS.map(lambda t: f"sk-{t}"),
    CHARACTERS.map(lambda t: f"sk-proj-{t[:20]}-{t[20:]}_x"),
    CHARACTERS.map(lambda t: f"e2b_{t}"),
    CHARACTERS.map(lambda t: f"AKIA{t[:16].upper()}"),
    CHARACTERS.map(lambda t: f"ghp_{t}"),
    CHARACTERS.map(lambda t: f"github_pat_{t}"),
    CHARACTERS.map(lambda t: f"hf_{t}"),
)
SECRET = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp", "Cs"]), min_size=8).filter(
    lambda s: s not in REDACTED and not s.isdigit()
)
AROUND = st.text(st.characters(codec="utf-8", exclude_categories=["L", "N", "Cs"]), max_size=20)


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.dictionaries(st.sampled_from(["a", "text", "error"]), inner, min_size=1),
            st.tuples(inner, st.none()),
        ),
        max_leaves=8,
    )


@settings(deadline=None)
@given(SHAPED, AROUND, AROUND)
def test_strings_shaped_like_keys_are_taken_out(key: str, before: str, after: str) -> None:
    assert key not in redact(before + key + after)


@settings(deadline=None)
@given(st.data(), SHAPED)
def test_keys_are_taken_out_at_any_depth(data: st.DataObject, key: str) -> None:
    value = data.draw(nested(st.sampled_from([key, f"see {key}.", 3, None])))
    assert key not in json.dumps(redacted({"field": value}))


@settings(deadline=None)
@given(SECRET, AROUND, AROUND)
def test_values_of_secret_environment_variables_are_taken_out(secret: str, before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_SERVICE_PASSWORD", secret)
        assert secret not in redact(before + secret + after)
        assert secret not in str(redacted({"a": [before + secret, {secret: 1}]}))


@settings(deadline=None)
@given(st.recursive(st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=9), inner), max_leaves=20))
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    assert redacted(redacted(value)) == redacted(value)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_accepted(text: str) -> None:
    assert isinstance(redact(text), str)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ('{"api_key": "0123456789abcdef"}', "0123456789abcdef"),
        (r"{\"api_key\": \"0123456789abcdef\"}", "0123456789abcdef"),
        ("https://host/v1?api_key=abcdefgh&x=1", "abcdefgh"),
        ("postgresql://user:hunter2@db/x", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\ndef", "def"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.sig-na_ture", "sig-na_ture"),
    ],
)
def test_credentials_in_text_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert REDACTED in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "scikit-learn (sk-learn) is risk-averse",
        "a basic introduction for the bearer of the key: value pairs",
        "input_tokens=200 key=7 the secret is out",
        "https://host:8080/path",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_switches_and_limits_of_the_environment_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.setenv("MAX_OUTPUT_TOKENS", "4096")
    monkeypatch.setenv("SOME_KEY", "")
    assert redact("false 4096") == "false 4096"


def test_entries_of_the_env_file_are_taken_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert redact("from-dot-env") == "from-dot-env"
    (tmp_path / ".env").write_text("PROVIDER_KEY=from-dot-env\nPLAIN=visible-value\n")
    assert redact("from-dot-env visible-value") == f"{REDACTED} visible-value"


def test_fields_that_are_named_secret_lose_their_texts_and_keep_their_numbers() -> None:
    value = {
        "OPENAI_API_KEY": "plain",
        "clientSecret": ["a", {"b": "c"}],
        "password": b"plain",
        "tokens": 12,
        "input_tokens": {"mean": 1.5},
        "keywords": ["phone"],
        "tokenizer": "bpe",
    }
    assert redacted(value) == {
        "OPENAI_API_KEY": REDACTED,
        "clientSecret": [REDACTED, {"b": REDACTED}],
        "password": REDACTED,
        "tokens": 12,
        "input_tokens": {"mean": 1.5},
        "keywords": ["phone"],
        "tokenizer": "bpe",
    }


def test_long_strings_are_cut_and_say_by_how_much() -> None:
    cut = redacted("a" * (MAX_STRING + 500))
    assert cut.startswith("a" * MAX_STRING)
    assert cut.endswith("[500 more characters]")
    assert redacted("a" * MAX_STRING) == "a" * MAX_STRING


def test_a_secret_across_the_cut_is_taken_out() -> None:
    assert "sk-" not in redacted("a " * (MAX_STRING // 2 - 5) + "sk-" + "Ab1" * 20)


def test_objects_become_plain_json() -> None:
    @dataclass
    class Login:
        user: str
        password: str

    class Endpoint(BaseModel):
        url: str
        api_key: str

    value = redacted(
        [
            Login("me", "pw"),
            Endpoint(url="http://x", api_key="pw"),
            np.int64(3),
            np.float32(0.5),
            float("nan"),
            Path("/x"),
            {1},
            b"\xff",
            ValueError("sk-0123456789abcdef"),
        ]
    )
    assert json.loads(json.dumps(value, allow_nan=False)) == [
        {"user": "me", "password": REDACTED},
        {"url": "http://x", "api_key": REDACTED},
        3,
        0.5,
        "nan",
        "/x",
        [1],
        "�",
        REDACTED,
    ]


def test_what_contains_itself_ends_somewhere() -> None:
    circle: list[Any] = ["a"]
    circle.append(circle)
    assert "nested too deeply" in json.dumps(redacted(circle))


def test_a_dotenv_file_that_is_no_text_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_TOKEN", "hushhush1")
    (tmp_path / ".env").write_bytes(b"\xf0\x01")
    assert redact("it is hushhush1") == f"it is {REDACTED}"
