"""The room of a bot, and the bot that serves a meeting in place of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and their indexes."""
    op.add_column("bot", sa.Column("room", sa.String(), nullable=True))
    op.add_column("bot", sa.Column("shared_bot_id", sa.String(), nullable=True))
    op.create_index("ix_bot_room", "bot", ["tenant_id", "room", "end_at"], postgresql_where=sa.text("room is not null"))
    op.create_index(
        "ix_bot_shared", "bot", ["tenant_id", "shared_bot_id"], postgresql_where=sa.text("shared_bot_id is not null")
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_bot_shared", "bot")
    op.drop_index("ix_bot_room", "bot")
    op.drop_column("bot", "shared_bot_id")
    op.drop_column("bot", "room")
