"""A diagnosis while it runs, in plain lines: what was found, what is tried against it, what was weeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .claim_words import STANDARD, fail_words
from .output import counted, one_line

MOST_FINDINGS = 2
MOST_EDITS = 2
EDIT = 60
"""Characters of an edit on a line."""

OWN_CODE = "diagnostician"
"""How the purpose of a code run begins whose code an agent model wrote."""


@dataclass
class DiagnosisTeller:
    """Turns the events of one iteration's diagnosis into lines, counting what is not worth a line of its own."""

    analyses: int = 0
    failed: int = 0
    weeded: Counter[str] = field(default_factory=Counter)

    def code(self, e: Mapping[str, Any]) -> list[str]:
        """Count what an agent's code did; our own analyses must not fail, so that is told at once."""
        if str(e["purpose"]).startswith(OWN_CODE):
            self.analyses += 1
            self.failed += bool(e["error"])
        elif e["purpose"] == STANDARD and e["error"]:
            return [f"iteration {e['iteration']} · mind: the standard analyses failed: {one_line(e['error'], 200)}"]
        return []

    def findings(self, e: Mapping[str, Any]) -> list[str]:
        """What was found: a line each for the first few, of those with the same counts one, the surest first."""
        start = f"iteration {e['iteration']} · "
        distinct: dict[object, Mapping[str, Any]] = {}
        for direction in e["directions"]:
            same = (direction["n"], direction["rate"], direction["other_rate"])
            distinct.setdefault(same if direction["n"] else direction["claim"], direction)
        lines = self._own_code(start)
        if not distinct:
            return [*lines, f"{start}no cause was found for the failures"]
        found = sorted(distinct.values(), key=_unsure)
        told = [finding_words(direction) for direction in found[:MOST_FINDINGS]]
        more = len(found) - len(told)
        if more:
            told[-1] += f", and {more} more"
        return lines + [start + words for words in told]

    def _own_code(self, start: str) -> list[str]:
        if not self.analyses:
            return []
        failed = f", {self.failed} of them ended with an error" if self.failed else ""
        ran = "1 analysis" if self.analyses == 1 else f"{self.analyses} analyses"
        self.analyses = self.failed = 0
        return [f"{start}the agent ran {ran} of its own{failed}"]

    def dropped(self, e: Mapping[str, Any]) -> list[str]:
        """Count an edit that was weeded before any call."""
        self.weeded[one_line(e["reason"], EDIT)] += 1
        return []

    def edits(self, e: Mapping[str, Any]) -> list[str]:
        """Which edits are missed when they are left out."""
        if not e["edits"]:
            return []
        kept = [edit["text"] for edit in e["edits"] if edit["kept"]]
        weeded = f" ({self.weeded.total()} more weeded before)" if self.weeded else ""
        self.weeded.clear()
        tried = counted(len(e["edits"]), "edit")
        if not kept:
            return [f"iteration {e['iteration']} · kept none of {tried}{weeded}: none is missed when it is left out"]
        return [f"iteration {e['iteration']} · kept {len(kept)} of {tried}{weeded}: {quoted(kept)}"]

    def all_weeded(self, iteration: int) -> list[str]:
        """Edits that were weeded where nothing was left to try, with the most frequent reason."""
        if not self.weeded:
            return []
        count, (reason, _) = self.weeded.total(), self.weeded.most_common(1)[0]
        self.weeded.clear()
        return [f"iteration {iteration} · {counted(count, 'edit')} weeded before any call: {reason}"]


def _unsure(direction: Mapping[str, Any]) -> tuple[bool, bool]:
    return direction["believed"] != "confirmed", direction["rate"] <= direction["other_rate"]


def finding_words(direction: Mapping[str, Any]) -> str:
    """`inputs of 36 words or more fail 79 % against 54 % of the others (58 examples)`, and how sure that is."""
    unsure = direction["n"] and direction["believed"] == "unsettled"
    return fail_words(direction["claim"], direction["source"], direction) + (", too few to be sure" if unsure else "")


def quoted(texts: Sequence[str], most: int = MOST_EDITS) -> str:
    """The first of the texts in quotes, and that there are more."""
    shown = ", ".join(f'"{one_line(text, EDIT)}"' for text in texts[:most])
    return shown + (", …" if len(texts) > most else "")
