"""API keys with expiry, the tenant's limits and retention, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meetbot.storage.migrations.audit_rules import create_audit_tables, drop_audit_tables

revision = "0004"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables, and their policies."""
    _extend_keys()
    create_audit_tables()


def _extend_keys() -> None:
    op.add_column("tenant", sa.Column("mode", sa.String(), server_default=sa.text("'live'"), nullable=False))
    op.add_column("api_key", sa.Column("name", sa.String(), server_default=sa.text("''"), nullable=False))
    op.add_column("api_key", sa.Column("created_by", sa.String(), nullable=True))
    for column in ("expires_at", "last_used_at"):
        op.add_column("api_key", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    # FORCE binds the owner, too: without this, the statement would see no row.
    for table in ("tenant", "api_key"):
        op.execute(f"alter table {table} no force row level security")
    op.execute("update tenant set mode = 'test' where id in (select tenant_id from api_key where mode = 'test')")
    for table in ("tenant", "api_key"):
        op.execute(f"alter table {table} force row level security")
    op.execute(
        "create policy directory on tenant for select using (current_setting('app.tenant_directory', true) = 'on')"
    )


def downgrade() -> None:
    """Drop what was added."""
    drop_audit_tables()
    op.execute("drop policy directory on tenant")
    for column in ("name", "created_by", "expires_at", "last_used_at"):
        op.drop_column("api_key", column)
    op.drop_column("tenant", "mode")
