"""A strategy of a user's own: one function, or one small class, that proposes prompts; the engine does all the rest.

    [project.entry-points."sage_spo.strategies"]
    shorten = "my_package.shorten:propose"

The entry point names `propose(search)`, a function (async or not) that returns the prompts to try next, or a class
with a method of that name and, where it has any, `options` (a subclass of SearchOptions) and `presets`. What it does
wrong is told in one line that names it, and costs nothing of what was measured.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any

from ..errors import BudgetExceeded, SageError, StrategyError, UsageError
from ..settings import settings as installation
from ..tasks.own_code import answer, kind, place
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .state import RunState
from .strategy import SearchOptions, Strategy

NAME = re.compile(r"[A-Za-z][\w-]*")
NODES = ("prepare", "preflight", "meta_start", "certify", "publish", "choose", "credit")
"""A strategy is a node of the whole graph and of a portfolio, among these."""

MOST = 256
"""So many prompts can be proposed in one iteration: their ids stand in the run's state."""

LOOK_SECONDS = 0.2
"""How often it is looked whether a strategy goes on."""


def own_strategy(name: str, point: EntryPoint) -> Strategy:
    """The strategy that the entry point names. Raises UsageError where it cannot be imported or is none."""
    where = f"strategy '{name}' ({point.value})"
    if not NAME.fullmatch(name) or name in NODES or name in RunState.__annotations__:
        raise UsageError(
            f"{where}: a strategy cannot have this name; take letters, digits, - and _, and another name than that of "
            "a step or a field of every run"
        )
    try:
        found = point.load()
        made = found() if inspect.isclass(found) else found
    except (Exception, SystemExit) as error:  # somebody else's module may fail in any way
        raise UsageError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    if isinstance(made, Strategy):
        return made
    propose = getattr(made, "propose", made)
    options = getattr(made, "options", SearchOptions)
    if not callable(propose):
        raise UsageError(f"{where} is neither a function propose(search) nor a class with such a method")
    if not (inspect.isclass(options) and issubclass(options, SearchOptions)):
        raise UsageError(f"{where}: its `options` must be a subclass of sage_spo.SearchOptions")

    async def proposing(search: Search) -> list[Prompt]:
        return await _proposed(where, propose, search)

    proposing.__name__, proposing.__doc__ = "propose", inspect.getdoc(propose)
    return Strategy(partial(build_loop, proposing), options, getattr(made, "presets", {}))


async def _proposed(where: str, propose: Callable[[Search], Any], search: Search) -> list[Prompt]:
    try:
        children = await _watched(where, propose, search)
    except BudgetExceeded:  # no agent call is left, and it has no other way
        return []
    except SageError:
        raise
    except Exception as error:
        raise StrategyError(f"{where} raised {type(error).__name__}: {error}{place(error)}".rstrip()) from error
    if isinstance(children, (str, bytes)) or not isinstance(children, Sequence):
        raise StrategyError(f"{where} returned {kind(children)}, not a list of prompts")
    wrong = next((child for child in children if not isinstance(child, (Prompt, type(None)))), None)
    if wrong is not None:
        raise StrategyError(f"{where} returned {kind(wrong)} among its prompts; make one with search.champion.edited")
    return _fit(where, [child for child in children if child is not None], search)


def _fit(where: str, children: Sequence[Prompt], search: Search) -> list[Prompt]:
    """The children that can be measured: new ones, with all that an edit must keep."""
    kept: dict[str, Prompt] = {}
    lost: list[str] = []
    for child in children:
        problems = search.task.violations(child)
        if problems:
            search.session.emit(
                "candidate_rejected", iteration=search.iteration, origin=child.origin, reason=problems[0]
            )
            lost += problems
        elif child.id not in search.known:
            kept.setdefault(child.id, child)
    if lost and not kept:
        raise StrategyError(f"{where} returned no prompt that can be used: {lost[0]}")
    if len(kept) > MOST:
        raise StrategyError(f"{where} returned {len(kept)} prompts; at most {MOST} can be measured in one iteration")
    # What it was made from may never have been proposed: such a parent has no text that anybody could look up.
    there = search.known | set(kept)
    return [
        child if there.issuperset(child.parents) else child.model_copy(update={"parents": (search.champion.id,)})
        for child in kept.values()
    ]


async def _watched(where: str, propose: Callable[[Search], Any], search: Search) -> Any:
    """What `propose` returns. Raises StrategyError where it neither returns nor has a call under way for too long."""
    limit = installation().strategy_seconds
    task = asyncio.ensure_future(answer(propose, search))
    since = time.monotonic()
    try:
        while not (await asyncio.wait([task], timeout=LOOK_SECONDS))[0]:
            if search.session.calls.busy:
                since = time.monotonic()
            elif time.monotonic() - since > limit:
                raise StrategyError(
                    f"{where} hangs: for {limit:g} s it has neither returned nor asked anything "
                    "(SAGE_STRATEGY_SECONDS sets this limit)"
                )
        return task.result()
    finally:
        task.cancel()
