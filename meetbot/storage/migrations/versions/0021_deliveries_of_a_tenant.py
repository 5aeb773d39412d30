"""An index for the log of all deliveries of a tenant."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_webhook_delivery_tenant", "webhook_delivery", ["tenant_id", "created_at"], unique=False)


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_webhook_delivery_tenant", table_name="webhook_delivery")
