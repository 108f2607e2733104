"""Runs programs as the sandbox would, but with nothing around them: the controls of the attacks.

Has pandas loaded and forks an ordinary process for each program, which speaks the sandbox's own frames on descriptor 3.
Started by path with a socket as standard input: a job comes as its length, with descriptors for output and results, and
its JSON; the answers are the process's number and, when it has ended, its exit code, as lines.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import fcntl
import gc
import json
import os
import resource
import signal
import socket
import sys
import threading
from types import ModuleType
from typing import Any

HIGH = 100
"""Descriptors above those that programs look at or that the results have."""


def frame(kind: bytes, payload: bytes) -> None:
    rest = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
    while rest:
        rest = rest[os.write(3, rest) :]


def emit(name: object, value: object, note: object = "") -> None:
    frame(b"f", json.dumps([str(name), value, str(note)], default=str).encode())


def given(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What analysis code has."""
    import numpy as np
    import pandas as pd

    toolkit = ModuleType("toolkit")
    toolkit.preset = print  # type: ignore[attr-defined]
    sys.modules["toolkit"] = toolkit
    return {"__name__": "__main__", "emit": emit, "pd": pd, "np": np, "records": pd.DataFrame(rows)}


def run(code: str, names: dict[str, Any], key: str | None) -> None:
    """Run the code in this very process, as a careless program would, with a key in the calling frame."""
    try:
        exec(compile(code, "<analysis>", "exec"), dict(names))
    except SystemExit:
        pass
    except BaseException as error:
        kind = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
        frame(b"e", f"{type(error).__name__} {kind}: {error}".encode("utf-8", "replace"))
    sys.stdout.flush()


def live(job: dict[str, Any], output: int, results: int) -> None:
    """The forked process: run the job's programs, and what they left for the end as Python does."""
    os.setsid()
    for number, target in ((output, 1), (results, 3)):
        os.dup2(number, target)
        os.close(number)
    for number in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    names = given(job["rows"])
    former = [{"secret": os.environ.get("OPENAI_API_KEY")}]  # an earlier run's table, never let go
    run(job["code"], names, former[0]["secret"])
    if job["then"]:
        run(job["then"], names, None)
    for each in threading.enumerate():
        if each is not threading.main_thread() and not each.daemon:
            each.join()
    atexit._run_exitfuncs()
    frame(b"d", b"0")


def main() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # ends with whoever started it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.path.extend(json.loads(sys.argv[1]))
    control = socket.socket(fileno=fcntl.fcntl(0, fcntl.F_DUPFD, HIGH))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    given([{"warm": 1.0}])
    gc.collect()
    gc.freeze()  # or each forked process copies the heap at its first collection
    while True:
        head, descriptors, _, _ = socket.recv_fds(control, 8, 2)
        if not head:
            return
        output, results = (fcntl.fcntl(each, fcntl.F_DUPFD, HIGH) for each in descriptors)
        for each in descriptors:
            os.close(each)
        job = b""
        while len(job) < int.from_bytes(head, "big"):
            job += control.recv(1 << 16)
        pid = os.fork()
        if pid == 0:
            try:
                control.close()
                live(json.loads(job), output, results)
            finally:
                os._exit(0)  # taking pandas down in order costs more than all the rest
        os.close(output)
        os.close(results)
        control.send(b"%d\n" % pid)
        control.send(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
