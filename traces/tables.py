"""The tables of the run store. Columns stand in the order of the fields in `rows`; a change here needs a migration.

Ids that repeat in a million rows (runs, prompts, request keys) are packed into a few bytes by `codec`.
Everything outside primary keys may be NULL: a row that says too little must not hold up the batch it is in.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

HEAD = "0007"
"""The newest migration, and so the version of a store that this code reads and writes."""

metadata = sa.MetaData()


class Json(sa.types.UserDefinedType[str]):
    """Text that holds JSON (a type of its own so that `codec` knows which columns to convert)."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "TEXT"


class JsonTuple(Json):
    """A JSON list that is read as a tuple."""

    cache_ok = True


def _packed(name: str, *, key: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, primary_key=key, nullable=not key)


def _key(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, unique=True),
    sa.Column("task", sa.Text),
    sa.Column("strategy", sa.Text),
    sa.Column("settings", Json),
    sa.Column("status", sa.Text),
    sa.Column("created_at", sa.Double, index=True),
    sa.Column("updated_at", sa.Double),
    sa.Column("result", Json),
    sa.Column("error", sa.Text),
    sa.Column("seconds", sa.Double),
    sa.Column("restarts", sa.Integer),
)

answers = sa.Table(
    "answers",
    metadata,
    _packed("key", key=True),
    sa.Column("text", sa.Text),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("latency", sa.Double),
    sa.Column("label_logprobs", Json),
    sa.Column("decoding", sa.Text),
)

calls = sa.Table(
    "calls",
    metadata,
    _packed("run_id", key=True),
    _packed("key", key=True),
    sa.Column("role", sa.Text),
    sa.Column("iteration", sa.Integer),
    sa.Column("input_tokens", sa.Integer),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("usd", sa.Double),
    sa.Column("attempts", sa.Integer),
    sa.Column("cached", sa.Boolean),
    sa.Column("missing", sa.Boolean),
    # Holds all that is summed up by role and step, in that order: nothing is sorted, and no row is looked at.
    sa.Index("calls_costs", "run_id", "role", "iteration", "cached", "missing", "input_tokens", "output_tokens", "usd"),
    # Small rows with a long key: stored in key order, the key is not stored a second time in an index.
    sqlite_with_rowid=False,
)

prompts = sa.Table(
    "prompts",
    metadata,
    _packed("run_id", key=True),
    _packed("id", key=True),
    sa.Column("iteration", sa.Integer),
    sa.Column("content", Json),
    sa.Column("parents", JsonTuple),
    sa.Column("origin", sa.Text),
)

records = sa.Table(
    "records",
    metadata,
    _packed("run_id", key=True),
    _packed("prompt_id", key=True),
    _key("example_id", sa.Text),
    _key("repeat", sa.Integer),
    sa.Column("split", sa.Text),
    _packed("key"),
    sa.Column("score", sa.Double),
    sa.Column("output", sa.Text),
    sa.Column("feedback", sa.Text),
    sa.Column("tokens", sa.Integer),
    sa.Column("label_logprobs", Json),
    sa.Column("step", sa.Integer),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _packed("run_id", key=True),
    _key("iteration", sa.Integer),
    _key("index", sa.Integer),
    _packed("prompt_id"),
    _packed("champion_id"),
    sa.Column("verdict", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("stats", Json),
)

turns = sa.Table(
    "turns",
    metadata,
    _packed("run_id", key=True),
    _key("index", sa.Integer),
    sa.Column("strategy", sa.Text),
    sa.Column("iteration", sa.Integer),
    sa.Column("step", sa.Integer),
    _packed("champion_id"),
    sa.Column("chance", sa.Double),
    sa.Column("ended", sa.Text),
)

hypotheses = sa.Table(
    "hypotheses",
    metadata,
    _packed("run_id", key=True),
    _key("iteration", sa.Integer),
    _key("index", sa.Integer),
    sa.Column("source", sa.Text),
    sa.Column("claim", sa.Text),
    sa.Column("predicate", sa.Text),
    sa.Column("effect", sa.Text),
    sa.Column("fix", sa.Text),
    sa.Column("findings", JsonTuple),
    sa.Column("status", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("support", Json),
    sa.Column("matched", JsonTuple),
    sa.Column("cause", sa.Text),
    sa.Column("edits", JsonTuple),
    sa.Column("shown", JsonTuple),
)

code_runs = sa.Table(
    "code_runs",
    metadata,
    _packed("run_id", key=True),
    _key("iteration", sa.Integer),
    _key("index", sa.Integer),
    sa.Column("purpose", sa.Text),
    sa.Column("code", sa.Text),
    sa.Column("stdout", sa.Text),
    sa.Column("findings", JsonTuple),
    sa.Column("error", sa.Text),
    sa.Column("seconds", sa.Double),
    sa.Column("usd", sa.Double, nullable=False, server_default="0"),
)

rounds = sa.Table(
    "rounds",
    metadata,
    _packed("run_id", key=True),
    _key("round", sa.Integer),
    sa.Column("arm", sa.Integer),
    sa.Column("probability", sa.Double),
    sa.Column("entropy", sa.Double),
    sa.Column("distance", sa.Double),
    sa.Column("exemplars", JsonTuple),
    sa.Column("score", sa.Double),
    sa.Column("note", sa.Text),
    sa.Column("seconds", sa.Double),
)

actions = sa.Table(
    "actions",
    metadata,
    _packed("run_id", key=True),
    _key("round", sa.Integer),
    _key("index", sa.Integer),
    sa.Column("action", sa.Text),
    sa.Column("taken", sa.Boolean),
    sa.Column("value", sa.Double),
    sa.Column("regret", sa.Double),
    sa.Column("means", JsonTuple),
    sa.Column("note", sa.Text),
)

test_uses = sa.Table(
    "test_uses",
    metadata,
    _key("test_key", sa.Text),
    _key("run_id", sa.Text),
    sa.Column("used_at", sa.Double, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.UniqueConstraint("test_key", "number"),
)

leases = sa.Table(
    "leases",
    metadata,
    _key("run_id", sa.Text),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)

schedules = sa.Table(
    "schedules",
    metadata,
    _key("name", sa.Text),
    sa.Column("definition", sa.Text),
    sa.Column("anchor", sa.Double),
    sa.Column("next_at", sa.Double),
    sa.Column("firing_at", sa.Double),
    sa.Column("last_at", sa.Double),
    sa.Column("last_code", sa.Integer),
    sa.Column("last_outcome", sa.Text),
)
