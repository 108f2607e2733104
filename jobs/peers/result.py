"""What a peer's run ends with, as plain values: stored with its run, shown to people, read by comparisons."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.text import Text

from ...traces.result import SCHEMA_VERSION, PromptContent
from ..output import add, bullets, facts, plain, short_id
from ..result_screen import cost_words


class PeerResult(BaseModel):
    """The best prompt of a peer, of which nothing is proven.

    `versions` are those of its packages, by name. `agent` is the model that wrote its prompts; `agent_is_target`:
    none was named, and the target model wrote them. `best_score` and `seed_score` are means over the `best_n` and
    `seed_n` examples of search and holdout that the peer had measured; None where it was none. `candidates` counts
    the prompts it had measured, the seed with them. `stop` says why it ended, and where its prompt could not be used.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    alias: str | None = None
    task: str
    strategy: str
    peer: str
    algorithm: str
    versions: dict[str, str]
    target: str
    agent: str
    agent_is_target: bool
    seed: int
    best: PromptContent
    seed_prompt: PromptContent
    best_score: float | None = None
    best_n: int = 0
    seed_score: float | None = None
    seed_n: int = 0
    candidates: int = 0
    decoding: str = ""
    stop: str = ""
    spend: dict[str, Any] = {}
    notes: list[str] = []


def peer_screen(result: PeerResult) -> RenderableType:
    """The whole screen of a peer's run."""
    r = result
    packages = ", ".join(f"{name} {version}" for name, version in r.versions.items())
    table = facts()
    add(table, "Best", r.best.components.get("system") or next(iter(r.best.components.values())))
    for name, score, n in (("seed", r.seed_score, r.seed_n), ("best", r.best_score, r.best_n)):
        if score is not None:
            add(table, name, f"{score:.2f} on {n} examples of search and holdout that it measured; no proof")
    add(table, "Ended", r.stop)
    add(table, "Agent", f"{r.agent} (the target model: none was named)" if r.agent_is_target else r.agent)
    if r.decoding:
        add(table, "Answers", f"by {r.decoding}")
    add(table, "Cost", cost_words(r.spend, r.target))
    head = f"{r.task} · {r.algorithm} of {packages} on {r.target} · seed {r.seed} · run {r.alias or short_id(r.run_id)}"
    parts: list[RenderableType] = [plain(head, "dim"), Text(), table]
    if r.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets(r.notes)]
    return Group(*parts)
