"""The way to an environment: what it raises, how long it takes and what it returns is checked here, and only here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, get_args

from ...errors import EnvironmentFailure, ModelError, TaskError
from ...models.retry import RetryPolicy, call_with_retries
from ...seeding import generator
from ..own_code import answer, kind, place
from .protocol import Description, Environment, Goal, Outcome, Unreadable, Wording

METHODS = ("reset", "describe", "parse", "step")
MOST_ACTIONS, MOST_WARM_STARTS, LONGEST_ACTION, LONGEST_TEXT = 1000, 1000, 10_000, 100_000
"""So many listed actions and warm starts, and so many characters of an action and of a text of the description."""
SECONDS = 60.0
"""How long one call of a method may take, unless a run says otherwise."""


class Guarded:
    """An environment called `name`, each of whose calls ends within `seconds` with a value that can be used.

    Raises EnvironmentFailure where a method raises, hangs, or returns what is no answer; TaskError where its
    description cannot be used.
    """

    def __init__(self, environment: Environment, name: str, seconds: float = SECONDS) -> None:
        self._environment, self.name, self._seconds = environment, name, seconds
        # The environment answers the same to a repeated call: what fails on the way may be tried again.
        self._policy = RetryPolicy(attempts=4, timeout=seconds, deadline=4 * seconds)

    async def reset(self, seed: int) -> list[str]:
        """The warm starts of a new episode."""
        found = await self._called("reset", seed)
        starts = [] if found is None else list(found) if isinstance(found, list | tuple) else None
        if starts is None or len(starts) > MOST_WARM_STARTS or not all(map(_is_action, starts)):
            raise EnvironmentFailure(f"environment {self.name}: reset must return a list of actions (texts), or None")
        return starts

    async def describe(self) -> Description:
        """The description, checked."""
        found = await self._called("describe")
        if not isinstance(found, Description):
            raise TaskError(f"environment {self.name}: describe must return a Description, not {kind(found)}")
        return checked_description(found, self.name)

    async def parse(self, reply: str) -> str:
        """The action in a reply. Raises ValueError where it holds none."""
        found = await self._called("parse", reply)
        if not _is_action(found):
            raise EnvironmentFailure(
                f"environment {self.name}: parse must return a text of 1 to {LONGEST_ACTION:,} characters, "
                f"not {kind(found)}"
            )
        return found

    async def step(self, action: str, action_id: str) -> Outcome:
        """What came of an action; a value that is no finite number stays as it is, for `usable` to refuse."""
        found = await self._called("step", action, action_id)
        outcome = found if isinstance(found, Outcome) else Outcome(found)
        means = outcome.means if isinstance(outcome.means, list | tuple) else ()
        known = [mean for mean, _ in map(usable, means) if mean is not None]
        return replace(
            outcome, regret=usable(outcome.regret)[0], means=tuple(known) if len(known) == len(means) else ()
        )

    async def aclose(self) -> None:
        """Let go of what the environment holds, where it says how."""
        close = getattr(self._environment, "aclose", None)
        if close is not None:
            await close()

    async def _called(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._environment, method)

        async def attempt() -> Any:
            try:
                return await answer(function, *arguments)
            except TimeoutError as error:  # its own: ours cancels this
                raise self._raised(method, error) from error

        try:
            return await call_with_retries(
                attempt,
                self._policy,
                rng=generator(0, "environment", method, *arguments),
                on_failure=lambda error: self._hangs(method, error),
            )
        except ValueError as error:
            if method == "parse":
                raise ValueError(" ".join(str(error).split())[:300] or "it holds no action") from None
            raise self._raised(method, error) from error
        except EnvironmentFailure:
            raise
        except ModelError as error:  # of an HTTP environment
            raise EnvironmentFailure(f"environment {self.name}: {method} failed: {error}") from error
        except Exception as error:  # somebody else's environment may fail in any way
            raise self._raised(method, error) from error

    def _hangs(self, method: str, error: Exception) -> None:
        # A thread that hangs cannot be ended; another one beside it would be no better.
        if isinstance(error, TimeoutError):
            raise EnvironmentFailure(
                f"environment {self.name} hangs: {method} has not returned for {self._seconds:g} s "
                "(--environment-seconds sets this limit)"
            )

    def _raised(self, method: str, error: Exception) -> EnvironmentFailure:
        words = " ".join(str(error).split())[:300] + place(error)
        return EnvironmentFailure(f"environment {self.name}: {method} raised {type(error).__name__}: {words}")


def usable(value: object, low: float | None = None, high: float | None = None) -> tuple[float | None, str]:
    """The value as a float; None, and why, where it is missing, no finite number, or not from `low` to `high`."""
    if value is None:
        return None, "no value"
    if isinstance(value, bool) or not isinstance(value, Real):
        return None, f"{kind(value)} is no number"
    try:
        number = float(value)
    except OverflowError:
        return None, "the value is too large"
    if not math.isfinite(number):
        return None, f"the value is {number}"
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    if not least <= number <= most:
        return None, f"{number:g} is out of range ({least:g} to {most:g})"
    return number, ""


def checked_description(found: Description, name: str) -> Description:
    """The description as it is, its lists as tuples. Raises TaskError naming the field that cannot be used."""

    def wrong(field: str, why: str) -> TaskError:
        return TaskError(f"environment {name}: {field} {why}")

    def text(field: str, value: object) -> None:
        if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT:
            raise wrong(field, f"must be a text of 1 to {LONGEST_TEXT:,} characters")

    def number(field: str, value: object, *, above: float = -math.inf) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < math.inf:
            raise wrong(field, "must be a finite number" + (f" above {above:g}" if above > -math.inf else ""))

    for field in ("task", "instruction", "answer", "value"):
        text(field, getattr(found, field))
    for field, known in (("goal", get_args(Goal)), ("unreadable", get_args(Unreadable))):
        if getattr(found, field) not in known:
            raise wrong(field, f"is one of {', '.join(known)}, not {getattr(found, field)!r}")
    if not isinstance(found.actions, list | tuple):
        raise wrong("actions", f"must be a list of texts, empty where they cannot be listed, not {kind(found.actions)}")
    actions = tuple(found.actions)
    if actions and not (2 <= len(actions) <= MOST_ACTIONS and all(map(_is_action, actions))):
        raise wrong("actions", f"must be 2 to {MOST_ACTIONS:,} texts, or none where they cannot be listed")
    if len(set(actions)) < len(actions):
        raise wrong("actions", "holds one twice")
    if found.unreadable == "random" and not actions:
        raise wrong("unreadable", "can be random only where the actions are listed")
    for field in ("rounds", "exemplars"):
        if not isinstance(getattr(found, field), int) or getattr(found, field) < 1:
            raise wrong(field, "must be a whole number from 1")
    number("eta", found.eta, above=0.0)
    for field in ("low", "high"):
        if getattr(found, field) is not None:
            number(field, getattr(found, field))
    if found.low is not None and found.high is not None and found.low >= found.high:
        raise wrong("low", "must be below high")
    if found.bound is not None and found.goal == "minimise":
        number("bound", found.bound, above=0.0)
    if not isinstance(found.wordings, Mapping):
        raise wrong("wordings", f"must be a mapping from a baseline's name to a Wording, not {kind(found.wordings)}")
    for baseline, wording in found.wordings.items():
        if not isinstance(wording, Wording):
            raise wrong(f"wordings[{baseline}]", "must be a Wording")
        text(f"wordings[{baseline}].task", wording.task)
        text(f"wordings[{baseline}].instruction", wording.instruction)
    return replace(found, actions=actions)


def _is_action(value: object) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= LONGEST_ACTION
