"""The process of a peer: what it gets to see, and how its end is told, whatever it does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from sage_spo.errors import UsageError
from sage_spo.jobs.peers.environment import without_secrets
from sage_spo.jobs.peers.known import PEERS, PeerError, known_peer
from sage_spo.jobs.peers.process import Patience, PeerAnswer, run_process
from sage_spo.tests.unit.jobs.peers.test_gateway import BETTER, TASK, served

RESULT = json.dumps({"prompt": BETTER, "stop": "done", "versions": {"gepa": "0.1.4"}})


async def ended(tmp_path: Path, code: str, patience: Patience | None = None) -> PeerAnswer:
    """How a peer ends whose runner is this code."""
    runner = tmp_path / "runner.py"
    runner.write_text(code)
    async with served() as client:
        gateway = client.gateway
        specification = {"url": gateway.url, "token": gateway.token, "input": TASK.search[0].input}
        return await run_process("gepa", Path(sys.executable), runner, specification, gateway, patience)


def is_running(process: int) -> bool:
    """Whether there is such a process that is not a mere entry any more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_the_last_line_is_the_result_whatever_stands_before_it(tmp_path: Path) -> None:
    code = f"print('\\x1b[31mchatter', 'x' * 3_000_000)\nprint({RESULT!r})"
    assert await ended(tmp_path, code) == PeerAnswer(BETTER, "done", {"gepa": "0.1.4"})


async def test_it_sees_the_specification_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    told = tmp_path / "told.json"
    code = (
        "import json, os, sys\n"
        "seen = {'spec': json.load(sys.stdin), 'environment': dict(os.environ), 'arguments': sys.argv[1:]}\n"
        f"open({str(told)!r}, 'w').write(json.dumps(seen))\nprint({RESULT!r})"
    )
    await ended(tmp_path, code)
    seen = json.loads(told.read_text())
    assert seen["spec"]["input"] == TASK.search[0].input
    assert "sk-very-secret-key" not in told.read_text()
    assert not {"OPENAI_API_KEY", "SAGE_HOME"} & seen["environment"].keys()
    assert seen["environment"]["HOME"] != os.environ.get("HOME")
    assert seen["arguments"] == [str(os.getpid())]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('{\"prompt\": ')", "gave no result: the last line it printed is '{\"prompt\":'"),
        ("print('[1, 2]')", "gave no result"),
        ('print(\'{"prompt": 3, "stop": "", "versions": {}}\')', "gave no result"),
        ("pass", "gave no result: the last line it printed is ''"),
        ("raise SystemExit('no\\x1b[2J module')", "ended with exit code 1: no module"),
        (f"print({RESULT!r}); import os; os.abort()", "was killed by signal 6"),
    ],
)
async def test_a_peer_that_breaks_off_is_told_in_one_line(tmp_path: Path, code: str, words: str) -> None:
    with pytest.raises(PeerError, match=r"^peer gepa ") as error:
        await ended(tmp_path, code)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


async def test_a_peer_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        f"open({str(told)!r}, 'w').write(str(child.pid))\ntime.sleep(300)"
    )
    with pytest.raises(PeerError, match=r"hangs: it asked nothing for 1.5 seconds, and was stopped"):
        await ended(tmp_path, code, Patience(silent=1.5))
    child = int(told.read_text())
    for _ in range(100):
        if is_running(child):
            await asyncio.sleep(0.05)
    assert not is_running(child)


async def test_a_peer_that_does_not_stop_when_its_budget_is_spent_is_stopped(tmp_path: Path) -> None:
    code = (
        "import json, sys, time, urllib.request\n"
        "spec = json.load(sys.stdin)\n"
        "body = lambda n: json.dumps({'prompt': f'red green blue {n}', 'inputs': [spec['input']]}).encode()\n"
        "for n in range(10_000):\n"
        "    request = urllib.request.Request(spec['url'] + '/measure', body(n))\n"
        "    request.add_header('Authorization', 'Bearer ' + spec['token'])\n"
        "    try:\n        urllib.request.urlopen(request).read()\n"
        "    except OSError:\n        time.sleep(0.02)\n"
    )
    with pytest.raises(PeerError, match=r"went on for 0.5 seconds after its budget was spent"):
        await ended(tmp_path, code, Patience(ending=0.5))


def test_an_installer_sees_indexes_and_no_keys() -> None:
    given = {"OPENAI_API_KEY": "a", "UV_INDEX_CORP_PASSWORD": "b", "PIP_INDEX_URL": "c", "PATH": "d", "GH_TOKEN": "e"}
    assert set(without_secrets(given)) == {"UV_INDEX_CORP_PASSWORD", "PIP_INDEX_URL", "PATH"}


def test_every_peer_is_pinned_and_an_unknown_one_is_refused() -> None:
    assert all("==" in requirement for peer in PEERS.values() for requirement in peer.requirements)
    with pytest.raises(UsageError, match=r"there is none named 'dpsy'. Did you mean 'dspy'\? Known: gepa, dspy"):
        known_peer("dpsy")
