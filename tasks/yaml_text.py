"""Reading YAML so that every complaint can name its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..errors import TaskError


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans: `yes`, `no`, `on` and `off` are words, and so can be labels."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF"))


@dataclass(frozen=True)
class YamlText:
    """A parsed YAML mapping that remembers where its keys stand."""

    name: str
    values: dict[str, Any]
    node: yaml.MappingNode

    def where(self, path: Sequence[str | int]) -> str:
        """`task.yaml line 4` for the key or item at `path` (as far as it exists)."""
        node: yaml.Node = self.node
        line = node.start_mark.line
        for step in path:
            if isinstance(node, yaml.MappingNode):
                pair = next(((key, value) for key, value in node.value if key.value == step), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line
            else:
                break
        return f"{self.name} line {line + 1}"


def parse_yaml(name: str, text: str) -> YamlText:
    """The mapping that `text` spells; `name` is the file's, for messages.

    Raises TaskError naming the line: not YAML, not a mapping, a field given twice, or text that is none.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise TaskError(f"{name} is not a mapping of fields such as 'name: tickets'.")
        _check(name, node, set())
        return YamlText(name, loader.construct_document(node), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise TaskError(f"{name}{line}: not YAML ({error.problem}). Quote texts that hold ': ' or braces.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that cannot be
        raise TaskError(f"{name}: not YAML ({' '.join(str(error).split())}).") from error
    except RecursionError as error:
        raise TaskError(f"{name}: nested too deeply.") from error
    finally:
        if loader is not None:
            loader.dispose()


def _check(name: str, node: yaml.Node, checked: set[int]) -> None:
    """Raises TaskError for a field that is given twice, and for half of a surrogate pair, as an escape may spell it."""
    if id(node) in checked:  # an alias
        return
    checked.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        try:
            node.value.encode()
        except UnicodeEncodeError:
            raise TaskError(f"{name} line {node.start_mark.line + 1}: a text holds half a character.") from None
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check(name, item, checked)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise TaskError(f"{name} line {key.start_mark.line + 1}: '{key.value}' is given twice.")
                seen.add(key.value)
            _check(name, key, checked)
            _check(name, value, checked)
