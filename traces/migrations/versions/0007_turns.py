"""Whose turn it was in a run that several strategies share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("run_id", sa.LargeBinary, primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("strategy", sa.Text),
        sa.Column("iteration", sa.Integer),
        sa.Column("step", sa.Integer),
        sa.Column("champion_id", sa.LargeBinary),
        sa.Column("chance", sa.Double),
        sa.Column("ended", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("turns")
