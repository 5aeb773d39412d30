"""The tenants' own OAuth apps, and which client each grant was given to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_OF_EXCHANGE = {
    "exchange_id": sa.String,
    "kek_version": sa.Integer,
    "wrapped_key": sa.Text,
    "code_ciphertext": sa.LargeBinary,
    "outcome": sa.String,
    "connected_user_id": sa.String,
}
_WITH_CLIENT = ("calendar_user", "connect_attempt", "pending_revocation")


def upgrade() -> None:
    """Create the table, and the columns that name a grant's client; null is ours."""
    op.create_table(
        "oauth_app",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("directory", sa.String(), nullable=True),
        sa.Column("kek_version", sa.Integer(), nullable=False),
        sa.Column("wrapped_key", sa.Text(), nullable=False),
        sa.Column("secret_ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_oauth_app")),
    )
    op.create_index("uq_oauth_app_client", "oauth_app", ["tenant_id", "provider", "client_id"], unique=True)
    op.create_index(
        "uq_oauth_app_present",
        "oauth_app",
        ["tenant_id", "provider"],
        unique=True,
        postgresql_where=sa.text("retired_at is null"),
    )
    for table in _WITH_CLIENT:
        op.add_column(table, sa.Column("oauth_client_id", sa.Text(), nullable=True))
    op.add_column("calendar_user", sa.Column("consented_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_calendar_user_oauth_client",
        "calendar_user",
        ["tenant_id", "provider", "oauth_client_id"],
        unique=False,
        postgresql_where=sa.text("oauth_client_id is not null"),
    )
    for column, kind in _OF_EXCHANGE.items():
        op.add_column("connect_attempt", sa.Column(column, kind(), nullable=True))
    op.create_index("uq_connect_attempt_exchange", "connect_attempt", ["tenant_id", "exchange_id"], unique=True)


def downgrade() -> None:
    """Remove them."""
    op.drop_index("uq_connect_attempt_exchange", table_name="connect_attempt")
    for column in _OF_EXCHANGE:
        op.drop_column("connect_attempt", column)
    op.drop_index("ix_calendar_user_oauth_client", table_name="calendar_user")
    op.drop_column("calendar_user", "consented_at")
    for table in _WITH_CLIENT:
        op.drop_column(table, "oauth_client_id")
    op.drop_table("oauth_app")
