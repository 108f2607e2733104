"""The story of a search by diagnosis, put together from the run store: per iteration what was found, from which code,
what was tried against it, and what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..traces.result import Result
from ..traces.rows import LEFT_OUT, CodeRun, Decision, Hypothesis, StoredPrompt
from .claim_words import STANDARD, claim_words, often_words
from .output import counted, one_line

_SHARES = re.compile(r"; (?=together fixed|fixed none)")
_WORTH = re.compile(r"together fixed (\d+) of (\d+); left out, (\d+) of (\d+) fail again")
_EFFECT = re.compile(
    r"matched n=(\d+) change (\S+) .*?; unmatched n=(\d+) change (\S+) .*?; difference (\S+(?: ± \S+)?)$"
)
_NEVER_RACED = ("screened out", "not measured")


@dataclass(frozen=True)
class Try:
    """Something tried against a finding. `worth` is what it was worth where it was left out, as our code counted it.

    `kept`: None where it was not tried apart from the others. `share`: of the failures that the finding is about, how
    many it accounts for, from 0 to 1.
    """

    text: str
    worth: str = ""
    kept: bool | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Finding:
    """Hypotheses about the same examples that something was tried against, and the code that an agent found it with.

    All numbers come from the stored support: our own counts, never a model's text.
    """

    members: tuple[Hypothesis, ...]
    code: tuple[CodeRun, ...] = ()

    @property
    def first(self) -> Hypothesis:
        """The hypothesis that speaks for all: one with an edit that was kept, if any was."""
        return self.members[0]

    @cached_property
    def tries(self) -> list[Try]:
        """What was tried against it, kept ones first."""
        found = [one for h in self.members for one in tries(h)]
        return sorted({one.text: one for one in reversed(found)}.values(), key=lambda one: not one.kept)

    @property
    def kept(self) -> bool:
        """Whether something against it was taken over into a candidate that was accepted."""
        return any(h.support.get("outcome") == "accepted" and h.support.get("earned", True) for h in self.members)

    @property
    def weight(self) -> float:
        """How many failures beyond the other examples' rate it explains and what was tried accounts for."""
        return explained(self.first) * max((one.share for one in self.tries), default=1.0)


@dataclass(frozen=True)
class Chapter:
    """One iteration: its findings, the strongest first, what was set aside, and the verdicts."""

    iteration: int
    findings: tuple[Finding, ...]
    dropped: tuple[Hypothesis, ...]
    spare: int
    decisions: tuple[Decision, ...]
    origin: str = ""
    """Of the accepted candidate: how it was made."""

    @property
    def accepted(self) -> Decision | None:
        """The verdict by which a candidate took the lead, if one did."""
        return next((d for d in self.decisions if d.verdict == "accepted"), None)

    @property
    def verdict(self) -> str:
        """What came of the iteration, in words."""
        if self.accepted:
            return f'"{one_line(self.origin, 40)}" accepted: {one_line(self.accepted.reason, None)}'
        counts = Counter(d.verdict for d in self.decisions)
        if not counts:
            return "nothing was measured"
        raced = [d for d in self.decisions if d.verdict not in _NEVER_RACED]
        if len(raced) == 1:
            return f"{raced[0].verdict}: {one_line(raced[0].reason, None)}"
        if raced:
            kinds = Counter(d.verdict for d in raced)
            return f"none accepted: {', '.join(f'{n} {verdict}' for verdict, n in kinds.items())}"
        [(verdict, n), *_] = counts.most_common(1)
        reason = next(d.reason for d in self.decisions if d.verdict == verdict)
        why = f": {one_line(reason, None)}" if verdict == "not measured" and reason else ""
        return f"{counted(n, 'candidate')} {verdict}{why}"


def chapters(
    hypotheses: Sequence[Hypothesis],
    runs: Sequence[CodeRun],
    decisions: Sequence[Decision],
    prompts: Mapping[str, StoredPrompt],
) -> list[Chapter]:
    """The iterations that supposed something, in order."""
    found, hypotheses = [], with_shared_edits([h for h in hypotheses if h.source != LEFT_OUT])
    for iteration in sorted({h.iteration for h in hypotheses}):
        own = [h for h in hypotheses if h.iteration == iteration]
        ran = [r for r in runs if r.iteration == iteration]
        verdicts = [d for d in decisions if d.iteration == iteration]
        dropped = sorted((h for h in own if h.status == "dropped"), key=lambda h: -h.support.get("failures", 0))
        spare = sum(h.status == "spare" for h in own)
        findings = _findings([h for h in own if h.status == "direction"], ran)
        winner = next((prompts.get(d.prompt_id) for d in verdicts if d.verdict == "accepted"), None)
        origin = winner.origin if winner else "a candidate"
        found.append(Chapter(iteration, findings, tuple(dropped), spare, tuple(verdicts), origin))
    return found


def with_shared_edits(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The same, each with the edit that its author proposed where that stands with another one of its iteration.

    Of edits that say the same one is tried, for the finding that came first; it speaks for all who proposed it.
    """
    tried = {(h.iteration, str(e["text"])): (h, e) for h in reversed(hypotheses) for e in h.edits if e.get("text")}
    found = []
    for h in hypotheses:
        twin = tried.get((h.iteration, h.fix)) if h.status == "direction" and not h.edits else None
        if twin is not None:
            passed_on = {k: twin[0].support[k] for k in ("earned", "outcome", "candidate") if k in twin[0].support}
            h = replace(h, edits=(twin[1],), support={**h.support, **passed_on})
        found.append(h)
    return found


def _findings(directions: Sequence[Hypothesis], runs: Sequence[CodeRun]) -> tuple[Finding, ...]:
    groups: dict[object, list[Hypothesis]] = {}
    for h in directions:
        groups.setdefault(frozenset(h.matched) or h.claim, []).append(h)
    found = []
    for group in groups.values():
        members = sorted(group, key=lambda h: (not h.edits, not h.support.get("earned", True)))
        code = {r.index: r for h in members for r in agent_code(h, runs)}
        found.append(Finding(tuple(members), tuple(code.values())))
    return tuple(sorted(found, key=lambda f: (not f.kept, not f.tries, -f.weight)))


def agent_code(h: Hypothesis, runs: Sequence[CodeRun]) -> list[CodeRun]:
    """The code that an agent wrote and found this with: what emitted the findings it names, else its last run."""
    if h.source == STANDARD:
        return []
    own = [r for r in runs if r.purpose.startswith(f"diagnostician {agent_number(h.source)}, ")]
    named = [r for r in own if {str(f.get("id")) for f in r.findings} & set(h.findings)]
    return named or own[-1:]


def agent_number(source: str) -> int:
    """Which of the diagnosticians at work at once a hypothesis comes from: `diagnostician` is the first."""
    number = source.removeprefix("diagnostician").strip()
    return int(number) if number.isdigit() else 1


def tries(h: Hypothesis) -> list[Try]:
    """What was tried against a hypothesis, with what it was worth."""
    texts = [_edit_text(edit) for edit in h.edits]
    shares = _SHARES.split(str(h.support.get("share", "")))
    if h.support.get("share") and len(shares) == len(texts):
        return [_tried(text, words) for text, words in zip(texts, shares, strict=True)]
    return [Try(text) for text in texts]


def _tried(text: str, words: str) -> Try:
    found = _WORTH.fullmatch(words)
    if not found:
        return Try(text, words, kept=False, share=0.0)
    fixed, failing, lost, tested = map(int, found.groups())
    share = fixed / max(failing, 1) * min(1.0, lost / max(tested, 1))
    return Try(text, words, lost > 0, share)


def _edit_text(edit: Mapping[str, Any]) -> str:
    text, old = str(edit.get("text", "")), str(edit.get("old", ""))
    if edit.get("operation") == "remove":
        return f'without "{old}"'
    if edit.get("operation") == "candidate":
        return text
    return f'"{text}"'


def counts_words(support: Mapping[str, Any]) -> str:
    """`58 match: 46 fail (79 %), others 54 %`; where nothing was counted, that."""
    n, failures = support.get("n", 0), support.get("failures", 0)
    if not n:
        return "nothing was counted"
    return f"{n} match: {failures} fail ({100 * failures / n:.0f} %), others {100 * rate(support, 'other_'):.0f} %"


def belief_words(h: Hypothesis) -> str:
    """Whether it held where nobody had looked: confirmed, too few to tell, or refuted with the reason."""
    fresh = h.support.get("confirmation", {})
    tested = h.support.get("tested")
    seen = ""
    if fresh.get("n"):
        seen = (
            f": of the examples kept back {fresh['failures']} of {fresh['n']} fail, "
            f"others {fresh['other_failures']} of {fresh['other_n']}"
        )
    if tested == "confirmed":
        return f"confirmed{seen}"
    if tested == "dropped":
        return f"refuted: {one_line(h.reason, 200)}" if "confirmed" in h.reason else one_line(h.reason, 200)
    return f"too few to tell{seen}" if seen or h.predicate else "believed untested: no code may run"


def effect_words(support: Mapping[str, Any]) -> str:
    """Whether what was tried helped where it should: the difference in differences."""
    effect = str(support.get("effect", ""))
    found = _EFFECT.fullmatch(effect)
    if not found:
        return one_line(effect, None)
    n, here, other_n, there, difference = found.groups()
    if n == "0" or other_n == "0":
        return "the race held none of these examples" if n == "0" else "the race held only such examples"
    return f"score {here} on {n} of these, {there} on {other_n} others (difference {difference})"


def rate(support: Mapping[str, Any], side: str = "") -> float:
    """The share of failures among the matched examples, or the `other_` ones; 0 where there are none."""
    n = support.get(f"{side}n", 0)
    return support.get(f"{side}failures", 0) / n if n else 0.0


def explained(h: Hypothesis) -> float:
    """How many more of the matched examples fail than at the other examples' rate."""
    return h.support.get("failures", 0) - h.support.get("n", 0) * rate(h.support, "other_")


def found_line(result: Result, hypotheses: Sequence[Hypothesis], prompts: Mapping[str, StoredPrompt]) -> str:
    """The strongest finding behind the returned prompt, and what was done about it; empty where there is none.

    Only what still stands in the prompt counts: a candidate that it descends from, with the edit in its text.
    """
    line, todo = {result.best.id}, [result.best.id]
    while todo:
        stored = prompts.get(todo.pop())
        fresh = set(stored.parents) - line if stored else set()
        line |= fresh
        todo += fresh
    text = "\n".join(result.best.components.values())
    behind: list[tuple[bool, float, Hypothesis, str]] = []
    for h in with_shared_edits(hypotheses):
        if h.support.get("outcome") != "accepted" or h.support.get("candidate") not in line or not h.support.get("n"):
            continue
        for edit, tried in zip(h.edits, tries(h), strict=True):
            stands = edit["operation"] == "candidate" or (edit["text"] and edit["text"] in text)
            if stands and tried.kept is not False:
                confirmed = h.support.get("tested") == "confirmed"
                behind.append((confirmed, explained(h) * tried.share, h, tried.text))
    if not behind:
        return ""
    _, _, h, tried = max(behind, key=lambda one: one[:2])
    how = "fixed by" if result.verdict == "improved" else "tried against it"
    those = "" if h.source == STANDARD else ": these"
    about = f"{claim_words(h.claim, h.source)}{those} {often_words(rate(h.support))}"
    return f"{about} ({counted(h.support['n'], 'example')}); {how}: {one_line(tried, 200)}"
