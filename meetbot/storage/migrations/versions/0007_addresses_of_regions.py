"""Where a tenant of another region lives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the address of the tenant's own region."""
    op.add_column("tenant", sa.Column("home_url", sa.Text(), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("tenant", "home_url")
