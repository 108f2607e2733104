"""Environments by name: built in, a user's own as `module:factory`, or at an http(s) address."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from ...errors import SageError, TaskError, nearest
from ..imports import import_object
from .bandits import LEVELS, SCENARIOS, Bandit
from .drifting import FAMILIES, DriftingBandit
from .guard import METHODS
from .protocol import Environment
from .regression import Regression
from .tsp import ROUNDS, TravellingSalesman


@dataclass(frozen=True)
class Entry:
    """A built-in environment: how it is made, a line that says what it is, and how many runs its source makes of it."""

    make: Callable[[], Environment]
    summary: str
    runs: int


def _regression(weight: float, offset: float) -> Entry:
    return Entry(
        lambda: Regression(weight, offset), f"find w = {weight:g} and b = {offset:g} from squared errors alone", 5
    )


def _tsp(cities: int) -> Entry:
    return Entry(lambda: TravellingSalesman(cities), f"a short round trip through {cities} cities", 3)


def _bandit(story: str, level: str) -> Entry:
    count, gap = LEVELS[level]
    return Entry(lambda: Bandit(SCENARIOS[story], count, gap), f"{count} actions, the best one better by {gap:g}", 6)


_DRIFTS = {
    "switch": "five buttons, another one is the best from round 51",
    "periodic": "five buttons, the best one changes every 25 rounds",
    "walk": "five buttons, the chance of each walks at random",
}
ENVIRONMENTS: dict[str, Entry] = {
    "regression:w2-b30": _regression(2.0, 30.0),
    "regression:w36-b-1": _regression(36.0, -1.0),
    **{f"tsp:{cities}": _tsp(cities) for cities in ROUNDS},
    **{f"bandits:{story}-{level}": _bandit(story, level) for story in SCENARIOS for level in LEVELS},
    **{
        f"drifting:{family}": Entry(lambda family=family: DriftingBandit(family), _DRIFTS[family], 6)
        for family in FAMILIES
    },
}
_KINDS = {name.partition(":")[0] for name in ENVIRONMENTS}
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def make_environment(name: str, episode: str = "") -> Environment:
    """The environment of that name: built in, `module:factory` (called without arguments), or an http(s) address.

    `episode` names the run at an HTTP environment. Raises TaskError for a name that means nothing, a module that cannot
    be imported, a factory that raises, and an object that lacks a method.
    """
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name].make()
    if name.startswith(("http://", "https://")):
        from .http import HttpEnvironment  # its client takes a moment to import

        return HttpEnvironment(name, episode)
    kind = name.partition(":")[0]
    if kind in _KINDS or not _REFERENCE.fullmatch(name):
        raise _unknown(name)
    try:
        found = import_object(name)
    except TaskError as error:
        if not _exists(kind):
            raise _unknown(name) from None
        raise TaskError(f"environment '{name}': {error}") from error
    try:
        made = found() if callable(found) else found
    except SageError:
        raise
    except Exception as error:  # somebody else's factory may fail in any way
        raise TaskError(f"environment '{name}' cannot be made: {type(error).__name__}: {error}") from error
    lacking: list[str] = [method for method in METHODS if not callable(getattr(made, method, None))]
    if lacking:
        raise TaskError(f"environment '{name}' has no method {lacking[0]}; it needs {', '.join(METHODS)}")
    return cast(Environment, made)


def _exists(module: str) -> bool:
    """Whether a module of that name is there, in the working folder or installed."""
    from pathlib import Path

    if Path(*module.split(".")).with_suffix(".py").is_file():
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _unknown(name: str) -> TaskError:
    return TaskError(
        f"environment: unknown '{name}'.{nearest(name, ENVIRONMENTS)} Known: {', '.join(ENVIRONMENTS)}; your own as "
        "module:factory or by its http(s) address"
    )
