"""The command line: which commands there are, and how the program ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from .commands_doctor import doctor
from .commands_init import init
from .commands_measure import evaluate, preflight
from .commands_run import optimize, resume
from .commands_runs import runs, show
from .exits import ended

app = typer.Typer(
    name="sage-spo",
    help="Find better prompts by measured search, and prove that they are better.\n\n"
    "Start with: sage-spo optimize reviews",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (optimize, resume, runs, show, evaluate, preflight, init, doctor):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (see `exits`)."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    return ended(lambda: app(args=given, prog_name="sage-spo", standalone_mode=False))


if __name__ == "__main__":
    sys.exit(main())
