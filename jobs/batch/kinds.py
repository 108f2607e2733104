"""The kinds of job that a batch knows. A new kind is a command of the command line and one line in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import typer

from ..commands_measure import evaluate
from ..commands_run import optimize
from .checks import check_evaluate, check_optimize

NOT_OFFERED = ("task", "run", "json", "context", "budget", "dry_run", "cache_scope")
"""Parameters of a command that a batch gives itself, that every job has, or that do nothing."""
PATHS = ("prompt", "seed_prompt", "data")
"""Options that name files; relative ones stand in the jobs file's folder."""
PROMPTS = ("prompt", "seed_prompt")
"""Options that may take the prompt of an earlier job."""


@dataclass(frozen=True)
class Kind:
    """A kind of job: the command that does it, and what can be refused before anything is spent.

    `check(options, alias)` gets the command's options by name and the run's name; it returns the target calls that
    the job takes where that is certain. It raises SageError.
    """

    name: str
    function: Callable[..., None]
    check: Callable[[dict[str, Any], str], int | None]

    @cached_property
    def command(self) -> Any:
        """The command as typer makes it, whose options are the job's fields."""
        app = typer.Typer(add_completion=False)
        app.command()(self.function)
        return typer.main.get_command(app)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The options that a job of this kind may have, by field."""
        return {p.name: p for p in self.command.params if p.name and p.name not in NOT_OFFERED}

    def parsed(self, arguments: list[str]) -> dict[str, Any]:
        """The command's options by name. Raises typer.TyperException for a value that cannot be."""
        return self.command.make_context(self.name, list(arguments)).params


KINDS: dict[str, Kind] = {
    "optimize": Kind("optimize", optimize, check_optimize),
    "evaluate": Kind("evaluate", evaluate, check_evaluate),
}
