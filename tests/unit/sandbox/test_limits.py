"""Code that takes too much is stopped or cut, and says so."""

from __future__ import annotations

from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.table import Table


async def test_the_signal_of_the_time_limit_cannot_be_ignored(hasty: LocalSandbox, table: Table) -> None:
    code = """
import signal
for at in range(1, 32):
    try: signal.signal(at, signal.SIG_IGN)
    except OSError: pass
while True: pass
"""
    done = await hasty.run(code, table)
    assert done.error is not None
    assert "computing time" in done.error or done.error == "time limit of 2 s"
    assert done.duration < 8
