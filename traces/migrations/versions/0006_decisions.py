"""Rounds and actions of agents that decide in sequence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "rounds",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("arm", sa.Integer),
        sa.Column("probability", sa.Double),
        sa.Column("entropy", sa.Double),
        sa.Column("distance", sa.Double),
        sa.Column("exemplars", sa.Text),
        sa.Column("score", sa.Double),
        sa.Column("note", sa.Text),
        sa.Column("seconds", sa.Double),
    )
    op.create_table(
        "actions",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("action", sa.Text),
        sa.Column("taken", sa.Boolean),
        sa.Column("value", sa.Double),
        sa.Column("regret", sa.Double),
        sa.Column("means", sa.Text),
        sa.Column("note", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("actions")
    op.drop_table("rounds")
