"""The format of `task.yaml`, and reading one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import TaskError, nearest
from .fields import Fields
from .files import read_text
from .labels import labels_problem
from .splits import Shares
from .yaml_text import YamlText, parse_yaml

TASK_FILE = "task.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputSection(_Section):
    """`output`: what limits the target's answer. `choices: labels` stands for the task's labels."""

    max_tokens: int = Field(default=256, ge=1)
    choices: Literal["labels"] | tuple[str, ...] = ()
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)


class SplitFiles(_Section):
    """`examples` as three files, one per split."""

    search: str
    holdout: str
    test: str


class TaskFile(_Section):
    """A whole `task.yaml`. File names in it are relative to the folder it stands in."""

    name: str = Field(min_length=1)
    description: str = ""
    seed_prompt: dict[str, Any]
    """Component name to text, or to `{file: ...}`."""
    examples: str | SplitFiles
    fields: Fields = Fields()
    metric: str | dict[str, Any]
    labels: tuple[str, ...] | None = None
    output: OutputSection = OutputSection()
    preserve: str | None = None
    split: Shares = Shares()
    locked: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _components(cls, values: Any) -> Any:
        """A seed prompt written as one text, one file, or `components`, as a mapping of components."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        if "components" in values:
            if "seed_prompt" in values:
                raise ValueError("give either seed_prompt or components, not both")
            values["seed_prompt"] = values.pop("components")
        seed = values.get("seed_prompt")
        if isinstance(seed, str) or (isinstance(seed, dict) and set(seed) == {"file"}):
            values["seed_prompt"] = {"system": seed}
        elif isinstance(seed, dict) and set(seed) == {"components"}:
            values["seed_prompt"] = seed["components"]
        return values

    @field_validator("labels", mode="before")
    @classmethod
    def _as_text(cls, labels: Any) -> Any:
        """Labels such as `1` or `true` are meant as the text they are."""
        if not isinstance(labels, list):
            return labels
        return [str(label).lower() if isinstance(label, bool) else _number_as_text(label) for label in labels]

    @field_validator("labels")
    @classmethod
    def _different(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if problem := labels_problem(labels or ()):
            raise ValueError(problem)
        return labels

    @field_validator("seed_prompt", mode="before")
    @classmethod
    def _prompt(cls, seed: Any) -> Any:
        if not isinstance(seed, dict):
            raise ValueError("write a text, {file: prompt.md}, or components such as {system: ..., user: ...}")
        return seed


def _number_as_text(label: Any) -> Any:
    return str(label) if isinstance(label, int | float) else label


def read_task_file(path: Path) -> tuple[TaskFile, dict[str, str]]:
    """The checked content of a `task.yaml` file, and for each of its fields where it stands (`task.yaml line 4`).

    Raises TaskError naming file and line: unreadable, not YAML, a misspelt or missing field, a value out of range.
    """
    parsed = parse_yaml(path.name, read_text(path))
    try:
        file = TaskFile.model_validate(parsed.values)
    except ValidationError as error:
        raise TaskError(_complaint(parsed, error)) from error
    return file, {name: parsed.where([name]) for name in parsed.values}


def _complaint(parsed: YamlText, error: ValidationError) -> str:
    """The first thing wrong, in words, with the line and for a misspelt field the right name."""
    # A misspelt field comes before the required one that is missing because of it, and of several readings of a
    # value (a file's name or three of them) the one that went deepest.
    first = min(error.errors(), key=lambda one: (one["type"] != "extra_forbidden", -len(one["loc"])))
    path = [step for step in first["loc"] if isinstance(step, int) or step in _field_names()]
    where = parsed.where(first["loc"])
    field = ".".join(str(step) for step in path)
    if first["type"] == "extra_forbidden":
        *parents, name = first["loc"]
        known = _known_fields(str(parents[0]) if parents else "")
        return f"{where}: unknown field '{name}'.{nearest(str(name), known)} Known: {', '.join(known)}."
    if first["type"] == "missing":
        return f"{where}: field '{field}' is missing."
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {field}: {message}." if field else f"{where}: {message}."


_SECTIONS: dict[str, type[BaseModel]] = {
    "": TaskFile,
    "fields": Fields,
    "output": OutputSection,
    "split": Shares,
    "examples": SplitFiles,
}


def _known_fields(section: str) -> list[str]:
    return list(_SECTIONS[section].model_fields)


def _field_names() -> set[str]:
    return {name for section in _SECTIONS.values() for name in section.model_fields}
