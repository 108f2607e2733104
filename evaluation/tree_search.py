"""Monte-Carlo tree search over candidates, as arithmetic: which node is expanded next, given all expansions so far.

A node is a candidate with a reward from 0 to 1, its children are what was made of it. One round selects a node from the
root down by UCT, expands it, simulates by expanding the best child again and again until an end, and adds what the path
earned to every node on it. Nothing is kept but the expansions and their rewards: `grown` does the rounds again.

Sources: UCT: Kocsis and Szepesvari, ECML 2006, section 2.2; for prompts, the ends of a simulation and the choice at the
end: PromptAgent, arXiv 2310.16427, section 3.2 and algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

AGAIN = 1000
"""So often at most a round may end at a node that is not expanded any more; then the tree is done."""


@dataclass(frozen=True)
class TreeRules:
    """How a tree grows. `exploration` is the factor c of UCT; no node is deeper than `depth` (the root's is 0); a
    simulation makes `playout` expansions at most.

    Deeper than `least_depth`, a node is an end where its reward is lower than the mean of its parent's and the root's,
    and a simulation ends where it found the highest reward so far. A node's value is the mean, over the paths through
    it, of the `mean` or the `sum` of the rewards from it to the end of the path; the paper's sum prefers long paths.
    """

    exploration: float = 2.5
    depth: int = 8
    playout: int = 8
    least_depth: int = 2
    returns: Literal["mean", "sum"] = "sum"


@dataclass(frozen=True)
class Expansion:
    """The children that were made of a node and their rewards, by id; one without a reward is left out."""

    node: str
    children: Mapping[str, float]


@dataclass
class Node:
    """A node: `visits` paths went through it, and earned `total` from it on."""

    id: str
    parent: Node | None
    reward: float
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    expanded: bool = False

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    @property
    def value(self) -> float:
        """The mean of what its paths earned; its own reward before the first."""
        return self.total / self.visits if self.visits else self.reward

    @property
    def path(self) -> list[Node]:
        """From the root to this node."""
        return [*(self.parent.path if self.parent else ()), self]


def uct(value: float, visits: int, parent_visits: int, exploration: float) -> float:
    """value + c·sqrt(ln N / n), with N the visits of the parent and n those of the node; infinite before the first."""
    if not visits:
        return math.inf
    return value + exploration * math.sqrt(math.log(max(parent_visits, 1)) / visits)


@dataclass
class Tree:
    """The tree so far. `at` is the node to be expanded next; None where no node is left."""

    rules: TreeRules
    root: Node
    nodes: dict[str, Node]
    paths: list[list[Node]] = field(default_factory=list)
    at: Node | None = None
    _simulated: int = 0
    """Expansions of the simulation under way."""

    def best(self) -> Node:
        """The node with the highest reward on the path with the highest mean reward, as the paper chooses."""
        path = max(self.paths, key=lambda p: sum(n.reward for n in p) / len(p), default=[self.root])
        return max(path, key=lambda n: n.reward)

    def end(self, node: Node) -> bool:
        """Whether nothing is made of this node."""
        if node.depth >= self.rules.depth or (node.expanded and not node.children):
            return True
        parent = node.parent
        if parent is None or node.depth <= self.rules.least_depth:
            return False
        return node.reward < (parent.reward + self.root.reward) / 2

    def expand(self, expansion: Expansion) -> None:
        """Add an expansion and go on with the simulation, or end it and select the next node."""
        node = self.nodes[expansion.node]
        node.expanded = True
        highest = max(n.reward for n in self.nodes.values())
        for child_id, reward in expansion.children.items():
            if child_id not in self.nodes:
                child = self.nodes[child_id] = Node(child_id, node, reward)
                node.children.append(child)
        self._simulated += 1
        if not node.children:
            self._back(node)
        else:
            best = max(node.children, key=lambda n: n.reward)
            found = best.depth > self.rules.least_depth and best.reward > highest
            if found or self._simulated >= self.rules.playout or self.end(best):
                self._back(best)
            else:
                self.at = best
                return
        self.select()

    def select(self) -> None:
        """Go from the root down by UCT to a node that has no children yet."""
        self._simulated = 0
        for _ in range(AGAIN):
            node = self.root
            while node.children:
                above = node
                node = max(above.children, key=lambda n: uct(n.value, n.visits, above.visits, self.rules.exploration))
            if not self.end(node):
                self.at = node
                return
            self._back(node)
        self.at = None

    def _back(self, leaf: Node) -> None:
        path, earned = leaf.path, 0.0
        self.paths.append(path)
        for length, node in enumerate(reversed(path), 1):
            earned += node.reward
            node.visits += 1
            node.total += earned / length if self.rules.returns == "mean" else earned


def grown(root: str, reward: float, expansions: Iterable[Expansion], rules: TreeRules) -> Tree:
    """The tree after these expansions, in their order, with `at` the node that is to be expanded next.

    An expansion of a node that is not in the tree is left out.
    """
    first = Node(root, None, reward)
    tree = Tree(rules, first, {root: first}, at=first)
    for expansion in expansions:
        if expansion.node in tree.nodes:
            tree.expand(expansion)
    return tree


def mean_reward(values: Sequence[float | None], least: float = 0.5) -> float | None:
    """The mean of the rewards that are there; None where more than the share `least` is missing."""
    there = [v for v in values if v is not None]
    return sum(there) / len(there) if there and len(there) >= least * len(values) else None
