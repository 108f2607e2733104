"""Finding a user's own Python object by its `module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import TaskError, nearest
from ..seeding import digest


def import_object(reference: str, folder: Path | None = None) -> Any:
    """The object that `module:name` names.

    A module beside the task (`folder`) comes first, then one in the working folder, then an installed one.
    Raises TaskError when the reference is malformed, the module cannot be imported or lacks the name.
    """
    module_name, colon, name = reference.partition(":")
    if not colon or not module_name or not name:
        raise TaskError(f"'{reference}' does not name a Python object; write it as module:name.")
    module = _module(module_name, [place for place in (folder, Path.cwd()) if place is not None])
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise TaskError(f"Module '{module_name}' has no '{name}'.{nearest(part, vars(module))}")
        found = getattr(found, part)
    return found


def _module(name: str, folders: list[Path]) -> ModuleType:
    for folder in folders:
        file = folder.resolve().joinpath(*name.split(".")).with_suffix(".py")
        if file.is_file():
            return _from_file(name, file, folder)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # an own module may fail in any way while it is imported
        raise TaskError(f"Module '{name}' cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(name: str, file: Path, folder: Path) -> ModuleType:
    """The module of one file under a name of its own, so that two tasks' `my_metrics.py` stay apart, and so do what
    a target answered before and after a change of its file."""
    own_name = f"sage_spo_own_{digest(file, file.read_bytes())[:12]}_{name.rpartition('.')[2]}"
    spec = importlib.util.spec_from_file_location(own_name, file)
    if spec is None or spec.loader is None:
        raise TaskError(f"{file} cannot be imported as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[own_name] = module
    try:
        with _searched(folder):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # as above
        del sys.modules[own_name]
        raise TaskError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module


@contextmanager
def _searched(folder: Path) -> Iterator[None]:
    """Lets a module that is being imported import its neighbours."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
