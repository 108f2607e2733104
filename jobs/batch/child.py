"""The process of one job of a batch: the command line, which ends with the process that started it.

    python -m sage_spo.jobs.batch.child optimize headlines --run nightly/headlines

A batch that is killed must not leave jobs behind that spend without it: they die as it did, and go on with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

CHECK_SECONDS = 0.1


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run the command line given after the parent's process id; returns its exit code."""
    threading.Thread(target=_watch, args=(int(sys.argv[1]),), daemon=True).start()
    from ..cli import main as command_line

    return command_line(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
