"""Which folder may import which: nothing imports what stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sage_spo

ROOT = Path(sage_spo.__file__).parent
LAYERS = {"jobs": 6, "graphs": 5, "agents": 4, "sandbox": 3, "evaluation": 3, "tasks": 2, "models": 1, "traces": 0}
"""Height of each folder: `jobs → graphs → agents → sandbox, evaluation → tasks → models → traces`."""
FOR_ALL = {"errors", "seeding", "settings", "__version__"}
"""What of the root every folder may import."""


def modules() -> list[Path]:
    return sorted(path for folder in LAYERS for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name below `sage_spo` of everything of the package that a module imports, wherever it does.

    An import under `if TYPE_CHECKING` or inside a function counts like any other.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            stem = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                names = [*stem, alias.name]
                if node.level or names[0] == "sage_spo":
                    yield node.lineno, ".".join(names if node.level else names[1:])
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first, _, rest = alias.name.partition(".")
                if first == "sage_spo":
                    yield node.lineno, rest


def trespasses(path: Path, source: str) -> list[str]:
    """The imports of a module that the layering forbids, with their lines."""
    own = path.relative_to(ROOT).parts[0]
    found = []
    for line, name in imported(path, source):
        other = name.partition(".")[0]
        if other == own or other in FOR_ALL or LAYERS.get(other, 99) < LAYERS[own]:
            continue
        found.append(f"{path.relative_to(ROOT)}:{line} imports {name or 'the package itself'}")
    return found


@pytest.mark.parametrize("folder", LAYERS)
def test_a_folder_imports_only_what_stands_below_it(folder: str) -> None:
    paths = [path for path in modules() if path.relative_to(ROOT).parts[0] == folder]
    assert paths
    assert [found for path in paths for found in trespasses(path, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from ..agents.terms import common", "agents.terms.common"),
        ("from .. import jobs", "jobs"),
        ("if TYPE_CHECKING:\n    from ..graphs.session import Session", "graphs.session.Session"),
        ("def f():\n    from ..sandbox import local", "sandbox.local"),
        ("import sage_spo.jobs.api", "jobs.api"),
        ("from sage_spo import optimize", "optimize"),
        ("import sage_spo", "the package itself"),
    ],
)
def test_an_upward_import_is_found_however_it_is_written(source: str, name: str) -> None:
    [found] = trespasses(ROOT / "evaluation" / "some.py", source)
    assert found.endswith(f"imports {name}")


@pytest.mark.parametrize(
    "source",
    ["from ..errors import TaskError", "from .budget import Budget", "from ..tasks.task import Task", "import numpy"],
)
def test_other_imports_are_no_trespass(source: str) -> None:
    assert trespasses(ROOT / "evaluation" / "some.py", source) == []
