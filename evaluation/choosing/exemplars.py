"""Which past actions a meta-prompt shows, and in what order: EXPO-ES (arXiv 2502.00728) and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError, nearest
from . import choice
from .arms import checked_table, moments, projected
from .choice import Choice, Floats, State, checked
from .evidence import finite, restored
from .network import Matrix, Network, fit, initial
from .options import NetworkOptions
from .saved_networks import SavedNetworks

EXEMPLAR_CHOOSERS = {
    "learned": "EXPO-ES: a network on the embedding of the exemplars' text, all its past versions summed",
    "rotations": "EXPO-ES for bandits: the rotations of the summary's order, their predictions summed over rounds",
    "best": "the heuristic: the best ones, the best of all last",
    "random": "one of the drawn sequences by chance",
}


@dataclass(frozen=True)
class ExemplarOptions:
    """`length` exemplars (L) are shown, from the `pool` best; `draws` sequences are drawn beside the heuristic.

    `eta`: η of the softmax. `networks`: how many past networks count (the paper: all; 128 are all of its 100 rounds).
    """

    length: int = 20
    pool: int = 30
    draws: int = 256
    eta: float = 10.0
    networks: int = 128
    network: NetworkOptions = field(default_factory=NetworkOptions)

    def __post_init__(self) -> None:
        for name in ("length", "draws", "networks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.pool < self.length:
            raise ValueError(f"pool must be at least length ({self.length}), not {self.pool}")
        if not 0 < self.eta < np.inf:
            raise ValueError(f"eta must be above 0, not {self.eta}")


class ExemplarChooser(Protocol):
    """Chooses one of a round's candidate sequences, whose text the caller embeds."""

    def candidates(self, scores: Sequence[float], rng: np.random.Generator) -> list[tuple[int, ...]]:
        """Sequences of indices into the past actions with these scores; the heuristic first."""
        ...

    @property
    def embeds(self) -> bool:
        """Whether `choose` and `observe` look at embeddings; where not, zeros of shape (m, 1) will do."""
        ...

    def choose(self, embeddings: Floats, rng: np.random.Generator) -> Choice:
        """One of the m candidates by their embeddings, shape (m, d); changes nothing."""
        ...

    def observe(self, embeddings: Floats, chosen: int, score: float) -> None:
        """Learn the score of a round that showed candidate `chosen`; raises ValueError as `Chooser.observe` does."""
        ...

    def state(self) -> State:
        """Everything needed to go on exactly."""
        ...


def make_exemplar_chooser(
    name: str,
    *,
    options: ExemplarOptions | None = None,
    seed: int = 0,
    folder: Path | None = None,
    state: Mapping[str, NDArray[Any]] | None = None,
) -> ExemplarChooser:
    """The exemplar chooser called `name`, as new or as `state` left it; `folder`: where networks are spilled to.

    Raises UsageError for an unknown name, ValueError for a state that cannot be.
    """
    chosen = options or ExemplarOptions()
    if name == "learned":
        return Learned(chosen, seed, folder, state)
    if name == "rotations":
        return Rotations(chosen, seed, state)
    if name in ("best", "random"):
        return Unlearned(chosen, by_chance=name == "random")
    raise UsageError(
        f"there is no exemplar chooser '{name}' (there are {', '.join(EXEMPLAR_CHOOSERS)})."
        f"{nearest(name, EXEMPLAR_CHOOSERS)}"
    )


def sequences(scores: Sequence[float], options: ExemplarOptions, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The heuristic (the best L, ascending, the later of two equals last) and, where there are more than L actions,
    `draws` ordered samples of L from the best `pool`. Scores that are not finite are passed over."""
    usable = [index for index, score in enumerate(scores) if np.isfinite(score)]
    ranked = sorted(usable, key=lambda index: (scores[index], index))
    found = [tuple(ranked[-options.length :])]
    if len(ranked) > options.length:
        pool = np.array(ranked[-options.pool :])
        drawn = (rng.choice(pool, options.length, replace=False) for _ in range(options.draws))
        found += [tuple(int(index) for index in sequence) for sequence in drawn]
    return found


class Unlearned:
    """The heuristic, or one of the drawn sequences by chance."""

    embeds = False

    def __init__(self, options: ExemplarOptions, *, by_chance: bool) -> None:
        self._options, self._by_chance = options, by_chance

    def candidates(self, scores: Sequence[float], rng: np.random.Generator) -> list[tuple[int, ...]]:
        return sequences(scores, self._options, rng)

    def choose(self, embeddings: Floats, rng: np.random.Generator) -> Choice:
        others = len(embeddings) - 1
        if not self._by_chance or not others:
            return Choice(0, 1.0, 0.0)
        return Choice(int(rng.integers(1, others + 1)), 1 / others, float(np.log(others)))

    def observe(self, embeddings: Floats, chosen: int, score: float) -> None:
        checked(chosen, len(embeddings), score)

    def state(self) -> State:
        return {}


class TextRegressor:
    """A network from the embedding of a text to the score it got, fitted to all observations so far.

    Columns are standardised by the first table that it is given (a round's candidates, two or more), and by that one
    ever after.
    """

    def __init__(self, options: NetworkOptions, seed: int, state: Mapping[str, NDArray[Any]] | None) -> None:
        self._options, self._seed = options, seed
        self._rows: Matrix | None = None
        self._targets = np.zeros(0, dtype=np.float32)
        if state is not None and "rows" in state:
            self._rows = checked_table(state["rows"])
            self._targets = np.array(state["targets"], dtype=np.float32)
            self._mean, self._spread = state["mean"].astype(np.float32), state["spread"].astype(np.float32)
        elif state:
            raise ValueError("the saved state lacks 'rows': it is another chooser's")

    def inputs(self, embeddings: Floats) -> Matrix:
        """Embeddings as the network sees them."""
        table = projected(checked_table(embeddings), self._options.projection, self._seed)
        if self._rows is None:
            mean, spread = moments(table)
        elif table.shape[1] != self._rows.shape[1]:
            raise ValueError(f"embeddings have {table.shape[1]} columns, where they had {self._rows.shape[1]} before")
        else:
            mean, spread = self._mean, self._spread
        return ((table - mean) / spread).astype(np.float32)

    def fitted(self, embeddings: Floats, chosen: int, score: float) -> tuple[Network, TextRegressor]:
        """The network with one more observation, and the regressor that has it; this one stays as it is."""
        value = checked(chosen, len(embeddings), score)
        after = TextRegressor(self._options, self._seed, None)
        if self._rows is None:
            table = projected(checked_table(embeddings), self._options.projection, self._seed)
            after._mean, after._spread = moments(table)
        else:
            after._mean, after._spread = self._mean, self._spread
        row = self.inputs(embeddings)[chosen : chosen + 1]
        after._rows = row if self._rows is None else np.concatenate([self._rows, row])
        after._targets = np.append(self._targets, np.float32(value))
        start = initial(row.shape[1], self._options, self._seed)
        ones = np.ones_like(after._targets)
        return fit(start, after._rows, after._targets, ones, self._options, self._seed), after

    def state(self) -> State:
        """As named arrays; empty before the first observation."""
        if self._rows is None:
            return {}
        return {"rows": self._rows, "targets": self._targets, "mean": self._mean, "spread": self._spread}


class Learned:
    """EXPO-ES: a candidate's score is the sum of what the networks of all rounds so far predict for it.

    Candidates are other ones each round, so that their sums cannot be carried on: the networks are kept instead
    (`SavedNetworks`: the newest `options.networks`).
    """

    embeds = True

    def __init__(
        self, options: ExemplarOptions, seed: int, folder: Path | None, state: Mapping[str, NDArray[Any]] | None
    ) -> None:
        self._options = options
        self._regressor = TextRegressor(options.network, seed, state)
        self._networks = SavedNetworks(options.networks, folder)
        if state:
            self._networks.restore(dict(state))

    def candidates(self, scores: Sequence[float], rng: np.random.Generator) -> list[tuple[int, ...]]:
        return sequences(scores, self._options, rng)

    def choose(self, embeddings: Floats, rng: np.random.Generator) -> Choice:
        rows = self._regressor.inputs(embeddings)
        sums = np.zeros(len(rows))
        for network in self._networks.all(rows.shape[1], self._options.network.hidden):
            sums += network.predict(rows)
        return choice.draw(choice.softmax(self._options.eta * finite(sums)), rng)

    def observe(self, embeddings: Floats, chosen: int, score: float) -> None:
        if len(embeddings) < 2:  # there was nothing to choose, and there is nothing to standardise by
            checked(chosen, len(embeddings), score)
            return
        network, regressor = self._regressor.fitted(embeddings, chosen, score)
        self._networks.add(network)
        self._regressor = regressor

    def state(self) -> State:
        learned = self._regressor.state()
        return learned | self._networks.state() if learned else {}


class Rotations:
    """EXPO-ES for bandits: the candidates are the K cyclic rotations of the summary's K lines, the same each round,
    so that plain sums do: after each score, the new network's prediction for this round's text of each is added."""

    embeds = True

    def __init__(self, options: ExemplarOptions, seed: int, state: Mapping[str, NDArray[Any]] | None) -> None:
        self._options = options
        self._regressor = TextRegressor(options.network, seed, state)
        self._sums = restored(state, "sums", len(state["sums"])) if state else None

    def candidates(self, scores: Sequence[float], rng: np.random.Generator) -> list[tuple[int, ...]]:
        size = len(scores)
        return [tuple((start + step) % size for step in range(size)) for start in range(size)]

    def choose(self, embeddings: Floats, rng: np.random.Generator) -> Choice:
        sums = np.zeros(len(embeddings)) if self._sums is None else self._sums
        self._check(embeddings)
        return choice.draw(choice.softmax(self._options.eta * sums), rng)

    def observe(self, embeddings: Floats, chosen: int, score: float) -> None:
        self._check(embeddings)
        network, regressor = self._regressor.fitted(embeddings, chosen, score)
        predictions = network.predict(regressor.inputs(embeddings)).astype(np.float64)
        self._sums = finite(predictions if self._sums is None else self._sums + predictions)
        self._regressor = regressor

    def _check(self, embeddings: Floats) -> None:
        if self._sums is not None and len(embeddings) != len(self._sums):
            raise ValueError(f"{len(embeddings)} rotations, where there were {len(self._sums)} before")

    def state(self) -> State:
        return {} if self._sums is None else {**self._regressor.state(), "sums": self._sums.copy()}
