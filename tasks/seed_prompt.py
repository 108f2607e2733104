"""The seed prompt as a user gives it, and the check that every placeholder in it can be filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import TaskError, nearest
from .fields import Placed
from .files import read_text
from .prompt import PLACEHOLDER, Demo, Prompt

SeedPrompt = str | Mapping[str, Any] | Prompt


def make_seed_prompt(given: SeedPrompt, folder: Path | None = None) -> Prompt:
    """The prompt that `given` spells: a text (the `system` component), a mapping of components, or a Prompt.

    A prompt with worked examples is spelt `{components: {…}, demos: [{input, output, …}]}`, as it dumps itself.

    A component `{file: prompt.md}` is read from `folder`. Raises TaskError for an unreadable file, a component that
    is no text, and a prompt without any text.
    """
    if isinstance(given, Prompt):
        return given
    demos: tuple[Demo, ...] = ()
    if isinstance(given, Mapping) and isinstance(given.get("components"), Mapping):
        demos = _demos(given.get("demos", ()))
        given = given["components"]
    parts = {"system": given} if isinstance(given, str) else dict(given)
    components = {name: _text(name, part, folder or Path.cwd()) for name, part in parts.items()}
    if not any(text.strip() for text in components.values()):
        raise TaskError("The seed prompt is empty; write at least one sentence of instruction.")
    return Prompt(components=components, demos=demos)


def _demos(given: Any) -> tuple[Demo, ...]:
    if not isinstance(given, list | tuple):
        raise TaskError(f"seed_prompt: demos must be a list of worked examples, not {given!r:.80}.")
    try:
        return tuple(Demo.model_validate(demo) for demo in given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise TaskError(f"seed_prompt: demos: {field}: {first['msg']}.".replace(": : ", ": ")) from None


def _text(name: str, part: Any, folder: Path) -> str:
    if isinstance(part, Mapping) and set(part) == {"file"}:
        return read_text(folder / str(part["file"])).strip()
    if not isinstance(part, str):
        raise TaskError(f"seed_prompt: component '{name}' must be a text or {{file: prompt.md}}, not {part!r:.80}.")
    return part


def check_placeholders(prompt: Prompt, placed: Sequence[Placed]) -> None:
    """Raises TaskError for a `{name}` in the seed prompt that some example, or none, could fill.

    Only the seed prompt is held to this: there a bare `{name}` without a field is nearly always a slip. Braces that
    are meant as text are written `{{name}}`; anything else in braces is literal anyway.
    """
    known: dict[str, None] = {"input": None, "labels": None}
    known.update(dict.fromkeys(name for one in placed for name in one.example.metadata))
    for component, text in prompt.components.items():
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                fields = ", ".join(f"{{{field}}}" for field in known)
                raise TaskError(
                    f"seed_prompt: no example fills the placeholder {{{name}}} in '{component}'.{nearest(name, known)} "
                    f"Placeholders: {fields}. To send the braces as they are, write {{{{{name}}}}}."
                )
            if name in ("input", "labels"):
                continue
            lacking = next((one for one in placed if name not in one.example.metadata), None)
            if lacking is not None:
                raise TaskError(
                    f"{lacking.where}: example '{lacking.example.id}' has no '{name}', "
                    f"which the seed prompt's placeholder {{{name}}} in '{component}' needs."
                )


def check_locked(locked: Iterable[str], prompt: Prompt) -> None:
    """Raises TaskError for a locked text that is empty or that the seed prompt does not hold."""
    for text in locked:
        if not text.strip() or not any(text in component for component in prompt.components.values()):
            raise TaskError(f"locked: the seed prompt does not hold {text!r:.80}; copy the text exactly.")
