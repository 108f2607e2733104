"""`sage-spo decide` as it is called by hand: kills, wrong usage, tables, plots, an environment of a user's own."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs.cli import main
from sage_spo.seeding import generator
from sage_spo.tests.commands import ROOT, benchmark, benchmark_here, running
from sage_spo.tests.fakes.acting import ScriptedActor
from sage_spo.tests.fakes.server import FakeServer

SMALL = ("arms=4", "hidden=8", "iterations=10", "draws=6")
BUTTONS = "bandits:buttons-hard"


def arguments(server: FakeServer, *more: str) -> list[str]:
    models = ["--agent", "openai:actor", "--base-url", server.url, "--embeddings", "openai:vectors"]
    return ["decide", *more, *models, *(word for one in SMALL for word in ("--option", one)), "--yes"]


def story(document: dict[str, Any]) -> list[Any]:
    """What must not depend on when it was stopped."""
    kept = ("figure", "curve", "scores", "arms", "entropy", "distance", "meta_prompt", "unreadable")
    runs = [run["result"] for row in document["rows"] for run in row["runs"]]
    return [({name: run[name] for name in kept}, run["spend"]["spent"]["agent_calls"]) for run in runs]


def test_several_methods_give_a_table_differences_json_and_a_plot(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / "regret.html"
    with FakeServer(ScriptedActor()) as server:
        given = arguments(server, "drifting:walk", "--method", "expo,fixed,ucb1", "--rounds", "4", "--seeds", "2")
        assert main([*given, "--run", "three", "--plot", str(plot)]) == 0
        screen = capsys.readouterr().out
        asked = len(server.log)
        assert main([*given, "--run", "three", "--json"]) == 0
        assert len(server.log) == asked
    document = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in document["rows"]] == ["expo", "fixed", "ucb1"]
    for row in document["rows"]:
        figures = [run["result"]["figure"] for run in row["runs"]]
        assert row["mean"] == pytest.approx(sum(figures) / 2)
        assert row["se"] == pytest.approx(abs(figures[0] - figures[1]) / 2)
        assert row["fixed"] is not None
        assert len(row["curve"]) == 4
    by_pair = {(pair["first"], pair["second"]): pair for pair in document["pairs"]}
    means = {row["method"]: row["mean"] for row in document["rows"]}
    assert by_pair["expo", "ucb1"]["difference"] == pytest.approx(means["expo"] - means["ucb1"])
    assert by_pair["expo", "ucb1"]["n"] == 2
    assert all(name in screen for name in ("expo", "fixed", "ucb1", "REGRET (SE)", "Paired differences"))
    assert document["command"] in " ".join(screen.split())
    assert "plotly" in plot.read_text(encoding="utf-8")
    assert main(["show", "three/expo/0"]) == 0
    assert "cumulative regret" in capsys.readouterr().out
    assert main(["show", "three/expo/0", "--prompt"]) == 0
    assert "Do it " in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "decide:expo" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kills", [1, pytest.param(25, marks=[pytest.mark.full, pytest.mark.timeout(3600)])], ids=["few", "many"]
)
def test_killed_at_random_moments_it_resumes_to_the_same_result(
    kills: int, capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = generator(kills, "kills")
    with FakeServer(ScriptedActor(sloppy=0.1), latency=0.01) as server:
        given = arguments(server, BUTTONS, "--method", "expo-es", "--rounds", "8", "--run", "killed", "--json")
        monkeypatch.setenv("SAGE_HOME", str(tmp_path / "undisturbed"))
        assert main(given) == 0
        whole = story(json.loads(capsys.readouterr().out))
        requests = len(server.log)
        monkeypatch.setenv("SAGE_HOME", str(home))
        for _ in range(kills):
            begun = len(server.log)
            with running(*given) as process:
                try:
                    server.wait_for_requests(begun + int(rng.integers(1, max(2, requests // kills))), 60)
                except TimeoutError:
                    if process.poll() is None:
                        raise
                    break
                time.sleep(float(rng.uniform(0, 0.1)))
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert main(["resume", "killed", "--json"]) == 0
        assert story(json.loads(capsys.readouterr().out)) == whole


def test_asked_to_stop_it_ends_after_its_step_with_exit_code_75_and_resumes(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    with FakeServer(ScriptedActor(), latency=0.02) as server:
        given = arguments(server, BUTTONS, "--method", "fixed", "--rounds", "300", "--run", "stopped")
        with running(*given) as process:
            server.wait_for_requests(20, 60)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 75
        assert "sage-spo resume stopped" in errors.splitlines()[-1]
        assert main(["show", "stopped/fixed/0"]) == 0
        assert "sage-spo resume stopped/fixed/0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("bandits:buttons-hart",), "Did you mean 'bandits:buttons-hard'?"),
        (("nothing:here",), "environment: unknown 'nothing:here'"),
        (("http://user:secret@localhost/x",), "without a password"),
        ((BUTTONS, "--method", "expoo"), "Did you mean 'expo'?"),
        ((BUTTONS, "--method", "expo,fixed,expo"), "'expo' is given twice"),
        (("tsp:10", "--method", "fixed,ucb1"), "ucb1 chooses among listed actions"),
        ((BUTTONS, "--option", "armz=3"), "there is no such option. Did you mean 'arms'?"),
        ((BUTTONS, "--rounds", "0"), "--rounds"),
        ((BUTTONS, "--plot", "x.png"), "must end in .html"),
        ((BUTTONS, "--run", "a b"), "--run"),
        ((BUTTONS, "--agent", "nobody:x"), "unknown model provider"),
        ((BUTTONS, "--method", "fixed", "--agent", "openai:gpt-4.1"), "OPENAI_API_KEY"),
        ((BUTTONS, "--budget", "euro=3"), "unknown unit 'euro'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    given: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["decide", *given]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert words in output.err
    assert "secret" not in output.err


def test_what_may_cost_without_limit_is_asked_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    assert main(["decide", BUTTONS, "--method", "fixed", "--agent", "openai:gpt-4.1-mini"]) == 2
    assert "limit it, as in --budget usd=1" in capsys.readouterr().err


def test_the_example_of_an_own_environment_runs_as_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(shutil.copytree(ROOT / "examples" / "own_environment", tmp_path / "own"))
    scripted = ScriptedActor()

    def answer(request: dict[str, Any]) -> str:
        return scripted(request).replace("answer>", "price>")

    with FakeServer(answer) as server:
        assert main([*arguments(server, "shelf:Shelf", "--method", "expo,fixed", "--rounds", "35"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["measure"] == "regret"
    expo, fixed = (row["runs"][0]["result"] for row in document["rows"])
    assert 0 < expo["figure"] < 35 * 40
    assert expo["fixed_regret"] is not None  # what people pay drifts
    assert (expo["unreadable"], fixed["unreadable"]) == (0, 0)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("raise RuntimeError('no stock')", "step raised RuntimeError: no stock (mine.py, line 5)"),
        ("import time; time.sleep(60)", "hangs: step has not returned for 0.5 s"),
    ],
)
def test_an_environment_that_raises_or_hangs_is_one_line_and_goes_on_when_mended(
    step: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    source = "import shelf\n\nclass Mine(shelf.Shelf):\n    def step(self, action, action_id):\n        STEP\n"
    shutil.copy(ROOT / "examples" / "own_environment" / "shelf.py", tmp_path)
    (tmp_path / "mine.py").write_text(source.replace("STEP", step))
    given = ["decide", "mine:Mine", "--method", "ucb1", "--rounds", "3", "--environment-seconds", "0.5", "--run", "own"]
    assert main(given) == 1
    assert words in " ".join(capsys.readouterr().out.split())
    (tmp_path / "mine.py").write_text(source.replace("STEP", "return super().step(action, action_id)"))
    assert main(["resume", "own", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["runs"][0]["result"]["rounds"] == 3


def test_the_benchmark_judges_and_its_last_line_is_json() -> None:
    small = ("--environments", "drifting:switch,regression:w2-b30", "--methods", "expo,fixed,ucb1", "--rounds", "4")
    options = [word for one in SMALL for word in ("--option", one)]
    done = benchmark("decide", *small, "--seeds", "1", "--switch-at", "2", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["seconds_per_round"] > 0
    assert found["peak_mb"] > 10
    assert set(found["figures"]["drifting:switch"]) == {"expo", "fixed", "ucb1"}
    assert set(found["figures"]["regression:w2-b30"]) == {"expo", "fixed"}
    assert set(found["families"]) == {"drifting", "regression"}
    assert "expo" in done.stdout.splitlines()[1]


def test_the_benchmark_says_what_it_does_not_know() -> None:
    done = benchmark_here("decide", "--environments", "no:such")
    assert done.returncode == 2
    assert "no:such" in done.stderr
