"""The channels through which providers report changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INSTANTS = ("opened_at", "expires_at", "verified_at", "last_notified_at", "retry_at")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "push_channel",
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in ("tenant_id", "id", "calendar_user_id", "provider", "calendar_id", "state")
        ),
        sa.Column("token_digest", sa.LargeBinary(), nullable=True),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in _INSTANTS),
        sa.Column("renew_asked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.CheckConstraint("state in ('wanted','opening','active','ending')", name=op.f("ck_push_channel_state")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_push_channel")),
    )
    op.create_index("ix_push_channel_user", "push_channel", ["tenant_id", "calendar_user_id"])
    op.create_index("ix_push_channel_id", "push_channel", ["id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("push_channel")
