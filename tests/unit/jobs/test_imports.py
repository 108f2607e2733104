"""What is cheap stays cheap: importing the package, `--help`, `runs` and `show`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import sage_spo

HEAVY = ("langgraph", "langchain_core", "langchain_openai", "openai", "scipy", "sklearn", "plotly", "pandas", "aiohttp")
COMMANDS = ["--help", "runs", "show nothing", "optimize --help", "resume --help", "evaluate --help"]
COMMANDS += [
    "preflight --help",
    "init --help",
    "doctor --help",
    "batch --help",
    "schedule --help",
    "compare --help",
    "decide --help",
]

SCRIPT = """
import json, sys
{code}
print(json.dumps({{"modules": sorted(sys.modules)}}), file=sys.stderr)
"""


def loaded(code: str) -> set[str]:
    """Names of the modules that a fresh process holds after `code`."""
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(code=code)], capture_output=True, text=True, check=True)
    report = json.loads(done.stderr.splitlines()[-1])
    return set(report["modules"])


def test_importing_the_package_imports_nothing_of_weight() -> None:
    modules = loaded("import sage_spo; sage_spo.__version__; dir(sage_spo)")
    assert not modules & {*HEAVY, "numpy", "pydantic", "sqlalchemy", "typer", "rich"}
    assert not {name for name in modules if name.startswith("sage_spo.")}


def test_these_commands_answer_without_the_heavy_libraries() -> None:
    # One process for all: what one of them imports stays.
    calls = "; ".join(f"main({command.split()!r})" for command in COMMANDS)
    modules = loaded(f"from sage_spo.jobs.cli import main; {calls}")
    assert not modules & set(HEAVY)


def test_every_public_name_is_there() -> None:
    for name in sage_spo.__all__:
        assert getattr(sage_spo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'optimise'"):
        sage_spo.optimise  # type: ignore[attr-defined]  # noqa: B018
