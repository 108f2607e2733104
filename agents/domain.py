"""The domain of meta-prompts: a text said in many ways, each an arm of a bandit (EXPO, arXiv 2502.00728)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from ..errors import BudgetExceeded
from ..sandbox.text import clean
from ..seeding import generator, shuffled
from ..tasks.prompt import PLACEHOLDER
from .ask import AgentDesk, fence, fenced, prompt_text
from .units import BREAKS

Part = Literal["description", "instruction"]

TEMPERATURE = 1.3
"""The paper's, for rephrasing."""
SPARE_QUESTIONS = 1.5
"""At most so many times the rephrasings wanted are asked for, since some come out alike or unusable."""
LONGEST = 8000
"""Characters of a text that can be rephrased."""

NAMES: dict[Part, str] = {"description": "task description", "instruction": "instruction"}
MANNERS = (
    "",
    "Prefer what has scored best so far.",
    "Try what has seldom been tried.",
    "Weigh recent scores more than old ones.",
    "Compare all the scores before you decide.",
    "Be bold: try something far from what was tried.",
    "Stay near the best that was found.",
    "Think about what the scores have in common.",
    "When two choices look alike, take the less known one.",
    "Do not trust a single score.",
)
"""What the playbook ends an instruction with."""


class Rephrasing(BaseModel):
    """What the agent model is asked for."""

    text: str = Field(description="The whole text in other words.")


@dataclass(frozen=True)
class Domain:
    """A text's versions: `texts`, the original first, all distinct.

    `asked`: versions wanted beside the original. `duplicates`, `unusable`: replies that were dropped. `spent`: the
    budget ended before there were enough.
    """

    texts: tuple[str, ...]
    asked: int
    duplicates: int = 0
    unusable: int = 0
    spent: bool = False

    @property
    def missing(self) -> int:
        """How many versions fewer there are than were asked for."""
        return self.asked - (len(self.texts) - 1)

    def words(self, part: Part) -> str:
        """What came of it in one line, for the log."""
        line = f"{len(self.texts) - 1} of {self.asked} rephrasings of the {NAMES[part]}"
        dropped = f"{self.duplicates} duplicates and {self.unusable} unusable replies dropped"
        if not self.missing:
            return f"{line} ({dropped})" if self.duplicates + self.unusable else line
        return f"{line}: goes on with {len(self.texts)} arms ({'budget spent; ' if self.spent else ''}{dropped})"


async def rephrased(text: str, count: int, part: Part, desk: AgentDesk) -> Domain:
    """The text and up to `count` rephrasings by the agent model, in the order of the questions.

    Replies that say what is there already (but for case and spaces), are empty, far longer, or lose a placeholder are
    dropped, and others asked for, up to `SPARE_QUESTIONS` · count in all; then there are fewer, which is no error.
    Asked again in the same run it costs nothing and gives the same. Raises ValueError for an empty or too long text.
    """
    checked_text(text, part)
    kept, seen = [text], {_plain(text)}
    duplicates = unusable = asked = 0
    most, spent = int(count * SPARE_QUESTIONS), False
    while len(kept) <= count and asked < most and not spent:
        wave = range(asked, min(most, asked + count + 1 - len(kept)))
        replies = await asyncio.gather(*(_asked(text, index, part, desk) for index in wave))
        asked = wave.stop
        for reply in replies:
            if isinstance(reply, BudgetExceeded):
                spent = True
            elif reply is None:
                unusable += 1
            elif _plain(reply) in seen:
                duplicates += 1
            else:
                seen.add(_plain(reply))
                kept.append(reply)
    return Domain(tuple(kept), count, duplicates, unusable, spent)


async def _asked(text: str, index: int, part: Part, desk: AgentDesk) -> str | BudgetExceeded | None:
    needed = sorted(set(PLACEHOLDER.findall(text)))
    message = prompt_text(
        "rephrase",
        fence=fence(desk.calls.seed, part, index, text),
        what=NAMES[part],
        text=fenced(text, cap=LONGEST),
        index=index,
        placeholders=[f"{{{name}}}" for name in needed],
    )
    try:
        reply = await desk.ask(
            Rephrasing,
            [{"role": "user", "content": message}],
            role=f"rephrase-{part}",
            iteration=0,
            index=index,
            max_tokens=512 + len(text),
            temperature=TEMPERATURE,
        )
    except BudgetExceeded as error:
        return error
    found = clean(reply.text).strip() if reply is not None else ""
    lost = not set(needed) <= set(PLACEHOLDER.findall(found))
    return None if not found or lost or len(found) > 4 * len(text) + 400 else found


def playbook_versions(text: str, count: int, part: Part, seed: int) -> Domain:
    """The same without a language model: other orders of the sentences, those of an instruction with one of `MANNERS`
    at its end. How many there are depends on the text."""
    checked_text(text, part)
    sentences = [found.strip() for found in BREAKS["sentence"].split(text) if found.strip()]
    rng = generator(seed, "playbook", part)
    found, duplicates = {_plain(text): text}, 0
    for turn in range(count):  # the order as it is comes first, with every ending
        order = sentences if not turn else shuffled(sentences, rng)
        for ending in MANNERS if part == "instruction" else ("",):
            version = " ".join([*order, ending]).strip()
            duplicates += _plain(version) in found
            found.setdefault(_plain(version), version)
            if len(found) > count:
                return Domain(tuple(found.values()), count, duplicates)
    return Domain(tuple(found.values()), count, duplicates)


def checked_text(text: str, part: Part) -> str:
    """The text; raises ValueError where it is empty or longer than `LONGEST` characters."""
    if not text.strip():
        raise ValueError(f"the {NAMES[part]} is empty")
    if len(text) > LONGEST:
        raise ValueError(f"the {NAMES[part]} has {len(text):,} characters; at most {LONGEST:,} can be rephrased")
    return text


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
