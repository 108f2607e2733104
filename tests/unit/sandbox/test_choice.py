"""Which sandbox a name gives, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sage_spo.errors import SandboxError, UsageError
from sage_spo.sandbox.choose import available, make_sandbox
from sage_spo.sandbox.confine import violations
from sage_spo.sandbox.plan import Plan
from sage_spo.sandbox.seccomp import program


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
    assert list(found) == ["bubblewrap", "landlock", "seccomp"]
    assert found["landlock"].holds
    assert found["seccomp"].holds
    assert all(layer.detail for layer in found.values())


def test_a_process_that_is_not_confined_notices(tmp_path: object) -> None:
    found = violations(Plan(layers=("landlock", "seccomp"), forbidden=os.path.abspath(__file__)))
    assert found == [
        "a file outside was read",
        "a folder outside was listed",
        "a file was written",
        "a socket was opened",
        "a socket was opened",
        "a program could be started",
    ]


WITHOUT = """
import ctypes, struct, sys
from sage_spo.sandbox import choose, isolation
from sage_spo.errors import SandboxError
from sage_spo.sandbox.seccomp import _Program
# A kernel without Landlock: a filter that answers its first system call (444) as such a kernel does.
code = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("=HBBI", *each) for each in code)
libc, zero = ctypes.CDLL(None), ctypes.c_ulong(0)
assert libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) == 0
assert libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(_Program(len(code) // 8, code)), zero, zero) == 0
try:
    print("made", choose.make_sandbox(sys.argv[1]).confinement)
except SandboxError as error:
    print(error.exit_code, error)
"""


def test_without_isolation_there_is_no_sandbox_and_the_ways_out_are_named() -> None:
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT, "auto"], capture_output=True, text=True, env={**os.environ, "PATH": ""}
    )
    assert found.stdout.startswith("2 Nothing isolates code on this machine"), found
    for part in ("landlock: ", "bubblewrap: not installed", "--sandbox none", "--sandbox unsafe"):
        assert part in found.stdout


def test_an_error_of_the_sandbox_is_one_of_usage() -> None:
    assert SandboxError("x").exit_code == 2


def test_a_machine_without_a_list_of_system_calls_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        program({}, "riscv64")
