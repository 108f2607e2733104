"""Which sandbox a name gives, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess

import pytest

from sage_spo.errors import SandboxError, UsageError
from sage_spo.sandbox.choose import available, make_sandbox
from sage_spo.sandbox.inside.confine import violations
from sage_spo.sandbox.inside.plan import LAYERS, Plan
from sage_spo.sandbox.inside.seccomp import program

from .without import command


def test_none_is_no_sandbox() -> None:
    assert make_sandbox("none") is None


@pytest.mark.parametrize(("choice", "isolated"), [("auto", True), ("local", True), ("plain", False), ("unsafe", False)])
def test_what_a_name_gives(choice: str, isolated: bool) -> None:
    sandbox = make_sandbox(choice)
    assert sandbox is not None
    assert sandbox.isolated is isolated
    assert sandbox.name == ("local" if choice == "auto" else choice)


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no sandbox 'locl'.*Did you mean 'local'"):
        make_sandbox("locl")


def test_the_layers_are_named_with_what_they_forbid() -> None:
    found = {layer.name: layer for layer in available()}
    assert tuple(found) == LAYERS
    assert found["seccomp"].holds
    assert found["landlock"].holds or found["namespaces"].holds
    assert all(layer.detail for layer in found.values())


def test_a_process_that_is_not_confined_notices(tmp_path: object) -> None:
    found = violations(Plan(layers=("landlock", "seccomp"), forbidden=os.path.abspath(__file__)))
    assert found == [
        "a file outside was read",
        "a folder outside was listed",
        "a file was written",
        *(["a privilege was left"] if os.getuid() == 0 else []),
        "a socket was opened",
        "a socket was opened",
        "a program could be started",
    ]


MAKE = """
import sys
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.errors import SandboxError
try:
    print("made", make_sandbox(sys.argv[1]).confinement)
except SandboxError as error:
    print(error.exit_code, error)
"""


def made_without(layers: str, choice: str = "auto") -> str:
    """What `make_sandbox` gives, or says, where the kernel lacks these features."""
    return subprocess.run(command(layers, "-c", MAKE, choice), capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("choice", ["auto", "local"])
def test_without_namespaces_and_landlock_there_is_no_sandbox_and_the_ways_out_are_named(choice: str) -> None:
    said = made_without("namespaces,landlock", choice)
    assert said.startswith("2 Nothing isolates code on this machine"), said
    for part in (
        "namespaces: ",
        "unshare: Operation not permitted",
        "landlock: ",
        "--sandbox none",
        "--sandbox unsafe",
    ):
        assert part in said


def test_without_seccomp_there_is_no_sandbox() -> None:
    assert made_without("seccomp").startswith("2 Nothing isolates code on this machine")


@pytest.mark.parametrize(
    ("missing", "left"), [("namespaces", "landlock, seccomp"), ("landlock", "namespaces, seccomp")]
)
def test_one_of_namespaces_and_landlock_is_enough(missing: str, left: str) -> None:
    if not {layer.name for layer in available() if layer.holds} >= set(left.split(", ")):
        pytest.skip(f"there is no {left} here")
    assert made_without(missing).startswith(f"made {left}")


def test_an_error_of_the_sandbox_is_one_of_usage() -> None:
    assert SandboxError("x").exit_code == 2


def test_a_machine_without_a_list_of_system_calls_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        program({}, "riscv64")
