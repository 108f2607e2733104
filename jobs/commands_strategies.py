"""`strategies`: which there are, and the options and presets of each."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from rich.text import Text

from ..graphs.registry import entry, strategies, strategy
from ..graphs.strategy import DEFAULT_PRESET, WHOLE, Preset, SearchOptions
from ..traces.result import SCHEMA_VERSION
from .options import JsonOption
from .output import add, facts, listing, plain, print_json, put

StrategyArgument = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="A strategy, whose options are then listed.", show_default=False),
]


def show_strategies(name: StrategyArgument = None, json: JsonOption = False) -> None:
    """List the strategies, or the options of one with what each preset sets.

    An option is set by --option NAME=VALUE, --preset takes the settings of the strategy's paper where there are any.
    docs/strategies.md says when to choose which.
    """
    if name is None:
        found = {each: known.summary for each, known in strategies().items()}
        if json:
            print_json({"schema_version": SCHEMA_VERSION, "strategies": found})
            return
        table = facts()
        for each, summary in found.items():
            add(table, each, summary)
        put(table, plain("\nThe options of one: sage-spo strategies NAME", "dim"))
        return
    document = described(name)
    if json:
        print_json({"schema_version": SCHEMA_VERSION, **document})
        return
    put(plain(document["about"]), Text(), _options_table(document))
    if any(preset["rules"] for preset in document["presets"].values()):
        put(
            Text(),
            plain("Rules of acceptance that presets change (--rule NAME=VALUE):", "bold"),
            _rules_table(document),
        )


def described(name: str) -> dict[str, Any]:
    """What a strategy is: `about` in words, `options` by name (default, what values it takes), `presets` by name with
    their options and rules. Raises UsageError for an unknown name."""
    made = strategy(name)
    schema = made.options.model_json_schema()["properties"]
    options = {
        option: {"default": schema[option].get("default_in_words", field.default), "takes": _takes(schema[option])}
        for option, field in made.options.model_fields.items()
    }
    known = {DEFAULT_PRESET: Preset()} | dict(made.presets)
    presets = {each: {"options": dict(p.options), "rules": dict(p.rules)} for each, p in known.items()}
    texts = dict.fromkeys(_paragraphs(o.__doc__ or "") for o in (made.options, SearchOptions))
    about = "\n\n".join([f"{name}: {entry(name).summary}.", *texts])
    return {"name": name, "about": about, "options": options, "presets": presets}


def _paragraphs(text: str) -> str:
    """A docstring with every paragraph as one line."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _takes(schema: dict[str, Any]) -> str:
    """The values of an option in words, from its schema."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = kinds[0]
    if "enum" in kind:
        return ", ".join(map(str, kind["enum"]))
    low, high = kind.get("minimum"), kind.get("maximum")
    above, below = kind.get("exclusiveMinimum"), kind.get("exclusiveMaximum")
    if low is None and high is None and above is None and below is None:
        return {"boolean": "true, false", "string": "text"}.get(str(kind.get("type")), str(kind.get("type")))
    least = f"from {low:g}" if low is not None else f"above {above:g}" if above is not None else ""
    most = f"to {high:g}" if high is not None else f"below {below:g}" if below is not None else ""
    return f"{least} {most}".strip()


def _options_table(document: dict[str, Any]) -> Any:
    presets = document["presets"]
    table = listing()
    for heading in ("OPTION", *(each.upper() for each in presets), "TAKES"):
        table.add_column(heading)
    for option, known in document["options"].items():
        others = [_value(preset["options"].get(option, known["default"])) for preset in presets.values()]
        add(table, option, *others, known["takes"])
    return table


def _rules_table(document: dict[str, Any]) -> Any:
    presets = {each: preset["rules"] for each, preset in document["presets"].items() if preset["rules"]}
    table = listing()
    for heading in ("RULE", *(each.upper() for each in presets)):
        table.add_column(heading)
    for rule in dict.fromkeys(name for rules in presets.values() for name in rules):
        add(table, rule, *(_value(rules.get(rule, "")) for rules in presets.values()))
    return table


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "all" if isinstance(value, int) and value >= WHOLE else str(value)
