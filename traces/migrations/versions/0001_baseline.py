"""The tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text, unique=True),
        sa.Column("task", sa.Text),
        sa.Column("strategy", sa.Text),
        sa.Column("settings", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("created_at", sa.Double),
        sa.Column("updated_at", sa.Double),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Double),
        sa.Column("restarts", sa.Integer),
    )
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_table(
        "answers",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("text", sa.Text),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("latency", sa.Double),
        sa.Column("label_logprobs", sa.Text),
        sa.Column("decoding", sa.Text),
    )
    op.create_table(
        "calls",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("role", sa.Text),
        sa.Column("iteration", sa.Integer),
        sa.Column("input_tokens", sa.Integer),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("usd", sa.Double),
        sa.Column("attempts", sa.Integer),
        sa.Column("cached", sa.Boolean),
        sa.Column("missing", sa.Boolean),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prompts",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("iteration", sa.Integer),
        sa.Column("content", sa.Text),
        sa.Column("parents", sa.Text),
        sa.Column("origin", sa.Text),
    )
    op.create_table(
        "records",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("prompt_id", sa.LargeBinary, primary_key=True),
        sa.Column("example_id", sa.Text, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("split", sa.Text),
        sa.Column("key", sa.LargeBinary),
        sa.Column("score", sa.Double),
        sa.Column("output", sa.Text),
        sa.Column("feedback", sa.Text),
        sa.Column("tokens", sa.Integer),
        sa.Column("label_logprobs", sa.Text),
        sa.Column("step", sa.Integer),
    )
    op.create_table(
        "decisions",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("iteration", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("prompt_id", sa.LargeBinary),
        sa.Column("champion_id", sa.LargeBinary),
        sa.Column("verdict", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("stats", sa.Text),
    )
    op.create_table(
        "test_uses",
        sa.Column("test_key", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.UniqueConstraint("test_key", "number"),
    )
    op.create_table(
        "leases",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    for name in ("leases", "test_uses", "decisions", "records", "prompts", "calls", "answers", "runs"):
        op.drop_table(name)
