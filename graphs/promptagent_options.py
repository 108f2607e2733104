"""The options of `promptagent`, and what of them the budget decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..evaluation.portions import portion
from ..evaluation.tree_search import TreeRules
from .session import Session
from .strategy import SearchOptions


class PromptAgentOptions(SearchOptions):
    """Options of `promptagent`; `candidates` is the expansion width, the children of one node.

    `exploration` is the factor c of UCT, by which the next node is chosen: larger prefers nodes visited less.
    No node is deeper than `depth` (the root's is 0), and a round expands the best child again and again, `playout`
    times at most. Deeper than `least_depth`, a node with a reward below the mean of its parent's and the root's is an
    end, and a round ends where it found the highest reward so far. `returns`: a path earns its nodes the `mean` or the
    `sum` of the rewards from each on; the paper's sum prefers long paths.

    A node's errors come from a `batch` of examples outside the sample (and whatever else is known of it there, unless
    `own_errors`); each child's writer sees `errors` of them. `two_requests`: the agent model is asked for feedback and
    for the prompt apart, as in the paper. A node's reward is its mean score on `sample` examples; with `likelihood`,
    where the target scores labels, half of it is the mean probability of the right label. `accept`: the best node
    becomes the champion by the run's `rules` of acceptance, or by the `mean` reward alone: the best node of the path
    with the best mean.

    `moves` transitions, each against other errors, lead from a node to its child; what lies between is not measured
    (one in the paper; more let a step of the search change enough to be told from chance).

    Where `sample`, `batch` or `moves` is None, it is what lets the budget pay for about `steps` expansions.
    """

    candidates: int = Field(default=3, ge=1, le=16)
    exploration: float = Field(default=0.1, ge=0, le=100)
    depth: int = Field(default=8, ge=1, le=64)
    playout: int = Field(default=8, ge=1, le=64)
    least_depth: int = Field(default=2, ge=0, le=64)
    returns: Literal["mean", "sum"] = "mean"
    errors: int = Field(default=4, ge=1, le=16)
    own_errors: bool = False
    batch: int | None = Field(default=None, ge=1)
    two_requests: bool = False
    moves: int | None = Field(default=None, ge=1, le=8)
    sample: int | None = Field(default=None, ge=1)
    likelihood: bool = True
    accept: Literal["rules", "mean"] = "rules"
    steps: int = Field(default=10, ge=1)

    def fitted(self, target_calls: int | None, agent_calls: int | None, examples: int) -> PromptAgentOptions:
        """The options with what they leave open decided by the budget and by how many examples there are."""
        size = self.sample or portion(target_calls, 50, 12, 100)
        batch = self.batch or portion(target_calls, 10 * self.steps, 8, 24)
        moves = self.moves or portion(agent_calls, self.steps * self.candidates, 1, 3)
        return self.model_copy(update={"sample": max(1, min(size, 2 * examples // 3)), "batch": batch, "moves": moves})

    @property
    def rules(self) -> TreeRules:
        """How the tree grows."""
        return TreeRules(self.exploration, self.depth, self.playout, self.least_depth, self.returns)


def options_of(session: Session) -> PromptAgentOptions:
    """The run's options, with what they leave open decided."""
    options, budget = session.options, session.ledger.budget
    assert isinstance(options, PromptAgentOptions)
    return options.fitted(budget.target_calls, budget.agent_calls, len(session.panels.measured))
