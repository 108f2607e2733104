"""Every event is one line of JSON in the log of its own run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from sage_spo.errors import StoreError
from sage_spo.traces.events import SCHEMA_VERSION, EventLog, event_log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_line_says_schema_time_run_event_and_fields(tmp_path: Path) -> None:
    log = event_log("run-1", tmp_path)
    log.emit("candidate", iteration=2, prompt_id="abc", shares={"a": 0.5})
    log.close()
    (line,) = lines(tmp_path / "runs" / "run-1" / "events.jsonl")
    assert list(line) == ["schema_version", "time", "run", "event", "iteration", "prompt_id", "shares"]
    assert line["schema_version"] == SCHEMA_VERSION
    assert line["run"] == "run-1"
    assert line["event"] == "candidate"
    assert line["time"].endswith("Z")
    log.close()


def test_two_runs_have_two_logs_and_nothing_is_configured_globally(tmp_path: Path) -> None:
    one, two = event_log("one", tmp_path), event_log("two", tmp_path)
    one.emit("a")
    two.emit("b")
    one.emit("c")
    one.close()
    two.close()
    assert [line["event"] for line in lines(one.path)] == ["a", "c"]
    assert [line["event"] for line in lines(two.path)] == ["b"]
    assert not structlog.is_configured()


def test_a_resumed_run_appends_and_a_line_cut_short_spoils_no_other(tmp_path: Path) -> None:
    log = event_log("run", tmp_path)
    log.emit("first")
    log.close()
    with open(log.path, "ab") as file:
        file.write(b'{"schema_version": 1, "ti')
    log = event_log("run", tmp_path)
    log.emit("second")
    log.close()
    first, cut, second = log.path.read_text().splitlines()
    assert (json.loads(first)["event"], json.loads(second)["event"]) == ("first", "second")
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(cut)


def test_secrets_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_TOKEN", "very hidden")
    log = event_log("run", tmp_path)
    log.emit("failed", error="401 for very hidden", request={"headers": {"Authorization": "Bearer x"}})
    log.close()
    text = log.path.read_text()
    assert "hidden" not in text
    assert "Bearer x" not in text


def test_a_field_that_every_line_has_is_refused(tmp_path: Path) -> None:
    log = event_log("run", tmp_path)
    with pytest.raises(TypeError, match="'time'"):
        log.emit("x", time=3)
    log.emit("x", fields=1, method_name=2, self=3)
    log.close()
    assert lines(log.path)[0]["fields"] == 1
    log.close()


def test_a_log_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(StoreError, match="SAGE_HOME"):
        event_log("run", tmp_path)
    (tmp_path / "log").mkdir()
    with pytest.raises(StoreError, match="SAGE_HOME"):
        EventLog("run", tmp_path / "log")


@settings(deadline=None, max_examples=40)
@given(
    st.text(),
    st.dictionaries(
        st.text().filter(lambda name: name not in ("schema_version", "time", "run", "event")),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
            lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
            max_leaves=10,
        ),
    ),
)
def test_whatever_is_emitted_every_line_parses(
    tmp_path_factory: pytest.TempPathFactory, event: str, fields: dict[str, Any]
) -> None:
    log = event_log("run", tmp_path_factory.mktemp("home"))
    log.emit(event, **fields)
    log.emit("last")
    log.close()
    assert len(lines(log.path)) == 2
    assert len(log.path.read_text().splitlines()) == 2
