"""A prompt as a file: plain text where that says everything, else a small YAML document.

Plain text is the `system` component. A prompt with worked examples or further components is written as YAML whose
first line marks it, so that it is read back whatever the file is called:

    # sage-spo prompt: text components and worked examples
    components:
      system: |-
        Classify the review as one of: {labels}.
    demos:
    - input: "A waste of an evening."
      output: negative
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import TaskError, nearest
from ..tasks.files import read_text
from ..tasks.prompt import Demo, Prompt
from ..tasks.yaml_text import parse_yaml

MARK = "# sage-spo prompt"
_RARE_LINE_ENDS = frozenset("\r\x85\u2028\u2029")
HEAD = f"{MARK}: text components and worked examples\n"


class _FileDemo(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: str
    output: str
    example_id: str = ""
    metadata: dict[str, Any] = {}


class _PromptFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    components: dict[str, str] = Field(min_length=1)
    demos: list[_FileDemo] = []


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read and edit them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML writes the rarer line ends unquoted, and reads them back as others.
    style = '"' if _RARE_LINE_ENDS.intersection(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def prompt_text(prompt: Prompt) -> str:
    """The prompt as `read_prompt` takes it: plain text where it has a system component alone, else YAML."""
    if set(prompt.components) == {"system"} and not prompt.demos and _survives_as_text(prompt.system):
        return prompt.system + "\n"
    demos = [
        {"input": d.input, "output": d.output}
        | ({"example_id": d.example_id} if d.example_id else {})
        | ({"metadata": dict(d.metadata)} if d.metadata else {})
        for d in prompt.demos
    ]
    document = {"components": dict(prompt.components)} | ({"demos": demos} if demos else {})
    return HEAD + yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000)


def read_prompt(path: str | Path) -> Prompt:
    """The prompt in a text or YAML file (see the module). Raises TaskError naming file, line and field."""
    path = Path(path).expanduser()
    return _parse(path.name, read_text(path))


def _survives_as_text(text: str) -> bool:
    """Whether a file of nothing but this text is read back as it is."""
    return bool(text) and text == text.strip() and not text.startswith((MARK, "\ufeff"))


def _parse(name: str, text: str) -> Prompt:
    if not name.lower().endswith((".yaml", ".yml")) and not text.startswith(MARK):
        if not text.strip():
            raise TaskError(f"{name} is empty: a prompt is at least one sentence of instruction.")
        return Prompt(components={"system": text.strip()}, origin="file")
    parsed = parse_yaml(name, text)
    try:
        content = _PromptFile.model_validate(parsed.values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        hint = ""
        if first["type"] == "extra_forbidden":
            known = _FileDemo.model_fields if first["loc"][0] == "demos" else _PromptFile.model_fields
            hint = nearest(str(first["loc"][-1]), known) or f" Known: {', '.join(known)}."
        raise TaskError(f"{parsed.where(first['loc'])}: {field}: {first['msg']}.{hint}") from None
    if not content.demos and not any(text.strip() for text in content.components.values()):
        raise TaskError(f"{name} is empty: a prompt is at least one sentence of instruction.")
    demos = tuple(
        Demo(example_id=d.example_id or f"{name} demo {number}", input=d.input, output=d.output, metadata=d.metadata)
        for number, d in enumerate(content.demos, start=1)
    )
    return Prompt(components=content.components, demos=demos, origin="file")
