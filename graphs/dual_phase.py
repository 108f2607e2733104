"""`dual-phase`: a prompt inferred from right answers, then edited sentence by sentence.

Sources: arXiv 2406.13443; docs/strategies.md. Sentences are drawn by weights that grow with what their edits brought.
`faithful` edits one at a time and tests it on failure cases and on the validation set; by default several are edited at
once, put together, and those that are not missed when left out are dropped, before the project's validator judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from ..agents.failure_cases import Selection
from ..agents.meta_instruction import SECTIONS, Section
from ..agents.units import Granularity, units
from ..agents.validator import Outcome, Verdict
from ..evaluation.sentence_weights import carried, reward, updated
from . import sentence_edits as edits
from .search_loop import build_steps, judge, proposed, settle
from .session import Session
from .state import Graph, RunState, Update
from .strategy import WHOLE, MetaStart, Preset, SearchOptions, Strategy


class DualPhaseOptions(SearchOptions):
    """Options of `dual-phase`. Sources: arXiv 2406.13443, section 3; what it leaves open is in docs/strategies.md.

    Phase 1: `sections` of the meta-instruction, by name and separated by commas (task, description, output, reasoning,
    tips); `start`: whether its result has to be `judged` or is `taken` as it is.

    Phase 2: `candidates` units are edited per iteration (at most 8 where no agent model is set), each a word,
    phrase, sentence or the whole (`granularity`).
    The editor is shown at most `shown` failure cases, chosen by `selection` (random; newest; frequent: those that most
    prompts fail; all, without a limit; none: failures play no part in its request). An edit is dropped, and its
    text banned, where it gets less than `h_f` of the failure cases right, of which at most `cases` are measured;
    another one is asked for, up to `tries` in all (`h_f` = 0: it is not tested). `together`: what is edited at once
    is put into one candidate, without the edits that are not missed; it takes an agent model. Weights grow by `mu`
    times r = `a` · accuracy + (1 - a) · accuracy on failure cases. Before an iteration the champion is measured on
    a `share` of the budget's target calls, where an agent model is set (None: on all of the search split, in any
    case). The threshold h_v is the rule `least_gain`.
    """

    candidates: int = Field(default=20, ge=1, le=32)
    init: Literal["seed", "meta"] = "meta"
    sections: str = ",".join(SECTIONS)
    start: str = Field(default="judged", pattern="^(judged|taken)$")
    granularity: Granularity = "sentence"
    shown: int = Field(default=8, ge=1, le=64)
    selection: Selection = "random"
    cases: int = Field(default=16, ge=1)
    h_f: float = Field(default=0.0, ge=0, le=1)
    tries: int = Field(default=1, ge=1, le=12)
    a: float = Field(default=0.4, ge=0, le=1)
    mu: float = Field(default=0.055, ge=0, le=10)
    together: bool = True
    share: float | None = Field(default=0.15, gt=0, le=1)

    @field_validator("selection", mode="before")
    @classmethod
    def _named_none(cls, value: Any) -> Any:
        return "none" if value is None else value  # what `--option selection=none` is read as

    @field_validator("sections")
    @classmethod
    def _known(cls, value: str) -> str:
        unknown = [name for name in _names(value) if name not in SECTIONS]
        if unknown or not _names(value):
            raise ValueError(f"write some of {', '.join(SECTIONS)}, separated by commas")
        return value

    def meta_start(self) -> MetaStart:
        """Phase 1 as these options have it."""
        return MetaStart(self.pairs, cast("tuple[Section, ...]", _names(self.sections)), self.start == "judged")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


class DualPhaseState(RunState):
    """The run's state, with the weights of the units of one prompt (`weights_of`), and for each candidate the unit it
    changed, its accuracy on failure cases (-1: not measured), and how it is to be judged
    (see `sentence_edits.Fate`)."""

    weights: list[float]
    weights_of: str
    units: list[int]
    on_failures: list[float]
    fates: list[str]


def build() -> Graph:
    """The strategy's subgraph: edit sentences, judge what became of the prompt, and again."""
    return build_steps(edit, validate, DualPhaseState)


def options_of(session: Session) -> DualPhaseOptions:
    """The run's options."""
    options = session.options
    assert isinstance(options, DualPhaseOptions)
    return options


async def edit(session: Session, state: DualPhaseState) -> Update:
    """Draw sentences by their weights, have each edited, and test the edits on failure cases."""
    options, iteration = options_of(session), state["iteration"] + 1
    weights = weights_now(session, state)
    round_ = await edits.edited(session, state, iteration, weights, options)
    update = proposed(session, state, iteration, [one.prompt for one in round_])
    return {
        **update,
        "weights": weights,
        "weights_of": state["champion"],
        "units": [one.unit for one in round_],
        "on_failures": [one.on_failures for one in round_],
        "fates": [one.fate for one in round_],
    }


def weights_now(session: Session, state: Mapping[str, Any]) -> list[float]:
    """The weights of the champion's units: those of a prompt that it shares texts with are carried over."""
    options = options_of(session)

    def texts(prompt_id: str) -> list[str]:
        found = units(session.prompt(prompt_id).system, options.granularity, session.task.locked)
        return [unit.text for unit in found]

    of = state.get("weights_of", "")
    return carried(texts(of) if of else [], state.get("weights", []), texts(state["champion"]))


async def validate(session: Session, state: DualPhaseState) -> Update:
    """Judge the edits that are left, and let the weights of their sentences grow by what they brought."""
    candidates, fates = state["candidates"], state["fates"]
    judged = [i for i, fate in zip(candidates, fates, strict=True) if fate in ("alone", "bundle")]
    outcome = Outcome(session.prompt(state["champion"]), [])
    if judged:
        track = edits.track(session, state["iteration"]) if "bundle" in fates else ()
        panels = edits.panels(session, state["iteration"], judged)
        outcome = await judge(session, {**state, "candidates": judged}, track, panels)  # type: ignore[typeddict-item]
    verdicts = {verdict.prompt_id: verdict for verdict in outcome.verdicts}
    everything = [
        verdicts.get(i) or Verdict(i, False, *edits.verdict(fate), {"on_failures": on})
        for i, fate, on in zip(candidates, fates, state["on_failures"], strict=True)
    ]
    grown = grown_weights(session, state)
    settled = settle(session, state, Outcome(outcome.champion, everything, outcome.budget_spent))
    return {**settled, "weights": grown, "units": [], "on_failures": [], "fates": []}


def grown_weights(session: Session, state: DualPhaseState) -> list[float]:
    """The weights after this iteration's edits, accepted or not. An edit of which nothing was measured changes none."""
    options, weights = options_of(session), state["weights"]
    rows = zip(state["candidates"], state["units"], state["on_failures"], state["fates"], strict=True)
    for prompt_id, unit, tested, fate in rows:
        on = tested if tested >= 0 else edits.on_failures(session, prompt_id, state["champion"])
        if unit < 0 or on is None or fate == "failed":
            continue
        accuracy = edits.accuracy_of(session, prompt_id, state["champion"])
        if accuracy is not None:
            weights = updated(weights, unit, reward(accuracy, on, options.a), options.mu)
    return weights


STRATEGY = Strategy(
    build,
    DualPhaseOptions,
    {
        "faithful": Preset(
            {
                "candidates": 1,
                "iterations": 6,
                "start": "taken",
                "selection": "all",
                "cases": WHOLE,
                "h_f": 0.3,
                "tries": 6,
                "together": False,
                "share": None,
            },
            {
                "accept": "threshold",
                "least_gain": 0.1,
                "screen": False,
                "estimate": "mean",
                "block": WHOLE,
                "max_race": WHOLE,
                "holdout": 0,
            },
        )
    },
)
