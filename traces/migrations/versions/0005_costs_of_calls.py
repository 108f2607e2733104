"""What the calls of a run cost is summed up from an index: a run may have a million of them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    columns = ["run_id", "role", "iteration", "cached", "missing", "input_tokens", "output_tokens", "usd"]
    op.create_index("calls_costs", "calls", columns)


def downgrade() -> None:
    op.drop_index("calls_costs", "calls")
