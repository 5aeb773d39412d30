"""Who refreshes a token just now, and how often a lost connection was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("calendar_user", sa.Column("refresh_holder", sa.Text(), nullable=True))
    op.add_column("calendar_user", sa.Column("refresh_held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "calendar_user",
        sa.Column("reconnect_notices", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    """Remove them."""
    for column in ("reconnect_notices", "refresh_held_until", "refresh_holder"):
        op.drop_column("calendar_user", column)
