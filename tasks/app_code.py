"""What tells two apps of one name apart: their own code, the plain values that it was made with, and their `version`.

What an app answered once is not asked again, so that another app, or the same one after its code was changed, must not
be taken for it. Code that it calls elsewhere, and what an object holds, which may change from call to call, are not
looked into: an app in which these matter says so by an attribute `version`.
"""

from __future__ import annotations

import dis
import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from langchain_core.runnables import Runnable

from ..seeding import digest

PLAIN = (str, bytes, int, float, bool, type(None))
ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def code_of(app: Any) -> str:
    """A digest of a callable or Runnable: the same in every process, as long as nothing of the app is changed."""
    return digest(*_parts(app, {}))


def _parts(app: Any, seen: dict[int, Any]) -> Iterator[str]:
    if id(app) in seen:  # a function that calls itself
        return
    seen[id(app)] = app  # kept, so that its id is nobody else's meanwhile
    yield from _version(app)
    if isinstance(app, Runnable):
        yield ADDRESS.sub("", repr(app))
        nodes = getattr(app, "nodes", None)
        for name, node in sorted(nodes.items()) if isinstance(nodes, Mapping) else ():  # a graph's
            yield from _values([name, getattr(node, "bound", None)], seen)
        parts = [getattr(app, name, None) for name in ("func", "afunc", "bound")]
        yield from _values([*parts, *(getattr(app, "steps", None) or ())], seen)
    elif isinstance(app, functools.partial):
        yield from _parts(app.func, seen)
        yield from _values([*app.args, *app.keywords.items()], seen)
    elif inspect.ismethod(app):
        yield from _parts(app.__func__, seen)
        yield from _version(app.__self__)
    elif isinstance(code := getattr(app, "__code__", None), CodeType):
        yield from _code(code)
        assigned = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_DEREF"}  # counters and the like
        around = zip(code.co_freevars, app.__closure__ or (), strict=True)
        cells = [cell.cell_contents for name, cell in around if name not in assigned and _filled(cell)]
        yield from _values([*cells, *(app.__defaults__ or ()), *(app.__kwdefaults__ or {}).items()], seen)
    elif callable(app) and isinstance(getattr(type(app).__call__, "__code__", None), CodeType):
        yield from _parts(type(app).__call__, seen)


def _code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:  # the order of a frozenset is another in every process
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)


def _version(app: Any) -> Iterator[str]:
    version = getattr(app, "version", None)
    if isinstance(version, PLAIN) and version is not None:
        yield f"version {version!r}"


def _values(values: Iterable[Any], seen: dict[int, Any]) -> Iterator[str]:
    """Plain values as they are, functions by their code; of others nothing is the same in every process."""
    for value in values:
        if isinstance(value, PLAIN):
            yield repr(value)
        elif isinstance(value, tuple):  # a list may change
            yield from _values(value, seen)
        elif inspect.isroutine(value) or isinstance(value, (functools.partial, Runnable)):
            yield from _parts(value, seen)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a variable that is not assigned yet
        return False
    return True
