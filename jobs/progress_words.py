"""The search in plain lines: what each event of a run means for whoever watches it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..evaluation.outage import duration
from ..models.names import parse_model, web_address
from .diagnosis_words import DiagnosisTeller
from .output import counted, one_line
from .sandbox_choice import sandbox_host, unsafe_line

MOST_ORIGINS = 4
"""Kinds of candidates named when an iteration starts."""
MOST_FAILURES = 3
"""Failed calls that are spelled out; later ones are only counted."""
_HERE = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "this machine"}  # noqa: S104 - compared with, not bound to


def plan_lines(
    plan: Mapping[str, Any],
    *,
    target: str,
    agent: str | None,
    base_url: str | None,
    calls: int | None,
    sandbox: str | None = None,
) -> list[str]:
    """What the task is made of, what the budget buys, and who will see the examples."""
    sizes = plan["sizes"]
    splits = ", ".join(f"{n} {name}" for name, n in sizes.items() if n)
    lines = [f"examples: {splits}"]
    proof, search = plan["certification"], plan["search"]
    if calls is None:
        lines.append(f"budget: {proof:,} target calls for the proof; the search goes on until another limit is reached")
    else:
        kept = f"{proof:,} kept for the proof, " if proof else "no proof asked for, "
        lines.append(f"budget: {calls:,} target calls: {kept}{search or calls:,.0f} for the search")
    if proof:
        gain = plan["smallest_gain"]
        lines.append(
            f"the test split can prove a gain of about {gain:.2f} or more (power 0.8, error rate {plan['alpha']:.2g})"
            if gain is not None
            else "the test split is too small to prove any gain"
        )
    lines += [f"mind: {note}" for note in plan["notes"]]
    return [*lines, who_sees(target, base_url, agent, sandbox)]


def who_sees(target: str, base_url: str | None, agent: str | None = None, sandbox: str | None = None) -> str:
    """One sentence on where the examples go; for the embedded model, that they stay. `sandbox`: a service's host."""
    hosts = dict.fromkeys(_host(name, base_url) for name in (target, agent) if name)
    hosts |= {sandbox: None} if sandbox else {}
    away = [host for host in hosts if host not in _HERE]
    if not away:
        return f"target: {target}; the examples do not leave this machine"
    return f"target: {target}; the examples will be seen by {' and '.join(away)}"


def _host(name: str, base_url: str | None) -> str:
    """The host of an address, the host or provider of a model. A name of another form is the caller's own code."""
    address = web_address(name)
    if address is not None:
        return address.hostname or name
    if name != "local" and (":" not in name or name.startswith("python:")):
        return "your own code"
    return parse_model(name, base_url).host


@dataclass
class Narrator:
    """Turns a run's events into lines, keeping what one line needs of the events before it."""

    limits: Mapping[str, float] = field(default_factory=dict)
    target: str = ""
    agent: str | None = None
    base_url: str | None = None
    sandbox: str | None = None
    best: str = ""
    trying: str = ""
    failures: int = 0
    screened_out: int = 0
    unmeasured: Counter[str] = field(default_factory=Counter)
    diagnosis: DiagnosisTeller = field(default_factory=DiagnosisTeller)

    def lines(self, event: str, fields: Mapping[str, Any]) -> list[str]:
        """The lines for an event; none for an event that says nothing new to a person."""
        tell = getattr(self, f"_{event}", None)
        return [one_line(line, None) for line in tell(fields)] if tell else []

    def _created(self, e: Mapping[str, Any]) -> list[str]:
        settings = e["settings"]
        self.target, self.agent, self.base_url = settings.target, settings.agent, settings.base_url
        self.limits, self.sandbox = settings.limits().limits(), sandbox_host(settings)
        alias = f" ({e['alias']})" if e.get("alias") else ""
        agent = f", agent {settings.agent}" if settings.agent else ", the built-in playbook proposes"
        loud = unsafe_line(settings)
        return [
            *([loud] if loud else []),
            f"run {e['run_id'][:8]}{alias}: {e['task'].name} · {settings.strategy} on {settings.target}{agent}"
            f" · seed {settings.seed}",
        ]

    def _plan(self, e: Mapping[str, Any]) -> list[str]:
        self.trying = "first look at the seed prompt"
        calls = self.limits.get("target_calls")
        calls = None if calls is None else int(calls)
        return plan_lines(
            e, target=self.target, agent=self.agent, base_url=self.base_url, calls=calls, sandbox=self.sandbox
        )

    def _first_look(self, e: Mapping[str, Any]) -> list[str]:
        return first_look_lines(e)

    def _turn(self, e: Mapping[str, Any]) -> list[str]:
        self.trying = f"iteration {e['iteration']} · {e['strategy']}"
        return []

    def _turn_over(self, e: Mapping[str, Any]) -> list[str]:
        ended = f", and knew no further: {e['ended']}" if e["ended"] else ""
        calls = counted(e["calls"], "target call")
        return [f"iteration {e['iteration']} · the turn of {e['strategy']}: {e['gain']:+.3f} for {calls}{ended}"]

    def _code(self, e: Mapping[str, Any]) -> list[str]:
        self.trying = f"iteration {e['iteration']} · code over the records: {one_line(e['purpose'], 40)}"
        return self.diagnosis.code(e)

    def _findings(self, e: Mapping[str, Any]) -> list[str]:
        self.trying = f"iteration {e['iteration']} · edits against {counted(len(e['directions']), 'finding')}"
        return self.diagnosis.findings(e)

    def _edit_dropped(self, e: Mapping[str, Any]) -> list[str]:
        return self.diagnosis.dropped(e)

    def _edits_tried(self, e: Mapping[str, Any]) -> list[str]:
        return self.diagnosis.edits(e)

    def _harm_found(self, e: Mapping[str, Any]) -> list[str]:
        return [
            f'iteration {e["iteration"]} · "{one_line(one["text"], 60)}" does harm: {one_line(one["words"], 160)}'
            for one in e["sentences"]
        ]

    def _candidate_rejected(self, e: Mapping[str, Any]) -> list[str]:
        origin, reason = one_line(e["origin"], 40), one_line(e["reason"], 160)
        return [f'iteration {e["iteration"]} · "{origin}": weeded before any call ({reason})']

    def _proposed(self, e: Mapping[str, Any]) -> list[str]:
        number, candidates = e["iteration"], e["candidates"]
        weeded = self.diagnosis.all_weeded(number)
        if not candidates:
            return [*weeded, f"iteration {number} · nothing new to try"]
        origins = Counter(one_line(c["origin"], 40) for c in candidates)
        named = [f'"{origin}"' + (f" ×{n}" if n > 1 else "") for origin, n in origins.most_common(MOST_ORIGINS)]
        more = ", …" if len(origins) > MOST_ORIGINS else ""
        self.trying = f"iteration {number} · {counted(len(candidates), 'candidate')}: {', '.join(named)}{more}"
        return weeded

    def _verdict(self, e: Mapping[str, Any]) -> list[str]:
        outcome, start = e["outcome"], f'iteration {e["iteration"]} · "{one_line(e["origin"], 40)}"'
        if outcome == "screened out":
            self.screened_out += 1
            return []
        if outcome == "not measured":
            self.unmeasured[e["reason"]] += 1
            return []
        return [f"{start}: {verdict_words(outcome, e['reason'], e['stats'])}"]

    def _iteration(self, e: Mapping[str, Any]) -> list[str]:
        self.best = f"{e['score']:.2f} ({e['low']:.2f} to {e['high']:.2f} on {e['n']} examples)"
        out = f", {self.screened_out} screened out" if self.screened_out else ""
        cut = "".join(f", {n} not measured: {reason}" for reason, n in self.unmeasured.items())
        self.screened_out = 0
        self.unmeasured.clear()
        return [f"iteration {e['number']} · best so far {self.best}{out}{cut}"]

    def _certifying(self, e: Mapping[str, Any]) -> list[str]:
        self.trying = f"the proof: seed and best prompt on {e['examples']} untouched test examples"
        return [self.trying]

    def _call_failed(self, e: Mapping[str, Any]) -> list[str]:
        self.failures += 1
        if self.failures > MOST_FAILURES:
            return []
        silent = "; further ones are only counted" if self.failures == MOST_FAILURES else ""
        return [f"a call failed and counts as missing: {one_line(e['message'], 300)}{silent}"]

    def _outage(self, e: Mapping[str, Any]) -> list[str]:
        since = time.strftime("%H:%M", time.localtime(e["since"]))
        return [
            f"{e['name']} does not answer since {since} ({one_line(e['reason'], 200)}); waiting, at most "
            f"{duration(e['patience'])}: --patience"
        ]

    def _outage_over(self, e: Mapping[str, Any]) -> list[str]:
        return [f"{e['name']} answers again after {duration(e['seconds'])}"] if e["answers"] else []


def first_look_lines(e: Mapping[str, Any]) -> list[str]:
    """What the seed prompt's first measurements say."""
    if not e["n"]:
        return [f"first look: no answer to any of {e['missing']} calls"]
    missing = f", {e['missing']} missing" if e["missing"] else ""
    flips = f"; {e['flip_rate']:.0%} of repeated answers were scored differently" if e["flip_rate"] else ""
    decoding = f", answers by {e['decoding']}" if e["decoding"] != "text" else ""
    lines = [f"first look: the seed scores {e['score']:.2f} on {e['n']} examples{missing}{decoding}{flips}"]
    if e["suspicious"]:
        ids = ", ".join(one_line(str(i), 24) for i in e["suspicious"][:5])
        lines.append(f"mind: {len(e['suspicious'])} expected answers look wrong to the model; check examples {ids}")
    return lines


def verdict_words(outcome: str, reason: str, stats: Mapping[str, Any]) -> str:
    """What became of a candidate: `fixed 14, broke 4 of 72 → accepted (better with probability 0.99)`."""
    race = stats.get("race", {})
    figures = f"fixed {race['fixed']}, broke {race['broken']} of {race['n']} → " if race.get("n") else ""
    chance = f"better with probability {race['better']:.2f}" if race.get("better") is not None else ""
    if outcome == "accepted":
        return f"{figures}accepted" + (f" ({chance})" if chance else "")
    if outcome == "not better":
        return f"{figures}rejected" + (f" ({chance})" if chance else f" ({reason})")
    if outcome == "second best":
        return f"{figures}better too, but another one was better still"
    if outcome == "kept":
        return f"{figures}kept ({reason})"
    return f"{figures}rejected ({reason})"
