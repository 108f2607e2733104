"""Options of a strategy and of the sandbox: what is refused, before anything is spent."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.jobs.api import aoptimize
from sage_spo.jobs.cli import main
from sage_spo.jobs.options import option_values
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.unit.sandbox.without import command

NOTHING_ISOLATES = command(
    "namespaces,landlock", "-c", "import sys\nfrom sage_spo.jobs.cli import main\nsys.exit(main(sys.argv[1:]))"
)


def test_option_values_are_numbers_truth_values_or_texts() -> None:
    given = ["directions=8", "fdr = 0.1", "demos=True", "iterations=none", "profile=small", "note=a=b", "most=inf"]
    assert option_values(given) == {
        "directions": 8,
        "fdr": 0.1,
        "demos": True,
        "iterations": None,
        "profile": "small",
        "note": "a=b",
        "most": "inf",
    }


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("--option directions", ["--option", "NAME=VALUE", "'directions'"]),
        ("--option =8", ["--option", "NAME=VALUE"]),
        ("--option pool=3 --option pool=4", ["--option", "'pool' is given twice"]),
        ("--pool 3 --option pool=4", ["--option", "'pool' is given twice", "--pool"]),
        ("--strategy sage --option directons=8", ["directons", "sage", "Did you mean 'directions'"]),
        ("--strategy sage --option directions=99", ["directions", "32"]),
        ("--strategy random --option directions=8", ["directions", "random"]),
        ("--strategy sage --option profile=huge", ["profile", "small"]),
        ("--sandbox locl", ["--sandbox", "locl", "Did you mean 'local'"]),
        ("--sandbox plain", ["--sandbox", "choose auto, e2b, local, none, unsafe"]),
    ],
)
def test_a_wrong_option_is_exit_code_2_and_one_line(
    call: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["optimize", "headlines", *call.split()]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    for name in names:
        assert name in said.err


async def test_python_cannot_choose_the_plain_process_either() -> None:
    with pytest.raises(UsageError, match="unknown 'plain'"):
        await aoptimize(make_task(), target=lambda messages, example: "red", sandbox="plain")


def test_options_and_sandbox_reach_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    call = "optimize reviews --strategy sage --sandbox none --option fdr=0.1 --option directions=2 --iterations 1"
    with FakeServer(lambda request: "positive") as server:
        chosen = (
            f"--target openai:fake --base-url {server.url} --budget target_calls=500 --run mine --no-certify --json"
        )
        assert main([*call.split(), *chosen.split()]) == 0
    capsys.readouterr()
    assert main(["show", "mine", "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["run"]["settings"]["options"] == {"iterations": 1, "fdr": 0.1, "directions": 2}
    assert shown["run"]["settings"]["sandbox"] == "none"
    assert shown["code_runs"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="takes away features by a seccomp filter")
def test_model_written_code_is_refused_before_the_first_call_where_nothing_isolates() -> None:
    with FakeServer(lambda request: "red") as server:
        models = ["--target", "openai:fake", "--agent", "openai:fake", "--base-url", server.url]
        call = ["optimize", "reviews", "--strategy", "sage", "--budget", "target_calls=500", *models]
        found = subprocess.run([*NOTHING_ISOLATES, *call], capture_output=True, text=True)
        assert server.log == []
        listed = subprocess.run([*NOTHING_ISOLATES, "doctor", "--json"], capture_output=True, text=True)
    assert found.returncode == 2, found
    assert found.stderr.startswith("error: Nothing isolates code on this machine")
    assert found.stderr.count("\n") == 1
    checks = {check["name"]: check for check in json.loads(listed.stdout)["checks"]}
    assert checks["sandbox"]["state"] == "optional"
    assert "--sandbox none" in checks["sandbox"]["remark"]
    assert checks["sandbox: landlock"]["state"] == "optional"
