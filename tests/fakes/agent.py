"""What a scripted agent model says: an answer for each form that it may be asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Said = str | dict[str, Any] | Callable[[str], "str | dict[str, Any]"]
"""A reply: as text, as what becomes JSON, or made from the request's text."""

PLAIN: Mapping[str, Said] = {
    "Diagnosis": {"hypotheses": []},
    "OneHypothesis": {"hypothesis": {"claim": "none", "predicate": "", "fix": ""}},
    "TextDiagnosis": {"causes": []},
    "Proposal": {"cause": "unknown", "edits": []},
    "Critique": {"problems": [], "verdict": "accept", "repaired": ""},
    "Rewrite": {"diagnosis": "unknown", "prompt": ""},
    "Crossover": {"crossed": "", "prompt": ""},
    "NewPrompt": {"prompt": ""},
    "Gradients": {"reasons": []},
    "Revision": {"prompt": ""},
    "MetaInstruction": {"prompt": ""},
    "SentenceEdit": {"operation": "replace", "text": ""},
    "Instruction": {"prompt": ""},
    "Variation": {"prompt": ""},
    "Paraphrase": {"prompt": ""},
    "Transition": {"feedback": "", "prompt": ""},
}
"""An agent that has nothing to say."""


@dataclass(frozen=True)
class ScriptedAgent:
    """For a FakeServer: answers by the name of the form that is asked for; what depends on the request alone."""

    says: Mapping[str, Said] = field(default_factory=dict)
    target: Callable[[dict[str, Any]], str] = lambda request: "unknown"
    """Answers what asks for no form: the model whose prompt is optimised."""

    def __call__(self, request: dict[str, Any]) -> str:
        name = form_of(request)
        if name not in PLAIN:
            return self.target(request)
        said = self.says.get(name, PLAIN[name])
        said = said(text_of(request)) if callable(said) else said
        return said if isinstance(said, str) else json.dumps(said)


def form_of(request: Mapping[str, Any]) -> str:
    """The name of the form that a request asks for; "" where it asks for plain text."""
    return request.get("response_format", {}).get("json_schema", {}).get("name", "")


def text_of(request: Mapping[str, Any]) -> str:
    """What a request asks, before any round of repair."""
    return str(request["messages"][0]["content"])


def hypothesis(predicate: str, fix: str = "", claim: str = "", findings: tuple[str, ...] = ()) -> dict[str, Any]:
    """A hypothesis as an agent writes it."""
    claim = claim or f"tickets that {predicate} fail"
    return {"claim": claim, "predicate": predicate, "expected_effect": "", "fix": fix, "findings": list(findings)}


def edit(text: str = "", old: str = "", operation: str = "add") -> dict[str, Any]:
    """A proposal of one edit as an agent writes it."""
    return {"cause": "as counted", "edits": [{"operation": operation, "old": old, "text": text}]}
