"""The process that has pandas loaded and forks one process for every table. Runs inside the sandbox, confined.

It is started with a socket as standard input, the *control*. Over it comes, for each table, one byte with one
descriptor: the control of the process that is to be forked (see `server`). It never reads a table or any code itself,
so that nothing of one is in the memory of another's. When the control closes, also because the parent was killed, it
ends, and what it forked likewise.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import Any

from . import analysis, privileges
from .confine import confine, enter, violations
from .plan import Plan
from .server import Server


def main(argument: str) -> None:
    """Confine this process, say so on the control, and serve. Says why and ends where anything of that fails."""
    control = socket.socket(fileno=os.dup(0))
    try:
        plan = Plan.loads(argument)
        enter(plan)
        sys.path.extend(plan.packages)
        zygote = Zygote(control, plan)  # opens what it needs before it no longer can
        if not plan.probe:
            zygote.prepare()
        confine(plan)
        if broken := violations(plan):
            raise OSError(f"confinement does not hold: {', '.join(broken)}")
    except BaseException as error:
        control.sendall(json.dumps({"failed": f"{type(error).__name__}: {error}"[:2000]}).encode() + b"\n")
        os._exit(1)
    control.sendall(b'{"ready": true}\n')
    if not plan.probe:
        zygote.serve()
    os._exit(0)


class Zygote:
    """Forks the processes of the tables."""

    def __init__(self, control: socket.socket, plan: Plan) -> None:
        self.control = control
        self.plan = plan
        self.toolkit: Any = None
        self.null = os.open(os.devnull, os.O_RDWR)
        os.dup2(self.null, 0)
        # /proc is out of reach once confined; the descriptor goes on telling this process's size.
        self.statm: int | None = None
        with contextlib.suppress(OSError):
            self.statm = os.open("/proc/self/statm", os.O_RDONLY)

    def prepare(self) -> None:
        """Import what analyses use, so that workers share it."""
        sys.meta_path.insert(0, _Absent(self.plan))
        import pandas as pd

        self.toolkit = analysis.prepare()
        sample = pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, None, 2.0], "c": [True, False, True]})
        sample.groupby("a").agg({"b": "mean", "c": "sum"}).to_dict("records")
        sample["a"].str.len().value_counts().to_dict()
        pd.crosstab(sample["a"], sample["c"]).describe().to_string()
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Until the control closes."""
        # A child that ends is gone without being waited for.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with contextlib.suppress(ConnectionError):
            while True:
                byte, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
                if not byte:
                    return
                self._fork(socket.socket(fileno=descriptors[0]))

    def _fork(self, control: socket.socket) -> None:
        """Fork the process of one table. Where that fails, its control closes, which says it."""
        own = os.getpid()
        with control, contextlib.suppress(OSError):
            if os.fork():
                return
            try:
                os.setsid()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                if sys.platform == "linux":
                    privileges.end_with_parent()
                if os.getppid() == own:
                    self.control.close()
                    size = None
                    if self.statm is not None:
                        size = int(os.pread(self.statm, 200, 0).split()[0]) * os.sysconf("SC_PAGE_SIZE")
                    Server(control, self.plan, self.toolkit, self.null, size).serve()
            finally:
                os._exit(0)


class _Absent:
    """To an import, a package that is installed but may not be read is not there.

    So nothing that pandas would use if it were there (pyarrow, say) is used, and code gives the same on every machine.
    """

    def __init__(self, plan: Plan) -> None:
        self._folders = plan.packages
        self._there = {os.path.basename(path) for path in plan.readable}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if path is not None or name in self._there:
            return
        if any(os.path.isdir(os.path.join(folder, name)) for folder in self._folders):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
