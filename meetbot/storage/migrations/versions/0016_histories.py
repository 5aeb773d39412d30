"""What answers "why was this meeting not recorded": the histories of bots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0011"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.add_column("bot", sa.Column("transitions", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "bot_transition",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("bot_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("backend_code", sa.String(), nullable=True),
        sa.Column("dispatch_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "bot_id", "number", name=op.f("pk_bot_transition")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("bot_transition")
    op.drop_column("bot", "transitions")
