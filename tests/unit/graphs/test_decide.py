"""An agent that decides in sequence: what is learned, what is missing, what ends a run, and that it goes on exactly."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langgraph.runtime import RunControl

from sage_spo import Description, EnvironmentFailure, Outcome, RunInterrupted, TaskError, UsageError, adecide
from sage_spo.jobs.decide.result import DecideResult
from sage_spo.tests.fakes.acting import ScriptedActor
from sage_spo.tests.fakes.faults import Faults
from sage_spo.tests.fakes.server import FakeServer, error
from sage_spo.traces.decision_result import DecisionRun
from sage_spo.traces.rows import Action, Round
from sage_spo.traces.store import RunStore

SMALL = {"arms": 4, "hidden": 8, "iterations": 10, "draws": 6, "length": 3, "pool": 5}
BUTTONS = "bandits:buttons-hard"


async def decided(
    server: FakeServer, environment: Any, methods: Any = "expo", rounds: int = 4, **more: Any
) -> DecideResult:
    given: dict[str, Any] = {"agent": "openai:actor", "base_url": server.url, "embeddings": "openai:vectors"}
    given |= {"options": SMALL, **more}
    return await adecide(environment, methods, rounds=rounds, **given)


def run_of(result: DecideResult, row: int = 0, seed: int = 0) -> DecisionRun:
    run = result.rows[row].runs[seed]
    assert run.result is not None, run.error
    return run.result


async def rows_of(home: Path, run_id: str) -> tuple[list[Round], list[Action]]:
    async with await RunStore.open(home) as store:
        return await store.rounds(run_id), await store.actions(run_id)


class Numbers:
    """A user's own environment: any number; its value is what `value` makes of it."""

    def __init__(self, value: Callable[[float], Any] = lambda x: x, **said: Any) -> None:
        self.value = value
        self.said: dict[str, Any] = {"low": 0.0, "high": 100.0, **said}
        self.taken: list[str] = []

    def reset(self, seed: int) -> list[str]:
        return self.said.get("starts", ["10", "20"])

    def describe(self) -> Description:
        said = {name: value for name, value in self.said.items() if name != "starts"}
        return Description("Find the best number.", "Propose one.", "Answer with a number.", **said)

    def parse(self, reply: str) -> str:
        return f"{float(reply.split()[-1]):g}"

    def step(self, action: str, action_id: str) -> Any:
        self.taken.append(action_id)
        return self.value(float(action))


def number_server(reply: Callable[[dict[str, Any]], str] = lambda request: "I say 42") -> FakeServer:
    rephrase = ScriptedActor()

    def answer(request: dict[str, Any]) -> str:
        return rephrase(request) if "response_format" in request else reply(request)

    return FakeServer(answer)


class RefusesEmbeddings(FakeServer):
    """Answers with an error to requests for embeddings of texts that hold `of`."""

    def __init__(self, answer: Any, of: str = "") -> None:
        super().__init__(answer)
        self.of = of

    async def _respond(self, request: Any, body: dict[str, Any], fault: Any) -> Any:
        if any(self.of in text for text in body.get("input", ())):
            return error(400, "no such embeddings", "bad_request")
        return await super()._respond(request, body, fault)


async def test_every_method_plays_and_its_figure_is_the_sum_of_what_was_lost(home: Path) -> None:
    methods = ["expo", "expo-es", "expo-discounted", "expo-fixed-share", "expo-fading", "exp3s", "stochastic"]
    methods += ["neural-ucb", "fixed", "opro", "opro-clarified", "ucb1", "discounted-ucb", "thompson"]
    with FakeServer(ScriptedActor()) as server:
        result = await decided(server, BUTTONS, methods, rounds=3)
    assert result.exit_code == 0
    for place, name in enumerate(methods):
        run = run_of(result, place)
        rounds, actions = await rows_of(home, run.run_id)
        played = [action for action in actions if action.taken]
        assert run.method == name
        assert [row.round for row in rounds] == [action.round for action in played] == [1, 2, 3]
        assert run.figure == pytest.approx(sum(action.regret or 0.0 for action in played))
        assert run.curve[-1] == run.figure
        assert run.scores == [row.score for row in rounds]
        assert all(row.score is not None for row in rounds)
        assert len(actions) == (3 if run.agent is None else 24)
    assert {run_of(result, i).arms_of for i in range(8)} == {25}
    assert [run_of(result, i).arms_of for i in (8, 11)] == [1, 5]


async def test_all_actions_of_a_batch_are_taken_where_they_cannot_be_listed_and_the_last_one_scores(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, "regression:w2-b30", "fixed", rounds=2))
    rounds, actions = await rows_of(home, run.run_id)
    starts = [action for action in actions if action.round == 0]
    worst = max(action.value or 0.0 for action in starts)
    assert len(actions) == 5 + 16
    assert all(action.taken for action in actions)
    for row in rounds:
        last = next(action for action in actions if (action.round, action.index) == (row.round, 7))
        assert row.score == pytest.approx(max(-1.0, (worst - (last.value or 0.0)) / worst))
    gaps = [action.regret for action in actions if action.regret is not None]
    assert run.figure == min(gaps)
    assert run.best_value == min(action.value for action in actions if action.value is not None)


async def test_what_a_round_is_told_is_chosen_from_the_rounds_before_it(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, "tsp:10", "expo-es", rounds=3))
    rounds, actions = await rows_of(home, run.run_id)
    for row in rounds:
        assert len(row.exemplars) == 3
        assert all(int(exemplar.partition(".")[0]) < row.round for exemplar in row.exemplars)
    assert len({action.id for action in actions}) == len(actions)
    asked = [body["messages"][0]["content"] for body in server.chats if "response_format" not in body]
    known = {action.id: action.action for action in actions}
    assert all(f"{known[exemplar]} → length" in asked[-1] for exemplar in rounds[-1].exemplars)


async def test_the_summary_of_listed_actions_is_turned_round_by_what_was_learned(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, BUTTONS, "expo-es", rounds=5))
    rounds, _ = await rows_of(home, run.run_id)
    names = ["blue", "green", "red", "yellow", "purple"]
    for row in rounds:
        start = names.index(row.exemplars[0])
        assert list(row.exemplars) == names[start:] + names[:start]
    assert len({row.exemplars for row in rounds}) > 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "much", 1e9, -1.0])
async def test_a_value_that_is_none_teaches_nothing_and_is_never_shown(value: Any, home: Path) -> None:
    environment = Numbers(lambda x: value if x == 42 else x)
    with number_server() as server:
        run = run_of(await decided(server, environment, "expo", rounds=2))
    rounds, actions = await rows_of(home, run.run_id)
    assert run.scores == [None, None]
    assert run.missing == 2
    assert all(row.note for row in rounds)
    assert all(action.value is None and action.note for action in actions if action.round)
    told = [body["messages"][0]["content"] for body in server.chats if "response_format" not in body]
    assert all("→ value 10" in text and "42" not in text for text in told)
    with np.load(next((home / "runs" / run.run_id).glob("learned-*2.npz"))) as learned:
        assert all(np.isfinite(learned[name]).all() for name in learned.files)


async def test_a_value_now_and_then_missing_leaves_the_others(home: Path) -> None:
    values = iter([5.0, 6.0, math.nan, 7.0])
    with number_server() as server:
        environment = Numbers(lambda x: next(values) if x == 42 else x)
        run = run_of(await decided(server, environment, "expo", options={**SMALL, "batch": 1}))
    assert run.scores == [0.05, 0.06, None, 0.07]
    assert run.measure == "best"
    assert run.figure == 20.0  # of the warm starts


@pytest.mark.parametrize(
    ("environment", "said", "score"),
    [
        ("worst", {"unreadable": "worst", "goal": "minimise"}, -1.0),
        ("missing", {"unreadable": "missing", "goal": "minimise"}, None),
    ],
)
async def test_an_answer_without_an_action_counts_as_the_environment_says(
    environment: str, said: dict[str, Any], score: float | None, home: Path
) -> None:
    with number_server(lambda request: "none of them") as server:
        run = run_of(await decided(server, Numbers(**said), "fixed", rounds=1))
    assert run.scores == [score]
    assert run.unreadable == 8
    assert len(server.chats) == 16  # each asked once more


async def test_where_the_environment_says_so_an_unreadable_answer_is_a_random_action(home: Path) -> None:
    with FakeServer(ScriptedActor(sloppy=1.0)) as server:
        run = run_of(await decided(server, BUTTONS, "fixed", rounds=6))
    _, actions = await rows_of(home, run.run_id)
    assert run.unreadable == 48
    assert len({action.action for action in actions}) == 5
    assert sum(action.taken for action in actions) == 6


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"goal": "minimise", "low": -50.0, "starts": ["-5", "-7"]},
            r"a bound above 0, and the worst warm start has -5",
        ),
        ({"goal": "minimise", "starts": []}, r"a bound above 0, and there are no warm starts"),
    ],
)
async def test_a_minimisation_without_a_positive_bound_is_refused(said: dict[str, Any], words: str) -> None:
    with number_server() as server, pytest.raises(TaskError, match=words):
        await decided(server, Numbers(**said), "fixed")


async def test_a_bound_of_its_own_makes_up_for_it(home: Path) -> None:
    said = {"goal": "minimise", "low": -50.0, "starts": ["-5"], "bound": 84.0}
    with number_server() as server:
        assert run_of(await decided(server, Numbers(**said), "fixed", rounds=1)).scores == [0.5]


async def test_a_domain_that_says_the_same_again_has_fewer_arms_and_says_so(home: Path) -> None:
    with FakeServer(ScriptedActor(copies=2)) as server:
        run = run_of(await decided(server, BUTTONS, "expo", rounds=2, options={**SMALL, "arms": 6}))
    assert run.arms_of == 9
    assert run.notes == ["3 tasks and 3 instructions instead of 7 each: the others came out alike or unusable"]
    events = (home / "runs" / run.run_id / "events.jsonl").read_text()
    assert events.count('"fewer_arms"') == 2


async def test_an_embedding_model_that_fails_ends_the_run_before_its_first_round(home: Path) -> None:
    with RefusesEmbeddings(ScriptedActor()) as server:
        result = await decided(server, BUTTONS, ["expo", "fixed"])
    assert result.exit_code == 1
    assert [run.state for row in result.rows for run in row.runs] == ["failed", "done"]
    assert "embedding model openai:vectors" in result.rows[0].runs[0].error


async def test_exemplars_that_cannot_be_embedded_are_the_best_ones_and_teach_nothing(home: Path) -> None:
    with RefusesEmbeddings(ScriptedActor(), of="→ value") as server:
        run = run_of(await decided(server, "regression:w2-b30", "expo-es", rounds=1))
    [row], _ = await rows_of(home, run.run_id)
    assert row.note == "exemplars not embedded"
    assert row.score is not None
    with np.load(next((home / "runs" / run.run_id).glob("learned-*1.npz"))) as learned:
        assert any(name.startswith("arms/") for name in learned.files)
        assert not any(name.startswith("exemplars/") for name in learned.files)


async def test_an_environment_that_raises_or_hangs_ends_the_run_which_goes_on_when_it_is_mended(home: Path) -> None:
    broken = Numbers(lambda x: 1 / 0 if x == 42 else x)
    with number_server() as server:
        result = await decided(server, broken, "fixed", run="mine", rounds=2)
        assert result.exit_code == 1
        assert "step raised ZeroDivisionError" in result.rows[0].runs[0].error
        calls = len(server.chats)
        run = run_of(await decided(server, Numbers(), "fixed", run="mine", rounds=2))
    assert run.scores == [0.42, 0.42]
    assert len(server.chats) == calls + 8  # the first round had been asked and paid


async def test_a_budget_that_is_spent_ends_the_run_with_what_it_has(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, BUTTONS, "fixed", rounds=9, budget="agent_calls=20"))
    assert (run.rounds, run.verdict) == (2, "stopped")
    assert run.stop.startswith("the budget is spent")
    assert len(server.chats) == 16


async def test_runs_of_different_length_are_compared_after_the_rounds_that_all_have(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        result = await decided(server, BUTTONS, "fixed,ucb1", rounds=6, budget="agent_calls=20", seeds=2)
    assert [len(run_of(result, row).curve) for row in (0, 1)] == [2, 6]
    assert result.rounds == 2
    fixed, ucb1 = ([run_of(result, row, seed).curve[1] or 0.0 for seed in (0, 1)] for row in (0, 1))
    assert result.rows[1].mean == np.mean(ucb1)
    assert result.pairs[0].difference == pytest.approx(np.mean(fixed) - np.mean(ucb1))
    assert result.notes[0] == "compared after 2 rounds, which all runs have; the longest has 6"


async def test_a_grown_budget_is_kept_and_a_run_that_had_spent_its_own_says_that_it_stays(home: Path) -> None:
    said: list[str] = []
    with FakeServer(ScriptedActor()) as server:
        await decided(server, BUTTONS, "fixed", rounds=4, budget="agent_calls=20", run="x")
        result = await decided(server, BUTTONS, "fixed", rounds=4, budget="agent_calls=90", run="x", say=said.append)
    assert run_of(result).verdict == "stopped"
    assert "does not go on" in said[0]
    async with await RunStore.open(home) as store:
        [call] = [run for run in await store.runs() if run.alias == "x"]
    assert call.settings["free"]["budget"] == "agent_calls=90"


class Prices:
    """Two listed actions, whose values are far from 0 and 1."""

    def __init__(self, goal: str, **said: Any) -> None:
        self.said = {"goal": goal, "low": 0.0, "high": 130.0, "actions": ("cheap", "dear"), **said}

    def reset(self, seed: int) -> None: ...

    def describe(self) -> Description:
        return Description("Sell.", "Choose a price.", "Answer with its name.", **self.said)

    def parse(self, reply: str) -> str:
        return reply

    def step(self, action: str, action_id: str) -> Outcome:
        return Outcome({"cheap": 20.0, "dear": 110.0}[action], means=(20.0,))


@pytest.mark.parametrize(
    ("method", "goal", "best"),
    [
        ("ucb1", "maximise", "dear"),
        ("ucb1", "minimise", "cheap"),
        ("discounted-ucb", "maximise", "dear"),
        ("thompson", "minimise", "cheap"),
        pytest.param("discounted-ucb", "minimise", "cheap", marks=pytest.mark.full),
        pytest.param("thompson", "maximise", "dear", marks=pytest.mark.full),
    ],
)
async def test_reference_lines_see_values_as_parts_of_their_range(
    method: str, goal: str, best: str, home: Path
) -> None:
    with FakeServer(ScriptedActor()) as server:
        options = {**SMALL, "exemplars": "learned"}
        run = run_of(await decided(server, Prices(goal), method, rounds=40, options=options))
        assert server.log == []  # nothing is shown to anybody, so that nothing is embedded
    assert all(score is not None and 0 <= score <= 1 for score in run.scores)
    _, actions = await rows_of(home, run.run_id)
    assert sum(action.action == best for action in actions if action.round > 20) > 13
    assert all(action.means == () for action in actions)  # of one action they say nothing


async def test_unreadable_answers_score_lowest_where_the_environment_says_so(home: Path) -> None:
    class Strict(Prices):
        def parse(self, reply: str) -> str:
            raise ValueError("no action")

    with number_server() as server:
        run = run_of(await decided(server, Strict("maximise", unreadable="worst"), "fixed", rounds=2))
    assert run.scores == [-1.0, -1.0]


async def test_a_text_too_long_to_be_rephrased_is_refused_before_anything_is_spent(home: Path) -> None:
    class Wordy(Numbers):
        def describe(self) -> Description:
            return Description("Find it. " * 2000, "Propose one.", "Answer with a number.", low=0.0, high=100.0)

    with number_server() as server:
        with pytest.raises(TaskError, match=r"environment Wordy: the task description has .* expo rephrases it"):
            await decided(server, Wordy(), "expo")
        assert server.log == []


@pytest.mark.parametrize(
    ("methods", "more", "words"),
    [
        ("expoo", {}, "Did you mean 'expo'"),
        ("expo,expo", {}, "given twice"),
        ("", {}, "name a method"),
        ("expo", {"options": {"armz": 4}}, "there is no such option"),
        ("expo", {"options": {"eta": -1}}, "option 'eta' of method expo"),
        ("expo", {"preset": "faithfull"}, "Did you mean 'faithful'"),
        ("expo", {"options": {"embedding": "shared"}}, "set arms to 49 or fewer"),
        ("expo", {"rounds": 0}, "rounds"),
        ("expo", {"seeds": 0}, "--seeds"),
        ("expo", {"agent": "nobody:x"}, "unknown model provider"),
        ("expo", {"timeout": math.nan}, "timeout"),
    ],
)
async def test_wrong_usage_is_refused_before_anything_is_made(
    methods: str, more: dict[str, Any], words: str, home: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        await adecide(BUTTONS, methods, **{"rounds": 2, **more})
    async with await RunStore.open(home) as store:
        assert await store.runs() == []


async def test_methods_that_choose_actions_need_them_listed() -> None:
    with pytest.raises(UsageError, match="ucb1 chooses among listed actions, and environment tsp:10 lists none"):
        await adecide("tsp:10", "ucb1")


async def test_a_run_of_the_same_name_goes_on_and_a_finished_one_asks_nothing(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        first = await decided(server, BUTTONS, ["expo", "fixed"], run="same")
        asked = len(server.log)
        again = await decided(server, BUTTONS, ["expo", "fixed"], run="same")
        assert len(server.log) == asked
        assert again == first
        with pytest.raises(UsageError, match="seeds"):
            await decided(server, BUTTONS, ["expo", "fixed"], run="same", seeds=2)


STORY = {"figure", "curve", "scores", "arms", "entropy", "distance", "meta_prompt", "rounds", "unreadable", "missing"}


@pytest.mark.parametrize(
    ("environment", "name"), [(BUTTONS, "expo-es"), ("regression:w2-b30", "expo-es"), (BUTTONS, "ucb1")]
)
async def test_stopped_in_any_round_it_goes_on_to_the_same_result(environment: str, name: str, home: Path) -> None:
    with FakeServer(ScriptedActor(sloppy=0.1)) as server:
        whole = run_of(await decided(server, environment, name, rounds=4))
        for stop in (1, 4):
            control = RunControl()

            def listen(event: str, fields: dict[str, Any], stop: int = stop, control: RunControl = control) -> None:
                if event == "round" and fields["round"] == stop:
                    control.request_drain("asked to stop")

            with pytest.raises(RunInterrupted):
                await decided(server, environment, name, run=f"cut{stop}", listener=listen, control=control)
            gone_on = run_of(await decided(server, environment, name, run=f"cut{stop}"))
            assert gone_on.model_dump(include=STORY) == whole.model_dump(include=STORY)
            calls = [run.spend["spent"]["agent_calls"] for run in (whole, gone_on)]
            assert calls[0] == calls[1]


async def test_a_checkpoint_stays_small_and_what_is_learned_is_bounded(home: Path) -> None:
    with number_server(lambda request: f"{'word ' * 50} 42") as server:
        run = run_of(await decided(server, Numbers(), "expo", rounds=12))
    with sqlite3.connect(home / "checkpoints.sqlite") as db:
        [(largest,)] = db.execute("SELECT max(length(checkpoint)) FROM checkpoints").fetchall()
    assert largest < 20_000
    assert len(list((home / "runs" / run.run_id).glob("learned-*.npz"))) == 2


async def test_the_embeddings_of_both_texts_may_be_one(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, BUTTONS, "expo", rounds=2, options={**SMALL, "embedding": "shared"}))
    assert run.arms_of == 25
    assert run.distance[0] is None


async def test_faults_of_the_provider_change_nothing(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        whole = run_of(await decided(server, BUTTONS, "expo"))
    with FakeServer(ScriptedActor(), Faults({"429": 0.05, "500": 0.05, "malformed": 0.03}, at_most=2)) as server:
        run = run_of(await decided(server, BUTTONS, "expo", timeout=2.0))
        assert any(entry.fault for entry in server.log)
    assert run.model_dump(include=STORY) == whole.model_dump(include=STORY)


async def test_the_log_tells_every_round_and_no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789abcdef")
    with FakeServer(ScriptedActor()) as server:
        run = run_of(await decided(server, BUTTONS, "expo", rounds=2))
    text = (home / "runs" / run.run_id / "events.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["round"] for event in events if event["event"] == "round"] == [1, 2]
    assert "sk-very-secret" not in text


async def test_an_outcome_that_is_another_one_on_resume_is_logged_and_the_first_counts(home: Path) -> None:
    told: list[str] = []
    values = iter(range(1000))
    environment = Numbers(lambda x: Outcome(float(next(values)) / 10) if x == 42 else Outcome(x))
    control = RunControl()

    def listen(event: str, fields: dict[str, Any]) -> None:
        told.append(event)
        if event == "round" and fields["round"] == 1:
            control.request_drain("asked to stop")

    with number_server() as server:
        with pytest.raises(RunInterrupted):
            await decided(server, environment, "fixed", rounds=2, run="own", listener=listen, control=control)
        run = run_of(await decided(server, environment, "fixed", rounds=2, run="own", listener=listen))
    assert "outcome_differs" in told
    assert run.scores[0] == pytest.approx(0.007)


def test_a_failure_of_an_environment_is_an_error_of_its_own() -> None:
    assert EnvironmentFailure("x").exit_code == 1
