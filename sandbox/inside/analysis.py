"""Runs given code over a table in the own process and writes its findings. Runs inside every kind of sandbox.

The process is used once. What it writes, the parent reads as frames (`frames.py`): kind, length, payload.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import os
import sys
import warnings
from typing import Any

from .plan import Limits

FILENAME = "<analysis>"
RESULTS = 3
"""The descriptor that findings are written to."""


def prepare() -> Any:
    """Import what analyses use and set it up alike everywhere. Returns the toolkit, None where there is none."""
    import numpy as np
    import pandas as pd

    from . import values

    # What is printed is read by whoever wrote the code: no cell cut at 50 characters, no column left out.
    pd.set_option("display.max_colwidth", 200, "display.width", 200, "display.max_columns", 30)
    toolkit = None
    try:
        toolkit = sys.modules["toolkit"] = importlib.import_module(".toolkit", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.toolkit":
            raise
    assert values.ROWS  # imported here, before anything is confined
    warnings.simplefilter("ignore")  # the output is for what the code prints
    np.random.seed(0)  # the same draws in every run, also of code that forgets to seed
    return toolkit


def load(data: bytes) -> Any:
    """The DataFrame that `Table.data` holds. Raises whatever pandas does."""
    import pandas as pd

    given = json.loads(data)
    return pd.DataFrame(given["rows"], columns=given["columns"])


def send(kind: bytes, payload: bytes) -> None:
    """Write one frame of results: kind, length, payload."""
    rest = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
    while rest:
        rest = rest[os.write(RESULTS, rest) :]


def run(code: str, table: Any, toolkit: Any, limits: Limits) -> None:
    """Run the code, write what it found and its error, and end the process. Never returns."""
    import numpy as np
    import pandas as pd

    results = Results(limits)
    given = {
        "__name__": "__main__",
        "__builtins__": builtins,
        "records": table,
        "pd": pd,
        "np": np,
        "emit": results.emit,
    }
    if toolkit is not None:
        given["toolkit"] = toolkit
    error = ""
    try:
        exec(compile(code, FILENAME, "exec", dont_inherit=True), given)  # noqa: S102
    except SystemExit as left:
        if left.code not in (None, 0):
            error = describe(left, code)
    except MemoryError as full:
        line = _line(full, code)
        given.clear()  # or there may be no room to say it
        error = f"memory limit of {_size(limits.memory)}{line}"
    except BaseException as raised:
        error = describe(raised, code)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    if error:
        send(b"e", error[:4000].encode("utf-8", "replace"))
    send(b"d", str(results.dropped).encode())
    os._exit(0)


class Results:
    """The findings of one run, written as they come: what was found before a time-out is kept."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        self.bytes = 0
        self.dropped = 0

    def emit(self, name: object, value: object, note: object = "") -> None:
        """Register a finding. Tables keep their first 5,000 rows; what is too large is cut, and the note says so."""
        from . import values

        if self.count >= self.limits.findings:
            self.dropped += 1
            return
        room = min(self.limits.finding_bytes, self.limits.total_bytes - self.bytes)
        data = values.finding(name, value, note, room - 16)
        if data is None:
            self.dropped += 1
            return
        self.count += 1
        self.bytes += len(data) + 5
        send(b"f", data)


def describe(error: BaseException, code: str) -> str:
    """The exception as one line of text, with the line of the given code that it came from."""
    name = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        return f"{name}: {error.msg}{_quote(error.lineno or 1, code)}"
    try:
        message = str(error)[:2000]
    except Exception:
        message = "(its message could not be made)"
    return f"{name}: {message}{_line(error, code)}" if message else f"{name}{_line(error, code)}"


def _line(error: BaseException, code: str) -> str:
    number = 0
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == FILENAME:
            number = step.tb_lineno
        step = step.tb_next
    return _quote(number, code) if number else ""


def _quote(number: int, code: str) -> str:
    lines = code.splitlines()
    text = lines[number - 1].strip()[:200] if number <= len(lines) else ""
    return f" (line {number}: {text})" if text else f" (line {number})"


def _size(amount: int) -> str:
    return f"{amount / (1 << 30):g} GB" if amount >= 1 << 30 else f"{amount / (1 << 20):g} MB"
