"""Whose copy leads: the key that copies share, who led, and claims to be settled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now every copy's meeting was the one that its shared key names."""
    op.add_column("calendar_event", sa.Column("shared_key", sa.String(), nullable=True))
    # Forced row level security binds the migration too, and it belongs to no tenant.
    op.execute("alter table calendar_event no force row level security")
    op.execute("update calendar_event set shared_key = meeting_key")
    op.execute("alter table calendar_event force row level security")
    op.alter_column("calendar_event", "shared_key", nullable=False)
    op.create_index("ix_calendar_event_shared", "calendar_event", ["tenant_id", "shared_key"])
    op.add_column("meeting", sa.Column("leader_calendar_user_id", sa.String(), nullable=True))
    op.drop_column("bot_claim", "doubted_at")
    op.add_column("bot_claim", sa.Column("unsettled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Copies that were meetings of their own share a bot again."""
    op.execute("alter table calendar_event no force row level security")
    op.execute("update calendar_event set meeting_key = shared_key")
    op.execute("alter table calendar_event force row level security")
    op.drop_column("bot_claim", "unsettled_at")
    op.add_column("bot_claim", sa.Column("doubted_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("meeting", "leader_calendar_user_id")
    op.drop_index("ix_calendar_event_shared", table_name="calendar_event")
    op.drop_column("calendar_event", "shared_key")
