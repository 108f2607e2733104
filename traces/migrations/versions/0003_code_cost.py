"""What a run of analysis code cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("code_runs", sa.Column("usd", sa.Double, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("code_runs", "usd")
