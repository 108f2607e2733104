"""The event log of a run: JSON lines in `runs/RUN_ID/events.jsonl`, for people and programs to follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from .home import disk_full, unwritable, writable_folder
from .redact import redact_event

SCHEMA_VERSION = 1
FILE = "events.jsonl"

_OWN = ("schema_version", "time", "run", "event")


class EventLog:
    """Appends one line per event: schema version, time (ISO, UTC), run, event, then the event's own fields.

    Secrets are taken out of every field. Nothing of structlog is configured globally, so that each run of a
    process has its own log and an application's logging stays as it is.
    """

    def __init__(self, run_id: str, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._last: Future[Any] | None = None
        try:
            # Unbuffered: each line is one write, so that lines stay whole whoever else appends or kills us.
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - open for as long as the run
            _end_last_line(path, self._file)
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error

        def laid_out(_logger: object, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
            own = {"schema_version": SCHEMA_VERSION, "time": event["time"], "run": run_id, "event": event["event"]}
            return own | event["fields"]

        self._log: structlog.BoundLogger = structlog.wrap_logger(
            structlog.BytesLogger(self._file),
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                laid_out,
                redact_event,
                structlog.processors.JSONRenderer(serializer=_line),
            ],
        )

    def emit(self, event: str, /, **fields: Any) -> None:
        """Append an event; it is written by a thread, in order, so that an event loop never waits for the disk.

        Raises StoreError when an earlier one could not be written, TypeError for a field that every line has already.
        """
        if taken := [name for name in _OWN if name in fields]:
            raise TypeError(f"an event cannot have a field named '{taken[0]}': every line has one of its own")
        self._raise_failure()
        self._last = self._thread.submit(self._log.info, event, fields=fields)

    def close(self) -> None:
        """Write what was emitted and let go of the file. Raises StoreError when it could not be written."""
        self._thread.shutdown(wait=True)
        self._file.close()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._last is not None and self._last.done():
            failure, self._last = self._last.exception(), None
            if isinstance(failure, OSError):
                raise disk_full(failure, self.path) or unwritable(
                    self.path, failure.strerror or str(failure)
                ) from failure
            if failure is not None:
                raise failure


def event_log(run_id: str, home: Path) -> EventLog:
    """The log of a run in the user's SAGE_HOME, appended to where it exists.

    Raises StoreError when it cannot be written.
    """
    return EventLog(run_id, writable_folder(home.expanduser() / "runs" / run_id) / FILE)


def _line(event: dict[str, Any], **options: Any) -> bytes:
    return json.dumps(event, **options).encode()


def _end_last_line(path: Path, file: Any) -> None:
    """After a line that was cut short (a full disk, a power cut) the next one must begin on its own."""
    size = path.stat().st_size
    if size:
        with open(path, "rb") as written:
            written.seek(size - 1)
            if written.read(1) != b"\n":
                file.write(b"\n")
