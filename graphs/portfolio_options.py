"""The options of `auto`: which strategies share the run, who is next, and the options of each."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..evaluation.turns import Chooser
from .registry import strategy
from .strategy import DEFAULT_PRESET, Preset, SearchOptions

NAME = "auto"
MOST_MEMBERS = 4


class PortfolioOptions(SearchOptions):
    """Options of `auto`.

    `members` are the strategies that share the run, one to four names with + between them; the first one begins. Which
    is next is for the `chooser` to say (thompson, successive-halving, exp3, round-robin), by the estimated gain of each
    one's turns per target call. A member's own options are NAME.OPTION, as in sage.edits=3; NAME.iterations limits its
    turns. The rules of acceptance are the run's.

    `candidates`, where it is set, is that of all members. `pool` is the size of the archive, of which each member sees
    as many of the best as its own pool holds. `init` and `pairs` are the run's: a member's own start is left out.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    members: str = "sage+dual-phase+protegi"
    chooser: Chooser = "thompson"
    candidates: int = Field(default=8, ge=1, le=64, json_schema_extra={"default_in_words": "each member's"})
    pool: int = Field(default=10, ge=1, le=64)

    @model_validator(mode="after")
    def _members_and_their_options(self) -> PortfolioOptions:
        names, extra = self.sharing, self.model_extra or {}
        if not 1 <= len(names) <= MOST_MEMBERS or len(set(names)) < len(names) or NAME in names:
            words = f"name one to {MOST_MEMBERS} different strategies other than {NAME}, with + between them"
            raise _refused(_wrong("members", self.members, words))
        for full, value in extra.items():
            member, dot, _ = full.partition(".")
            if not dot:
                raise _refused(_wrong(full, value))
            if member not in names:
                raise _refused(_wrong(full, value, f"{member} is none of the members ({self.members})"))
        for member in names:
            checked = self.of_member(member).model_dump()
            extra |= {f"{member}.{option}": checked[option] for option in self._given(member)}
        return self

    @property
    def sharing(self) -> tuple[str, ...]:
        """The members' names, in order."""
        return tuple(name.strip() for name in re.split("[+,]", self.members) if name.strip())

    def of_turn(self, name: str) -> SearchOptions:
        """A member's options for one turn, which is one iteration; the portfolio's own where it is nobody's."""
        return self.of_member(name).model_copy(update={"iterations": 1}) if name else self

    def of_member(self, name: str) -> SearchOptions:
        """A member's options, of its default preset. Raises ValidationError."""
        made = strategy(name)
        shared = {"candidates": self.candidates} if "candidates" in self.model_fields_set else {}
        preset = made.presets.get(DEFAULT_PRESET, Preset())
        try:
            return made.options.model_validate({**preset.options, **shared, **self._given(name)})
        except ValidationError as error:
            found = error.errors()
            extra = "extra_forbidden"
            raise _refused(
                *(_wrong(f"{name}.{e['loc'][0]}", e["input"], "" if e["type"] == extra else e["msg"]) for e in found)
            ) from None

    def _given(self, member: str) -> dict[str, Any]:
        """What was given for a member, by the names that it has there."""
        start = f"{member}."
        return {n.removeprefix(start): v for n, v in (self.model_extra or {}).items() if n.startswith(start)}


def _wrong(name: str, value: Any, words: str = "") -> InitErrorDetails:
    """What is wrong with an option, in words; without, that there is none of that name."""
    kind = PydanticCustomError("option", words) if words else "extra_forbidden"  # type: ignore[arg-type]
    return InitErrorDetails(type=kind, loc=(name,), input=value)


def _refused(*wrong: InitErrorDetails) -> ValidationError:
    return ValidationError.from_exception_data(NAME, list(wrong))
