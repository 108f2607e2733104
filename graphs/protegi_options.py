"""The options of `protegi`, and what of them the budget decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..evaluation.portions import portion
from .session import Session
from .strategy import SearchOptions


class ProtegiOptions(SearchOptions):
    """Options of `protegi`; `pool` is the width of its beam, `candidates` the most successors of one step.

    A step expands `parents` of the beam's prompts. Each is measured on a `minibatch`; its errors go in `groups` of
    `errors` to the agent model, which gives `gradients` for each group; for each gradient the prompt is changed
    `edits` times, and each outcome said in other words `paraphrases` times. A successor is a `chain` of so many edits,
    one after another, each against another group's gradient (1 in the paper: one edit changes too few answers to be
    told from chance). `own_errors`: errors come from this minibatch alone, as in the paper, not from all that is known
    of the prompt.

    Then a bandit (`select`) pulls the arms, beam and successors: `width` at once in each of `rounds`, each on
    `sample` examples. `exploration` is the factor c of its bounds. `paired`: the k-th pull of every arm takes the same
    examples; without, each draws its own. `likelihood`: rewards count the probability of the right label where the
    target scores labels. `accept`: the beam's best one becomes the champion by the run's `rules` of acceptance, or by
    the bandit's `mean` alone.

    `steps`: where `parents`, `minibatch` or `rounds` is None, it is what lets the budget pay for about so many steps.
    """

    candidates: int = Field(default=8, ge=1, le=64)
    pool: int = Field(default=4, ge=1, le=64)
    parents: int | None = Field(default=None, ge=1, le=64)
    minibatch: int | None = Field(default=None, ge=1)
    groups: int = Field(default=3, ge=1, le=16)
    errors: int = Field(default=4, ge=1, le=16)
    gradients: int = Field(default=1, ge=1, le=16)
    edits: int = Field(default=1, ge=1, le=8)
    chain: int = Field(default=3, ge=1, le=8)
    paraphrases: int = Field(default=0, ge=0, le=8)
    own_errors: bool = False
    select: Literal["ucb", "ucb-e", "rejects"] = "ucb"
    exploration: float = Field(default=0.3, ge=0, le=10)
    rounds: int | None = Field(default=None, ge=1)
    width: int = Field(default=4, ge=1, le=64)
    sample: int = Field(default=8, ge=1)
    paired: bool = True
    likelihood: bool = True
    accept: Literal["rules", "mean"] = "rules"
    steps: int = Field(default=10, ge=1)

    def fitted(self, target_calls: int | None, agent_calls: int | None, asks: bool) -> ProtegiOptions:
        """The options with what they leave open decided by the budget; `asks`: whether there is an agent model."""
        calls = self.groups * (1 + self.gradients * self.edits * (self.chain + self.paraphrases))
        most = portion(agent_calls if asks else None, self.steps * calls, 1, self.pool)
        rounds = portion(target_calls, 2 * self.steps * self.width * self.sample, 2, 64)
        return self.model_copy(
            update={
                "parents": self.parents or most,
                "minibatch": self.minibatch or portion(target_calls, 6 * self.steps, 12, 64),
                "rounds": self.rounds or rounds,
            }
        )


def options_of(session: Session) -> ProtegiOptions:
    """The run's options, with what they leave open decided."""
    options, budget = session.options, session.ledger.budget
    assert isinstance(options, ProtegiOptions)
    return options.fitted(budget.target_calls, budget.agent_calls, session.desk is not None)
