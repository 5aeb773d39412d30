"""The account's other addresses, and until when its provider is not to be asked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    aliases = postgresql.JSONB()
    op.add_column(
        "calendar_user",
        sa.Column("email_aliases", aliases, nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.add_column("calendar_user", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("calendar_user", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Remove them."""
    for column in ("asked_at", "not_before", "email_aliases"):
        op.drop_column("calendar_user", column)
