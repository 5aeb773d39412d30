"""Which process holds which bot until its instant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "launch_hold",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("bot_id", sa.String(), nullable=False),
        sa.Column("meeting_key", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("wait_is_over", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.BigInteger(), nullable=False),
        sa.Column("task_token", sa.LargeBinary(), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "bot_id", name=op.f("pk_launch_hold")),
    )
    op.create_index("ix_launch_hold_holder", "launch_hold", ["holder"], unique=False)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("launch_hold")
