"""The `Decider`: which meta-prompt an agent gets next, learned from the scores of its decisions, live."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...agents.meta_prompt import meta_prompt
from ...errors import ModelError, StoreError, UsageError
from ...evaluation.choosing.arms import checked_table
from ...evaluation.choosing.chooser import NEEDS_EMBEDDINGS, Chooser, make_chooser
from ...models.embeddings import embed
from ...seeding import generator
from .book import Book, Waiting
from .terms import Terms, make_terms

Embeddings = str | Callable[[Sequence[str]], Any]
Outcome = Literal["learned", "duplicate", "forgotten", "missing", "refused"]

LONGEST_ACTION = 4000
"""Characters kept of an action."""
OWN_OPEN = 100
"""Meta-prompts that a Decider remembers to have given out in a thread, for scores that come without an id."""

log = logging.getLogger("sage_spo.decider")


@dataclass(frozen=True)
class MetaPrompt:
    """What the agent is told: `text`, made of a description, past actions with their values, and an instruction.

    `id` says which meta-prompt a score is of. `probability`: what it was drawn with, `entropy` (nats) that of the
    distribution it was drawn from.
    """

    id: int
    text: str
    description: str
    instruction: str
    exemplars: tuple[tuple[str, float], ...]
    probability: float
    entropy: float


@dataclass(frozen=True)
class Standing:
    """Meta-prompts `issued`, of those kept how many are `unanswered`, scores that came in (`scored`), how many of
    them were learned from (`learned`), the `entropy` (nats) of the next choice and that of a uniform one (`most`)."""

    issued: int
    unanswered: int
    scored: int
    learned: int
    entropy: float
    most: float


class Decider:
    """Gives out meta-prompts and learns from the scores of what an agent did with them.

        decider = Decider.open("decider.db", descriptions=[...], instructions=[...])
        told = decider.meta_prompt()
        decider.observe(score_of(agent(told.text)), told.id)

    Its state is one file. Any number of threads and processes may have it open; scores may come late, in any order,
    twice, or never. What a call returned from survives a crash.
    """

    def __init__(self, book: Book, terms: Terms, tables: Sequence[NDArray[Any]]) -> None:
        self._book, self.terms, self._tables = book, terms, tables
        self._current: tuple[int, Chooser] = (0, self._chooser({}))
        self._own = threading.local()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        descriptions: str | Sequence[str] | None = None,
        instructions: str | Sequence[str] | None = None,
        embeddings: Embeddings = "local",
        base_url: str | None = None,
        **settings: Any,
    ) -> Decider:
        """The decider whose state is in the file at `path`, set up anew where there is none.

        `descriptions`, `instructions`: the versions to choose from; every pair of one of each is an arm (see
        `rephrase`). `embeddings`: `local`, `openai:MODEL` (with `base_url` any compatible server), or a function from
        texts to vectors; asked once, when it is set up, and only by a method that learns from them.
        `settings`: `method` (`expo`), `seed`, `low` and `high` (the range of scores, 0 to 1) or `bound` (scores are to
        be minimised), `exemplars` (past actions shown, 20), `options` (of the method: `eta`, `discount`, …).
        Of a file that is there, settings may be left out; where they are given they have to be the same.
        Raises UsageError for settings, StoreError for a file that cannot be used, ModelError where embeddings fail.
        """
        book = Book(Path(path).expanduser())
        given = {k: v for k, v in {"descriptions": descriptions, "instructions": instructions}.items() if v is not None}
        given = {name: (text,) if isinstance(text, str) else tuple(text) for name, text in given.items()} | settings
        if not book.exists():
            missing = [name for name in ("descriptions", "instructions") if name not in given]
            if missing:
                raise UsageError(f"{book.path} is not there yet: give {' and '.join(missing)} to set it up")
            terms = make_terms(**given)
            book.set_up(terms.model_dump_json(), embedded_arms(terms, embeddings, base_url))
        stored, tables = book.about()
        terms = make_terms(**stored)
        _check_same(book.path, stored, given)
        decider = cls(book, terms, [tables["descriptions"], tables["instructions"]])
        decider._learn()  # scores that a killed process took and had not yet learned from
        return decider

    def meta_prompt(self) -> MetaPrompt:
        """The next meta-prompt. Never waits for another caller's learning, and takes milliseconds (but with
        `neural-ucb`, which looks at its whole network: it waits, and another process fits it anew after each score).
        """
        _, chooser = self._newest()
        id, choice = self._book.give_out(lambda id: chooser.choose(generator(self.terms.seed, "decider", id)))
        first, second = divmod(choice.arm, len(self.terms.instructions))
        description, instruction = self.terms.descriptions[first], self.terms.instructions[second]
        past = self._book.best_actions(self.terms.exemplars, lowest=self.terms.minimise) if self.terms.exemplars else []
        text = meta_prompt(description, past, instruction, minimise=self.terms.minimise, seed=self.terms.seed)
        self._given()[id] = None
        while len(self._given()) > OWN_OPEN:
            self._given().pop(next(iter(self._given())))
        return MetaPrompt(id, text, description, instruction, tuple(past), choice.probability, choice.entropy)

    def observe(self, score: float | None, id: int | None = None, *, action: str | None = None) -> Outcome:
        """Take the score of meta-prompt `id` and learn from it; None says that there will be none.

        Without an `id` it is of the one that this thread was given last, or the one that the file waits for; where
        there are several, UsageError asks which. `action`: what the agent did, to be shown as an example later.
        When it returns, the score is safe on disk. `learned`: also taken in. `duplicate`: there was one before, which
        stands. `forgotten`: the meta-prompt is too old to be known. `missing`: noted; a late score still counts.
        `refused`: it was kept, but learning from it came out not finite. Raises UsageError, with nothing changed, for
        a score that is no finite number or out of range and for an id that was never given out.
        """
        scored = None if score is None else self.terms.score(score)
        of = self._only_open() if id is None else _whole(id)
        if score is None or scored is None:
            self._book.record_missing(of)
            self._given().pop(of, None)
            return "missing"
        answer, stands = self._book.record(
            of, float(score), scored, None if action is None else action[:LONGEST_ACTION]
        )
        self._given().pop(of, None)
        if answer != "taken":
            log.warning("meta-prompt %d: score %g not taken, it is a %s one (%g stands)", of, score, answer, stands)
            return answer
        self._learn()  # or somebody else has, while this waited
        return "refused" if self._book.refused(of) else "learned"

    def unanswered(self, most: int = 100) -> list[int]:
        """Ids of the newest meta-prompts that wait for a score, newest first: what a restarted caller may still owe."""
        return self._book.open_ids(most)

    async def ameta_prompt(self) -> MetaPrompt:
        """`meta_prompt` in a thread, for an event loop."""
        return await asyncio.to_thread(self.meta_prompt)

    async def aobserve(self, score: float | None, id: int, *, action: str | None = None) -> Outcome:
        """`observe` in a thread, for an event loop; there the id is needed."""
        return await asyncio.to_thread(self.observe, score, id, action=action)

    def standing(self) -> Standing:
        """How far it is."""
        place, chooser = self._newest()
        issued, unanswered, scored = self._book.counts()
        entropy = chooser.choose(generator(self.terms.seed, "standing")).entropy
        return Standing(issued, unanswered, scored, place, entropy, float(np.log(chooser.arms)))

    def _learn(self) -> None:
        """Learn from the scores that nobody has learned from yet."""
        with self._book.learning():
            place, chooser = self._newest()
            for scored in self._book.waiting(place):
                # A copy learns, so that other threads choose by a state that is whole.
                learning = copy.copy(chooser)
                why = _learned(learning, scored)
                if why is None:
                    chooser = learning
                else:
                    log.warning("meta-prompt %d: score %g refused: %s", scored.id, scored.score, why)
                self._book.save_learned(scored, chooser.state(), why)
                self._current = (scored.place, chooser)

    def _newest(self) -> tuple[int, Chooser]:
        """The number of scores learned from, by whichever process, and the chooser after them."""
        current = self._current
        found = self._book.learned(current[0])
        if found is not None:
            current = self._current = (found[0], self._chooser(found[1]))
        return current

    def _chooser(self, state: dict[str, NDArray[Any]]) -> Chooser:
        try:
            return make_chooser(
                self.terms.method,
                arms=self._tables,
                options=self.terms.chooser_options(),
                seed=self.terms.seed,
                state=state or None,
            )
        except ValueError as error:
            raise StoreError(f"what {self._book.path} has learned cannot be used: {error}") from error

    def _given(self) -> dict[int, None]:
        if not hasattr(self._own, "ids"):
            self._own.ids = {}
        return self._own.ids

    def _only_open(self) -> int:
        own = [id for id in self._given() if self._book.waits(id)]  # another thread may have answered one
        found = own or self._book.open_ids(2)
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError("no meta-prompt waits for a score: call meta_prompt() first, or give its id")
        raise UsageError(f"several meta-prompts wait for a score ({found[0]}, {found[1]}, …): give the id of one")


def _learned(chooser: Chooser, scored: Waiting) -> str | None:
    """Why the chooser could not learn from it; None where it did."""
    try:
        chooser.observe(scored.arm, scored.score, scored.probability)
    except ValueError as error:
        return str(error)
    return None


def embedded_arms(terms: Terms, embeddings: Embeddings, base_url: str | None) -> dict[str, NDArray[Any]]:
    """One table of embeddings for the descriptions, one for the instructions; zeros for a method without a network."""
    found: dict[str, NDArray[Any]] = {}
    for name in ("descriptions", "instructions"):
        texts = getattr(terms, name)
        if terms.method not in NEEDS_EMBEDDINGS:
            found[name] = np.zeros((len(texts), 1), dtype=np.float32)
            continue
        vectors = _asked(texts, embeddings, base_url) if isinstance(embeddings, str) else embeddings(texts)
        try:
            found[name] = checked_table(np.asarray(vectors))
        except (TypeError, ValueError) as error:
            raise ModelError(f"embeddings of {name}: {error}") from error
        if len(found[name]) != len(texts):
            raise ModelError(f"embeddings of {name}: {len(found[name])} vectors for {len(texts)} texts")
    return found


def _asked(texts: Sequence[str], model: str, base_url: str | None) -> Any:
    with ThreadPoolExecutor(1) as thread:  # the caller may be in an event loop
        return thread.submit(asyncio.run, embed(texts, model, base_url)).result()


def _check_same(path: Path, stored: dict[str, Any], given: dict[str, Any]) -> None:
    wanted = make_terms(**{**stored, **given}).model_dump(mode="json")
    other = [
        name for name in wanted if name in given and wanted[name] != make_terms(**stored).model_dump(mode="json")[name]
    ]
    if other:
        raise UsageError(f"{path} was set up with other {' and '.join(other)}: leave them out, or name another file")


def _whole(id: int) -> int:
    if isinstance(id, bool) or not isinstance(id, int):
        raise UsageError(f"the id of a meta-prompt is a whole number, not {str(id)[:60]!r}")
    return id
