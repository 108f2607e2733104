"""The doctor names what is missing and what to do, and never shows a key."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from sage_spo.jobs import commands_doctor as doctor
from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.server import FakeServer

KEY = "sk-doctor-0123456789"


@pytest.fixture
def embedded_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def absent() -> doctor.Check:
        return doctor.Check("embedded model", "missing", "run `uv sync`")

    monkeypatch.setattr(doctor, "_embedded", absent)


@pytest.mark.usefixtures("embedded_not_started")
def test_each_line_is_a_state_a_name_and_a_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeServer() as server:
        monkeypatch.setattr(doctor, "SERVERS", {"vLLM": urlsplit(server.url).port, "Ollama": 1})
        assert main(["doctor", "--json"]) == 1  # the embedded model is missing
    text = capsys.readouterr().out
    found = {check["name"]: check for check in json.loads(text)["checks"]}
    assert KEY not in text
    assert found["Python"]["state"] == found["SAGE_HOME"]["state"] == found["OPENAI_API_KEY"]["state"] == "ok"
    assert found["E2B_API_KEY"]["state"] == "optional"
    assert "--target openai:fake --base-url" in found[f"vLLM :{urlsplit(server.url).port}"]["remark"]
    assert found["Ollama :1"]["state"] == "optional"
    assert found["embedded model"]["remark"] == "run `uv sync`"


async def test_the_embedded_model_is_asked() -> None:
    pytest.importorskip("xllamacpp")
    check = await doctor._embedded()
    assert check.state == "ok"
    assert "one call" in check.remark
