"""Links for administrators, the directories they approved, and who waits for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OF_ATTEMPT = ("admin_consent_id", "directory", "waiting_user_id")


def upgrade() -> None:
    """Create the tables, and the columns by which an attempt belongs to one of their rows."""
    op.create_table(
        "admin_consent",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("directory", sa.String(), nullable=True),
        sa.Column("redirect_url", sa.String(), nullable=True),
        sa.Column("link_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_admin_consent")),
    )
    op.create_table(
        "directory_approval",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("directory", sa.String(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", "directory", name=op.f("pk_directory_approval")),
    )
    op.create_table(
        "waiting_user",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("customer_user_id", sa.String(), nullable=False),
        sa.Column("login_hint", sa.String(), nullable=True),
        sa.Column("redirect_url", sa.String(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(), nullable=True),
        sa.Column("rules", postgresql.JSONB(), nullable=True),
        sa.Column("oauth_client_id", sa.Text(), nullable=True),
        sa.Column("directory", sa.String(), nullable=True),
        sa.Column("admin_consent_id", sa.String(), nullable=True),
        sa.Column("link_key", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_waiting_user")),
    )
    op.create_index(
        "ix_waiting_user_customer", "waiting_user", ["tenant_id", "provider", "customer_user_id"], unique=False
    )
    for column in _OF_ATTEMPT:
        op.add_column("connect_attempt", sa.Column(column, sa.String(), nullable=True))


def downgrade() -> None:
    """Remove them."""
    for column in _OF_ATTEMPT:
        op.drop_column("connect_attempt", column)
    for table in ("waiting_user", "directory_approval", "admin_consent"):
        op.drop_table(table)
