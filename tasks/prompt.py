"""The prompt: named text components plus worked examples, immutable, known by its content.

Braces: `{name}` with the name of a field (or `labels`) is a placeholder; `{{name}}` is sent as `{name}`, whatever the
name; every other brace is literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

from ..seeding import digest
from ..traces.result import PromptContent
from .example import Example

# Not in front of a second closing brace when a second opening one came before: that is the escaped form.
PLACEHOLDER = re.compile(r"(?:(?<!\{)|(?=\{\w+\}(?!\})))\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BRACED = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_]*)\}\}|" + PLACEHOLDER.pattern)
Message = dict[str, str]


class Demo(BaseModel):
    """A worked example, sent as a user turn and an assistant turn. `example_id` names its source."""

    model_config = ConfigDict(frozen=True)

    example_id: str
    input: str
    output: str
    metadata: Mapping[str, Any] = {}


class Prompt(BaseModel):
    """What is optimised: text components (most often just `system`) and demos.

    `id` is a digest of components and demos alone, so that two ways to the same text are one prompt;
    `parents` and `origin` say where this one came from, `shown` which examples (by id) stood verbatim before whoever
    wrote it: a comparison that rested on them would flatter it.
    """

    model_config = ConfigDict(frozen=True)

    components: Mapping[str, str] = Field(min_length=1)
    demos: tuple[Demo, ...] = ()
    parents: tuple[str, ...] = ()
    origin: str = "seed"
    shown: tuple[str, ...] = ()

    @computed_field
    @cached_property
    def id(self) -> str:
        """Sixteen hexadecimal characters that depend on components and demos alone."""
        turns = [(d.input, d.output) for d in self.demos]
        return digest(*sorted(self.components.items()), "demos", *turns)[:16]

    def __hash__(self) -> int:
        return hash(self.id)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced; its id is computed anew."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("id", None)
        return copy

    @property
    def system(self) -> str:
        """The component that strategies edit first: `system`, else the first one."""
        return self.components[self.main]

    @property
    def main(self) -> str:
        """The name of the component that `system` reads."""
        return "system" if "system" in self.components else next(iter(self.components))

    def content(self) -> PromptContent:
        """It as results hold it."""
        return PromptContent(id=self.id, **self.model_dump(mode="json", include={"components", "demos", "origin"}))

    def edited(
        self,
        *,
        text: str | None = None,
        component: str | None = None,
        demos: Iterable[Demo] | None = None,
        origin: str,
        parents: tuple[str, ...] | None = None,
        shown: Iterable[str] = (),
    ) -> Prompt:
        """A child of this prompt with one component's text and/or the demos replaced."""
        components = dict(self.components)
        if text is not None:
            components[component or self.main] = text
        return Prompt(
            components=components,
            demos=self.demos if demos is None else tuple(demos),
            parents=(self.id,) if parents is None else parents,
            origin=origin,
            shown=tuple(shown),
        )

    def messages(self, example: Example, labels: tuple[str, ...] = ()) -> list[Message]:
        """The chat messages for one example: system, demo turns, then the input (or the `user` component)."""
        messages = [
            {"role": "system", "content": fill(text, example.input, example.metadata, labels)}
            for name, text in self.components.items()
            if name != "user" and text
        ]
        for demo in self.demos:
            messages.append({"role": "user", "content": self._user(demo.input, demo.metadata, labels)})
            messages.append({"role": "assistant", "content": demo.output})
        messages.append({"role": "user", "content": self._user(example.input, example.metadata, labels)})
        return messages

    def _user(self, text: str, metadata: Mapping[str, Any], labels: tuple[str, ...]) -> str:
        template = self.components.get("user")
        return text if template is None else fill(template, text, metadata, labels)


def fill(template: str, text: str, metadata: Mapping[str, Any], labels: tuple[str, ...]) -> str:
    """`template` with `{input}`, `{labels}` and metadata fields filled in; `{{name}}` becomes `{name}`.

    Other braces stay as they are, and so do braces inside the values.
    """
    names = _names(template)
    if not names:
        return template
    if "input" not in names and names.isdisjoint(metadata):
        return _filled_alike(template, labels)  # a prompt is sent with thousands of examples
    return _filled(template, {**metadata, "input": text, "labels": ", ".join(labels)})


def _filled(template: str, values: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped is not None:
            return f"{{{escaped}}}"
        return str(values[name]) if name in values else match.group(0)

    return _BRACED.sub(value, template)


@lru_cache(maxsize=256)
def _filled_alike(template: str, labels: tuple[str, ...]) -> str:
    return _filled(template, {"labels": ", ".join(labels)})


@lru_cache(maxsize=256)
def _names(template: str) -> frozenset[str]:
    """The names in single or double braces."""
    return frozenset(name for pair in _BRACED.findall(template) for name in pair if name)


def placeholders(text: str, known: Iterable[str]) -> set[str]:
    """The placeholders of `text` that name a known field; other braces are literal."""
    return set(PLACEHOLDER.findall(text)) & set(known)
