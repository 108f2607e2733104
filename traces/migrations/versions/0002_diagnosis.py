"""What a diagnosis supposes and runs: hypotheses and code runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "hypotheses",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("iteration", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text),
        sa.Column("claim", sa.Text),
        sa.Column("predicate", sa.Text),
        sa.Column("effect", sa.Text),
        sa.Column("fix", sa.Text),
        sa.Column("findings", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("support", sa.Text),
        sa.Column("matched", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("edits", sa.Text),
        sa.Column("shown", sa.Text),
    )
    op.create_table(
        "code_runs",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("iteration", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("purpose", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("stdout", sa.Text),
        sa.Column("findings", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Double),
    )


def downgrade() -> None:
    op.drop_table("code_runs")
    op.drop_table("hypotheses")
