"""The nodes of the graph of an agent that decides: each may be run again after a crash, as if it never had been."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from ..agents.actor import Chosen, meta_prompt_text, pairs_text, summary_text
from ..errors import BudgetExceeded, ModelError, TaskError
from ..evaluation.meta_scores import LOWEST, batch_score, maximised, minimised
from ..traces.rows import Action, Round
from .decide_learning import Learning, open_learning
from .decide_result import decision_run
from .decide_session import UNREADABLE, DecideSession, Shown, Versions, open_decide_session
from .decide_state import DecideState
from .decide_versions import versions
from .state import Update
from .steps import Node, closing, like

SILENT_ROUNDS = 3
"""Rounds in a row in which no call is answered, after which the run stops, to be resumed."""

NOT_EMBEDDED = "exemplars not embedded"
"""The note of a round whose exemplars could not be embedded: they are the best ones, and nothing is learned of them."""

DecideWork = Callable[[DecideSession, DecideState], Awaitable[Update]]


def decide_step(work: DecideWork) -> Node:
    """The node that does `work` on the run's session; a budget that is spent ends the run with what it has."""

    async def node(state: DecideState) -> Update:
        session = await open_decide_session(state["run_id"])
        try:
            return await work(session, state)
        except BudgetExceeded as stop:
            return {"stop": f"the budget is spent: {stop}"}

    return closing(like(node, work))


async def warm_start(session: DecideSession, state: DecideState) -> Update:
    """Let the environment take the actions that it begins with."""
    for action in session.actions_of(0):
        if not action.taken:
            await session.take(action)
    if session.description.goal == "minimise" and not session.listed:
        _bound(session)
    return {}


async def domain(session: DecideSession, state: DecideState) -> Update:
    """Rephrase task and instruction, and embed every version; once for a run."""
    session.calls.begin(0)
    await _learning(session, 0)
    task, instruction = session.texts
    session.emit("domain", tasks=len(task), instructions=len(instruction), rounds=session.length)
    return {}


async def choose(session: DecideSession, state: DecideState) -> Update:
    """Choose the meta-prompt (without an agent: the action) of the next round, and what it shows of the past."""
    number = state["round"]
    session.began = time.monotonic()
    session.enter(number)
    learning = await _learning(session, number - 1)
    choice = learning.chooser.choose(session.generator(number, "choose"))
    before = session.rounds.get(number - 1)
    shown = await _shown(session, learning, number)
    seen = _distinct(session, number)
    of = list(session.description.actions) or [action.id for action in seen]
    session.keep_round(
        Round(
            session.run.id,
            number,
            choice.arm,
            choice.probability,
            choice.entropy,
            learning.distance(choice.arm, before.arm if before else None),
            tuple(of[index] for index in shown.candidates[shown.chosen]) if session.how.agent else (),
            None,
            note="" if shown.embeddings is not None else NOT_EMBEDDED,
        )
    )
    return {"arm": choice.arm, "probability": choice.probability}


async def build(session: DecideSession, state: DecideState) -> Update:
    """Put the meta-prompt together."""
    if session.how.agent:
        session.emit("meta_prompt", round=state["round"], arm=state["arm"], text=await _meta_prompt(session, state))
    return {}


async def act(session: DecideSession, state: DecideState) -> Update:
    """Let the agent choose a batch of actions."""
    number, run_id = state["round"], session.run.id
    if session.actor is None:
        session.keep_action(Action(run_id, number, 0, session.description.actions[state["arm"]]))
        return {"silent": 0}
    session.enter(number)
    text = await _meta_prompt(session, state)
    chosen = await session.actor.act(text, session.description.answer, number)
    for index, one in enumerate(chosen):
        session.keep_action(_row(session, number, index, one))
    missing = all(one.action is None and not one.unreadable for one in chosen)
    silent = state["silent"] + 1 if missing else 0
    if silent >= SILENT_ROUNDS:
        raise ModelError(f"no call of {silent} rounds succeeded: {session.calls.trouble}")
    return {"silent": silent}


async def observe(session: DecideSession, state: DecideState) -> Update:
    """Take the actions and see what comes of them: one of the batch where they are listed, else all."""
    number = state["round"]
    batch = [action for action in session.actions_of(number) if action.action]
    if session.listed and batch:
        batch = [batch[int(session.generator(number, "play").integers(len(batch)))]]
    for action in batch:
        if not action.taken:
            await session.take(action)
    return {}


async def learn(session: DecideSession, state: DecideState) -> Update:
    """Score the meta-prompt, and learn from it; a score that is missing teaches nothing."""
    number, arm = state["round"], state["arm"]
    learning = await _learning(session, number - 1)
    row = session.rounds[number]
    # Of its note, what `choose` said: an execution that was cut short may have added to it.
    unembedded = row.note.startswith(NOT_EMBEDDED)
    score, why = _score(session, number)
    if score is not None:
        shown = await _shown(session, learning, number)
        try:
            await asyncio.to_thread(_observe, learning, arm, score, state["probability"], shown)
        except ValueError as error:
            score, why = None, str(error)
    await asyncio.to_thread(learning.save, number)
    note = "; ".join(part for part in (NOT_EMBEDDED if unembedded else "", why) if part)
    row = replace(row, score=score, note=note, seconds=time.monotonic() - session.began)
    session.keep_round(row)
    session.shown.pop(number, None)
    if session.embeddings:
        session.embeddings.forget("exemplars", number - 1)
    session.emit(
        "round",
        round=number,
        of=session.length,
        arm=arm,
        score=score,
        entropy=row.entropy,
        distance=row.distance,
        note=note,
        regret=[action.regret for action in session.actions_of(number) if action.taken],
    )
    return {"round": number + 1}


async def publish(session: DecideSession, state: DecideState) -> Update:
    """Write the result into the run store and close the run."""
    if session.rounds:
        # Taken up here by another process, the session does not know yet which meta-prompts there are.
        await _learning(session, max((row.round for row in session.rounds.values() if row.seconds), default=0))
    result = decision_run(session, state["stop"])
    await session.store.update_run(
        session.run.id, status="finished", result=result.model_dump(mode="json"), seconds=session.ledger.seconds
    )
    session.emit("finished", verdict=result.verdict, measure=result.measure, figure=result.figure)
    await session.aclose()
    return {"verdict": result.verdict}


async def _learning(session: DecideSession, round: int) -> Learning:
    """The choosers as they were at the end of that round. What they need is asked for once in a run."""
    if session.learning is not None:
        return session.learning
    description, how = session.description, session.how
    wording = description.wording(how.wording)
    texts: Versions = ((wording.task,), (wording.instruction,))
    tables: list[np.ndarray] = [np.zeros((1, 1)), np.zeros((1, 1))]
    if not how.agent:
        tables = [np.zeros((len(description.actions), 1))]
    if how.rephrased and session.desk is not None and session.embeddings is not None:
        texts = await versions(session, session.desk, wording)
        if session.options.embedding == "shared":
            pairs = [f"{task}\n\n{instruction}" for task in texts[0] for instruction in texts[1]]
            tables = [await session.embeddings.embed(pairs, "pairs", 0)]
        else:
            tables = [
                await session.embeddings.embed(texts[0], "tasks", 0),
                await session.embeddings.embed(texts[1], "instructions", 0),
            ]
    session.texts = texts
    session.learning = await asyncio.to_thread(
        open_learning,
        how,
        session.options,
        tables,
        eta=description.eta,
        length=description.exemplars,
        summary=session.listed,
        seed=session.settings.seed,
        folder=session.folder,
        round=round,
    )
    return session.learning


async def _shown(session: DecideSession, learning: Learning, round: int) -> Shown:
    """What this round shows of the past; the same whenever it is asked."""
    if round in session.shown:
        return session.shown[round]
    seen, chooser = _distinct(session, round), learning.exemplars
    if session.listed:
        scores = [0.0] * len(session.description.actions)
    else:
        sign = -1.0 if session.description.goal == "minimise" else 1.0
        scores = [sign * action.value for action in seen if action.value is not None]
    candidates = chooser.candidates(scores, session.generator(round, "exemplars"))
    row = session.rounds.get(round)
    if row is not None and row.note.startswith(NOT_EMBEDDED):  # asked again, they might be had, and show another one
        session.shown[round] = Shown(candidates, 0, None)
        return session.shown[round]
    embeddings = np.zeros((len(candidates), 1), dtype=np.float32)
    if chooser.embeds and session.embeddings is not None:
        texts = [_history(session, round, seen, candidate) for candidate in candidates]
        try:
            embeddings = await session.embeddings.embed(texts, "exemplars", round)
        except ModelError as error:
            session.emit("embedding_failed", round=round, message=str(error))
            session.shown[round] = Shown(candidates, 0, None)
            return session.shown[round]
    choice = chooser.choose(embeddings, session.generator(round, "show"))
    session.shown[round] = Shown(candidates, choice.arm, embeddings)
    return session.shown[round]


def _observe(learning: Learning, arm: int, score: float, probability: float, shown: Shown) -> None:
    learning.chooser.observe(arm, score, probability)
    if shown.embeddings is not None:
        learning.exemplars.observe(shown.embeddings, shown.chosen, score)


def _distinct(session: DecideSession, round: int) -> list[Action]:
    """The actions of earlier rounds, each once, with the value that it had last."""
    return list({action.action: action for action in session.seen_before(round)}.values())


def _history(session: DecideSession, round: int, seen: Sequence[Action], sequence: tuple[int, ...]) -> str:
    """A sequence of past actions, of which `seen` are the distinct ones, as the meta-prompt of the round shows it."""
    said = session.description
    if session.listed:
        return summary_text([said.actions[index] for index in sequence], session.seen_before(round), said.value)
    return pairs_text([seen[index] for index in sequence], said.value)


async def _meta_prompt(session: DecideSession, state: DecideState) -> str:
    learning = await _learning(session, state["round"] - 1)
    shown = await _shown(session, learning, state["round"])
    task, instruction = session.meta_prompt(state["arm"])
    seen = _distinct(session, state["round"])
    history = _history(session, state["round"], seen, shown.candidates[shown.chosen])
    said, seed = session.description, session.settings.seed
    return meta_prompt_text(task, instruction, history, said.answer, seed=seed, written=not session.listed)


def _row(session: DecideSession, round: int, index: int, chosen: Chosen) -> Action:
    """The action as it is stored; an answer without one counts as the environment says."""
    run_id, said = session.run.id, session.description
    if chosen.action is not None:
        return Action(run_id, round, index, chosen.action)
    if not chosen.unreadable:
        return Action(run_id, round, index, "", note="missing")
    note = f"{UNREADABLE}: {chosen.unreadable}"
    if said.unreadable == "random":
        drawn = int(session.generator(round, index, "unreadable").integers(len(said.actions)))
        return Action(run_id, round, index, said.actions[drawn], note=f"{note}; a random action instead")
    return Action(run_id, round, index, "", note=note)


def _bound(session: DecideSession) -> float:
    """For minimisation, the value that scores 0. Raises TaskError where there is none above 0."""
    said = session.description
    starts = [action.value for action in session.actions_of(0) if action.value is not None]
    bound = said.bound if said.bound is not None else max(starts, default=None)
    if bound is None or bound <= 0:
        raise TaskError(
            f"environment {session.settings.environment}: minimisation needs a bound above 0, and "
            f"{'there are no warm starts' if bound is None else f'the worst warm start has {bound:g}'}; "
            "set Description.bound, or add a constant to the values"
        )
    return bound


def _score(session: DecideSession, round: int) -> tuple[float | None, str]:
    """What the meta-prompt of the round scores; None, and why, where that is missing."""
    said, actions = session.description, session.actions_of(round)
    sign = -1.0 if said.goal == "minimise" else 1.0
    low, high = (said.low, said.high) if sign > 0 else _turned(said.low, said.high)
    if session.actor is None:
        value = actions[0].value if actions else None
        return (None, "no value") if value is None else (maximised(sign * value, low, high), "")
    if session.listed:
        chosen = [action.action for action in actions if action.action]
        worst = sum(said.unreadable == "worst" and a.note.startswith(UNREADABLE) for a in actions)
        if not chosen and not worst:
            return None, "no action"
        seen = [(a.action, sign * a.value) for a in session.seen_before(round + 1) if a.value is not None]
        told = len(chosen) * batch_score(chosen, seen, low, high) if chosen else 0.0
        return (told + worst * LOWEST) / (len(chosen) + worst), ""
    judged = actions[-1] if actions and actions[-1].index == session.options.batch - 1 else None
    if judged is None or judged.note == "missing":
        return None, "the answer at temperature 0 is missing"
    if not judged.action:
        return (LOWEST, judged.note) if said.unreadable == "worst" else (None, judged.note)
    if judged.value is None:
        return None, judged.note
    if said.goal == "minimise":
        return minimised(judged.value, _bound(session)), ""
    return maximised(judged.value, said.low, said.high), ""


def _turned(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    return None if high is None else -high, None if low is None else -low
