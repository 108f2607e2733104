"""What only the sandbox at e2b has: no network, an end in any case, troubles of a service, a key, a cost."""

from __future__ import annotations

import asyncio
import base64
import logging
import resource
import time

import pytest

from sage_spo.agents.paid_sandbox import PaidSandbox
from sage_spo.errors import SandboxError, UsageError
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.ledger import Ledger
from sage_spo.models.prices import sandbox_price
from sage_spo.sandbox import e2b
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.e2b import E2BSandbox
from sage_spo.sandbox.inside.plan import Limits
from sage_spo.sandbox.local import LocalSandbox
from sage_spo.sandbox.protocol import Finding
from sage_spo.sandbox.table import Table
from sage_spo.tests.fakes.e2b_server import KEY, E2BServer, Trouble
from sage_spo.tests.processes import eventually

from .conftest import at_e2b

SLEEP = "import time\nprint('begun')\nemit('a', 1)\ntime.sleep(60)"
LOST = "killed: the connection to the e2b sandbox was lost, or it vanished"


@pytest.fixture
def box(server: E2BServer) -> E2BSandbox:
    return at_e2b(server, Limits(wall=2.0))


# -- which ---------------------------------------------------------------------------------------------------


def test_auto_is_e2b_where_its_key_is_set_and_local_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_sandbox("auto"), LocalSandbox)
    monkeypatch.setenv("E2B_API_KEY", " ")
    assert isinstance(make_sandbox("auto"), LocalSandbox)
    monkeypatch.setenv("E2B_API_KEY", KEY)
    assert isinstance(make_sandbox("auto"), E2BSandbox)
    assert isinstance(make_sandbox("e2b"), E2BSandbox)
    assert isinstance(make_sandbox("local"), LocalSandbox)
    assert isinstance(make_sandbox("unsafe"), LocalSandbox)


def test_without_a_key_e2b_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match="set E2B_API_KEY"):
        make_sandbox("e2b")


@pytest.mark.parametrize("key", ["e2b_\nx", "schlüssel"])
def test_a_key_that_can_be_none_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("E2B_API_KEY", key)
    with pytest.raises(SandboxError) as caught:
        make_sandbox("e2b")
    assert key not in str(caught.value)


# -- one sandbox for one run ---------------------------------------------------------------------------------


async def test_a_run_has_a_sandbox_of_its_own_without_network_environment_or_much_time(
    server: E2BServer, box: E2BSandbox, table: Table
) -> None:
    for at in range(2):
        assert (await box.run(f"emit('n', {at})", table)).results == (Finding("n", at),)
    first, second = server.machines.values()
    assert server.kills == [first.id, second.id]
    for machine in (first, second):
        assert machine.runs == 1
        assert machine.asked["allow_internet_access"] is False
        assert machine.asked["autoPause"] is False
        assert machine.asked["envVars"] == {}
        assert machine.asked["timeout"] == box.most_billed
        assert KEY not in str({name: value for name, value in machine.asked.items() if name != "headers"})
    assert box.limits.wall < box.most_billed < box.limits.wall + 60


async def test_it_is_killed_after_a_time_out_and_after_an_error(server: E2BServer, box: E2BSandbox) -> None:
    done = await box.run(SLEEP, Table([]))
    assert (done.error, done.stdout, len(done.results)) == ("time limit of 2 s", "begun\n", 1)
    await box.run("1 / 0", Table([]))
    killing = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"  # not a word of it may be lost: it ran
    assert (await box.run(killing, Table([]))).error == "killed: the process of the sandbox ended"
    assert len(server.kills) == 3


async def test_a_run_whose_far_side_says_no_more_ends_a_little_after_its_time(
    server: E2BServer, box: E2BSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(e2b, "GRACE_SECONDS", 1.0)
    stopped = "import os, signal, time\nemit('a', 1)\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(60)"
    # What was found may stay in a process that was stopped.
    done = await box.run(stopped, Table([]))
    assert done.error == "time limit of 2 s"
    assert done.duration < 6


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.4, 1.0, 2.0])
async def test_it_is_killed_whenever_the_run_is_cancelled(server: E2BServer, box: E2BSandbox, moment: float) -> None:
    tasks = [asyncio.create_task(box.run(SLEEP, Table([]))) for _ in range(3)]
    await asyncio.sleep(moment)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert server.alive == []
    assert set(server.kills) == set(server.machines)


async def test_one_that_is_made_after_the_run_was_cancelled_is_killed_too(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(slow_create=1.0)
    task = asyncio.create_task(box.run("", Table([])))
    assert await asyncio.to_thread(eventually, lambda: bool(server.machines))
    task.cancel()
    await asyncio.sleep(0.1)
    task.cancel()  # by one who has no patience
    with pytest.raises(asyncio.CancelledError):
        await task
    await box.aclose()  # waits for what is still to be ended
    assert server.kills == list(server.machines)


async def test_a_kill_that_fails_is_tried_again(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(kill=(500, 500))
    assert (await box.run("emit('a', 1)", Table([]))).error is None
    assert len(server.kills) == 3


async def test_closing_kills_and_ends_what_is_under_way(server: E2BServer, box: E2BSandbox) -> None:
    task = asyncio.create_task(box.run(SLEEP, Table([])))
    waiting = [asyncio.create_task(box.run("", Table([]))) for _ in range(2)]
    await asyncio.sleep(1.5)
    await box.aclose()
    ends = await asyncio.gather(task, *waiting, return_exceptions=True)
    assert all(isinstance(end, SandboxError) or end.error for end in ends[:1])  # type: ignore[union-attr]
    await box.aclose()
    with pytest.raises(SandboxError, match="closed"):
        await box.run("", Table([]))


async def test_at_most_two_live_at_a_time(server: E2BServer, box: E2BSandbox) -> None:
    await asyncio.gather(*(box.run("", Table([])) for _ in range(4)))
    assert server.peak == 2


# -- the service's troubles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "says", "asked"),
    [
        ((403,), "refuses the key", 1),
        ((402,), "quota is used up", 1),
        ((429,), "quota is used up", 3),
        ((500,), "no sandbox to give", 1),
        ((503,), "e2b", 3),
        ((400,), "gave no sandbox", 1),
    ],
)
async def test_a_refusal_says_what_to_do_and_nothing_is_run(
    server: E2BServer, box: E2BSandbox, statuses: tuple[int, ...], says: str, asked: int
) -> None:
    server.trouble = Trouble(create=statuses)
    with pytest.raises(SandboxError, match=says) as caught:
        await box.run("", Table([]))
    assert "Nothing was run" in str(caught.value)
    assert KEY not in str(caught.value)
    assert server.creations == asked
    assert caught.value.billed == 0


async def test_what_passes_is_waited_for(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(create=(503, 429, 0))
    assert (await box.run("emit('a', 1)", Table([]))).error is None


async def test_a_bad_key_is_said_and_never_shown(
    server: E2BServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = "e2b_" + "f" * 40
    monkeypatch.setenv("E2B_API_KEY", bad)
    box = E2BSandbox()
    with caplog.at_level(logging.DEBUG), pytest.raises(SandboxError, match="refuses the key") as caught:
        await box.run("", Table([]))
    error: BaseException | None = caught.value
    assert "E2B_API_KEY" in str(error)
    assert bad not in f"{error!s}{error!r}{box!r}{caplog.text}"
    assert error is not None
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_an_unreachable_service_is_said(server: E2BServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2B_API_URL", "http://127.0.0.1:9")
    with pytest.raises(SandboxError, match="cannot be reached"):
        await at_e2b(server).run("", Table([]))


@pytest.mark.parametrize("trouble", [Trouble(upload=500), Trouble(execute="gone"), Trouble(execute="error")])
async def test_a_sandbox_lost_before_the_code_began_is_an_error_and_is_billed(
    server: E2BServer, box: E2BSandbox, trouble: Trouble
) -> None:
    server.trouble = trouble
    with pytest.raises(SandboxError, match="nothing was run") as caught:
        await box.run("", Table([]))
    assert caught.value.billed > 0
    assert KEY not in str(caught.value)


async def test_a_kernel_that_does_not_answer_is_not_waited_for(server: E2BServer) -> None:
    server.trouble = Trouble(execute="hang")
    box = at_e2b(server, Limits(start=1.0))
    with pytest.raises(SandboxError, match="not ready after 1 s"):
        await box.run("", Table([]))


async def test_a_connection_lost_on_the_way_keeps_what_was_heard(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(execute="cut")
    done = await box.run(SLEEP, Table([]))
    assert done.error == LOST


async def test_a_sandbox_that_vanishes_keeps_what_was_heard(server: E2BServer) -> None:
    task = asyncio.create_task(at_e2b(server).run(SLEEP, Table([])))
    begun = "o" + base64.b64encode(b"begun\n").decode()
    assert await asyncio.to_thread(eventually, lambda: any(begun in m.said for m in server.alive), 20)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.vanish)
    done = await task
    assert done.error in (LOST, "killed: the process of the sandbox ended")
    assert (done.stdout, done.results) == ("begun\n", (Finding("a", 1),))


# -- hostile answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["endless line", "many values", "compressed"])
async def test_an_endless_answer_takes_little_memory(server: E2BServer, box: E2BSandbox, trouble: str) -> None:
    await box.run("", Table([]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.trouble = Trouble(execute=trouble)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(SandboxError, match=r"nothing was run: (too long an|a compressed) answer"):
        await box.run("", Table([]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # in kB: the bound is 12 MB
    assert time.monotonic() - began < 10
    assert server.sent < 100 << 20


async def test_what_the_kernel_says_on_its_own_is_not_the_codes(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(execute="noise")
    done = await box.run("print('own')", Table([]))
    assert (done.stdout, done.results, done.error) == ("own\n", (), None)


async def test_code_that_speaks_for_the_relay_is_bounded_all_the_same(server: E2BServer, box: E2BSandbox) -> None:
    code = """
import os
kernel = os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY)
"""
    endless = f"{code}while True: os.write(kernel, b'r' + b'A' * 65536)"
    done = await box.run(endless, Table([]))
    assert done.error is not None
    assert done.error.startswith("killed by the sandbox: too")
    lines = f"{code}while True: os.write(kernel, b'oQUFB\\n' * 1000)"
    done = await box.run(lines, Table([]))
    assert done.error is not None
    assert len(done.stdout) < 21_000


# -- cost ----------------------------------------------------------------------------------------------------


def test_a_second_has_a_price_that_can_be_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    assert sandbox_price("e2b") == pytest.approx(2 * 0.000014 + 0.0000045)
    own = tmp_path_factory.mktemp("own") / "prices.yaml"
    own.write_text(
        "sandboxes:\n  e2b: {vcpus: 8, gib: 4, usd_per_vcpu_second: 0.000014, usd_per_gib_second: 0.0000045}"
    )
    monkeypatch.setenv("SAGE_PRICES", str(own))
    assert sandbox_price("e2b") * 3600 == pytest.approx(0.468)


async def test_a_run_costs_the_seconds_that_its_sandbox_lived(server: E2BServer, box: E2BSandbox) -> None:
    ledger, told = Ledger(Budget(usd=1.0)), []
    paid = PaidSandbox(box, ledger, 0.001, told.append)
    done = await paid.run("emit('a', 1)", Table([]))
    [machine] = server.machines.values()
    assert machine.ended is not None
    assert machine.ended - machine.began <= done.billed < machine.ended - machine.began + 1
    assert done.usd == pytest.approx(0.001 * done.billed)
    assert told == [done.usd]
    report = ledger.report()
    assert report["by_role"]["sandbox"]["calls"] == 1
    assert report["by_role"]["sandbox"]["usd"] == report["spent"]["usd"] == done.usd
    assert report["spent"]["target_calls"] == report["spent"]["agent_calls"] == 0


async def test_a_run_that_the_budget_has_no_room_for_is_not_made(server: E2BServer, box: E2BSandbox) -> None:
    ledger = Ledger(Budget(usd=0.9 * box.most_billed * 0.001))
    done = await PaidSandbox(box, ledger, 0.001).run("emit('a', 1)", Table([]))
    assert done.error is not None
    assert done.error.startswith("not run, the budget has no room for it")
    assert (server.creations, done.results, ledger.report()["spent"]["usd"]) == (0, (), 0)


async def test_a_refusal_costs_nothing(server: E2BServer, box: E2BSandbox) -> None:
    server.trouble = Trouble(create=(500,))
    ledger = Ledger(Budget(usd=1.0))
    with pytest.raises(SandboxError):
        await PaidSandbox(box, ledger, 0.001).run("", Table([]))
    assert ledger.report()["spent"]["usd"] == 0


async def test_what_earlier_processes_paid_counts(server: E2BServer) -> None:
    ledger = Ledger(Budget(usd=1.0))
    ledger.restore_code([0.1, 0.0, 0.2])
    assert ledger.spent("usd") == pytest.approx(0.3)
    assert ledger.report()["by_role"]["sandbox"]["calls"] == 2
