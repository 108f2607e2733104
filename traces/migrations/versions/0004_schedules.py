"""When each schedule fires next, and what came of its last fire."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", sa.Text),
        sa.Column("anchor", sa.Double),
        sa.Column("next_at", sa.Double),
        sa.Column("firing_at", sa.Double),
        sa.Column("last_at", sa.Double),
        sa.Column("last_code", sa.Integer),
        sa.Column("last_outcome", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("schedules")
