"""How a command ends: every error one line on standard error and an exit code, never a traceback on the screen."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import typer

from ..errors import RunInterrupted, SageError
from ..settings import settings as installation
from .output import notice

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended and that left nothing to resume."""


class RunCrashed(Exception):
    """An unexpected error in a run; its cause is the error."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


def ended(command: Callable[[], object]) -> int:
    """Run a command line to its end and return the exit code, with the error printed where there was one.

    With SAGE_DEBUG set, errors are raised as they are.
    """
    debug = bool(os.environ.get("SAGE_DEBUG"))
    if not debug:
        # Standard error is for our own lines: libraries' warnings and last-resort logging would drown them.
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What an encoding cannot hold is printed as an escape, which in JSON stands for the same character.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except RunInterrupted as stop:
        notice(str(stop))
        return stop.exit_code
    except SageError as error:
        if debug:
            raise
        _fail(str(error))
        return error.exit_code
    except typer.TyperException as error:
        _fail(error.format_message().rstrip(".") + "." + _help_hint(error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _fail("stopped")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has seen enough (`| head`); Python must not complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        if debug:
            raise
        _fail(_crash_words(error))
        return 1


def _fail(message: str) -> None:
    from ..traces.redact import redact

    notice(f"error: {redact(message)}")


def _help_hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f" See: {context.command_path} --help" if context is not None else ""


def _crash_words(error: Exception) -> str:
    run_id = error.run_id if isinstance(error, RunCrashed) else ""
    cause = error.__cause__ if isinstance(error, RunCrashed) and error.__cause__ else error
    path = _written(cause, run_id)
    where = f" in run {run_id}" if run_id else ""
    goes_on = f" `sage-spo resume {run_id[:8]}` tries again." if run_id else ""
    kind = type(cause).__name__
    first = str(cause).splitlines()[0][:200] if str(cause) else "no message"
    return f"unexpected {kind}{where}: {first}. The traceback is in {path}.{goes_on}"


def _written(error: BaseException, run_id: str) -> Path:
    """The file that holds the traceback: beside the run's events, else in SAGE_HOME, else in a temporary folder."""
    from ..traces.redact import redact

    text = redact("".join(traceback.format_exception(error)))
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    home = installation().home.expanduser()
    for folder in (home / "runs" / run_id if run_id else home / "crashes", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            return folder / name
        except OSError:
            continue
    return Path(os.devnull)
