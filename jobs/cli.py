"""The command line: which commands there are, and how the program ends."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..errors import UsageError
from ..settings import dotenv
from ..settings import settings as installation
from .batch.command import batch
from .commands_doctor import doctor
from .commands_init import init
from .commands_measure import evaluate, preflight
from .commands_run import optimize, resume
from .commands_runs import runs, show
from .commands_strategies import show_strategies
from .compare.command import compare
from .decide.command import decide
from .exits import ended
from .landscape.command import landscape
from .peers.command import peer
from .schedule.command import schedule

app = typer.Typer(
    name="sage-spo",
    help="Find better prompts by measured search, and prove that they are better.\n\n"
    "Start with: sage-spo optimize headlines",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    try:
        installation()
    except (OSError, ValueError) as error:
        raise UsageError(f"settings (SAGE_ variables, .env in this folder) cannot be read: {error}") from error


for command in (optimize, resume, compare, decide, landscape, runs, show, evaluate, preflight, batch, schedule, init):
    app.command()(command)
app.command()(doctor)
app.command("strategies")(show_strategies)
app.command(hidden=True)(peer)


YOUNG_OBJECTS = 20_000
"""New objects between two looks of the garbage collector."""


def collect_less() -> None:
    """Spare the garbage collector, in a process of our own, what is there to stay: what is imported, and a run's
    records, which come by the thousand and are no garbage. With Python's own setting it takes half of the time."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (see `exits`)."""
    collect_less()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]

    def command() -> object:
        dotenv()  # what event loops, which do not read files, know of it
        for argument in given:
            if not argument.isascii() and argument != argument.encode(errors="replace").decode():
                raise UsageError(f"the argument {argument!a} is not UTF-8 text")
        return app(args=given, prog_name="sage-spo", standalone_mode=False)

    return ended(command)


if __name__ == "__main__":
    sys.exit(main())
