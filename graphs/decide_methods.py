"""How an agent that decides in sequence is told what to do, by name: EXPO, its variants and ablations, baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import UsageError, nearest
from ..evaluation.choosing.exemplars import ExemplarOptions
from ..evaluation.choosing.options import FAITHFUL, ChooserOptions, NetworkOptions

Exemplars = Literal["best", "random", "learned"]
Embedding = Literal["separate", "shared"]


@dataclass(frozen=True)
class Method:
    """What a method does, in a line.

    `chooser` picks the arms: rephrased meta-prompts (`rephrased`), one meta-prompt (its `wording` names whose), or,
    without an `agent`, the actions themselves. `exemplars`: how past actions are picked to be shown.
    """

    summary: str
    chooser: str = "fixed"
    rephrased: bool = False
    agent: bool = True
    wording: str = ""
    exemplars: Exemplars = "best"


def _learned(summary: str, chooser: str, exemplars: Exemplars = "best") -> Method:
    return Method(summary, chooser, rephrased=True, exemplars=exemplars)


METHODS: dict[str, Method] = {
    "expo": _learned("EXPO: meta-prompts chosen by the softmax of predictions summed over rounds", "expo"),
    "expo-es": _learned("EXPO that also learns which past actions are shown", "expo", "learned"),
    "expo-discounted": _learned("EXPO whose older rounds fade", "expo-discounted"),
    "expo-fixed-share": _learned("EXPO with a part of the weight spread evenly each round", "expo-fixed-share"),
    "expo-fading": _learned("EXPO whose older scores fade too, less their mean (this project's own)", "expo-fading"),
    "exp3s": _learned("EXP3.S over the same meta-prompts, without a network", "exp3s"),
    "stochastic": _learned(
        "EXPO without the adversarial part: the best prediction of the newest network", "stochastic"
    ),
    "neural-ucb": _learned("the same network with an upper confidence bound", "neural-ucb"),
    "fixed": Method("the environment's own meta-prompt, all along"),
    "opro": Method("OPRO's meta-prompt, all along", wording="opro"),
    "opro-clarified": Method("OPRO's meta-prompt, made clearer, all along", wording="opro-clarified"),
    "ucb1": Method("UCB1 on the actions themselves, no language model", "ucb1", agent=False),
    "discounted-ucb": Method("discounted UCB on the actions, no language model", "discounted-ucb", agent=False),
    "thompson": Method("Thompson sampling on the actions, no language model", "thompson", agent=False),
}


def method(name: str) -> Method:
    """The method of that name. Raises UsageError with the nearest right one."""
    if name not in METHODS:
        raise UsageError(f"method: unknown '{name}'.{nearest(name, METHODS)} Known: {', '.join(METHODS)}")
    return METHODS[name]


class DecideOptions(BaseModel):
    """Options of the methods; None: the environment's own, or the method's.

    `arms`: so many times each text is rephrased. `batch`: answers asked for each round, the last one at temperature 0.
    `max_tokens` of an answer. `eta`, `discount`, `share`, `mixing`, `exploration`: see `ChooserOptions`; `hidden`,
    `projection` (0: none), `iterations`, `decay`: see `NetworkOptions`. `exemplars`: best, random or learned; `length`
    are shown, from the `pool` best, of `draws` sequences and at `eta_exemplars`, see `ExemplarOptions`.
    `embedding`: of task and instruction apart (`separate`), or of both in one text (`shared`; for 49 rephrasings and
    fewer).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arms: int = Field(default=100, ge=1, le=1000)
    batch: int = Field(default=8, ge=1, le=64)
    max_tokens: int = Field(default=256, ge=1, le=16_384)
    eta: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    discount: float = Field(default=0.9, gt=0, le=1)
    share: float = Field(default=0.01, ge=0, le=1)
    mixing: float = Field(default=0.1, gt=0, le=1)
    exploration: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    hidden: int = Field(default=NetworkOptions.hidden, ge=1, le=16_384)
    projection: int = Field(default=NetworkOptions.projection or 0, ge=0, le=16_384)
    iterations: int = Field(default=NetworkOptions.iterations, ge=1, le=100_000)
    minibatch: int = Field(default=NetworkOptions.batch or 0, ge=0)
    decay: float = Field(default=NetworkOptions.decay, ge=0, allow_inf_nan=False)
    exemplars: Exemplars | None = None
    length: int | None = Field(default=None, ge=1, le=1000)
    pool: int = Field(default=ExemplarOptions.pool, ge=1, le=10_000)
    draws: int = Field(default=ExemplarOptions.draws, ge=1, le=10_000)
    eta_exemplars: float = Field(default=ExemplarOptions.eta, gt=0, allow_inf_nan=False)
    embedding: Embedding = "separate"

    def shown(self, how: Method) -> Exemplars:
        """How past actions are picked; without an agent nothing is shown to anybody."""
        return (self.exemplars or how.exemplars) if how.agent else "best"

    def embeds(self, how: Method) -> bool:
        """Whether the method asks for embeddings."""
        return how.rephrased or self.shown(how) == "learned"

    def network(self) -> NetworkOptions:
        """Size and fit of the networks."""
        return NetworkOptions(
            projection=self.projection or None,
            hidden=self.hidden,
            iterations=self.iterations,
            decay=self.decay,
            batch=self.minibatch or None,
        )

    def chooser(self, eta: float) -> ChooserOptions:
        """What the arm choosers take; `eta`: the environment's."""
        return ChooserOptions(
            eta=self.eta or eta,
            discount=self.discount,
            share=self.share,
            mixing=self.mixing,
            exploration=self.exploration,
            network=self.network(),
        )

    def exemplar_options(self, length: int) -> ExemplarOptions:
        """What the exemplar choosers take; `length`: the environment's."""
        shown = self.length or length
        return ExemplarOptions(
            length=shown,
            pool=max(self.pool, shown),
            draws=self.draws,
            eta=self.eta_exemplars,
            network=self.network(),
        )


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "faithful": {
        "hidden": FAITHFUL.hidden,
        "projection": FAITHFUL.projection or 0,
        "iterations": FAITHFUL.iterations,
        "minibatch": FAITHFUL.batch or 0,
    },
}
"""Changes to the options: `faithful` is the paper's size."""
