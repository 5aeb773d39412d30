"""API keys with expiry, the tenant's limits and retention, the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from meetbot.storage.migrations.audit_rules import create_audit_tables, drop_audit_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIMITS = {"max_bots_per_day": 50, "event_days": 90, "bot_days": 365, "delivery_days": 30, "audit_days": 365}


def upgrade() -> None:
    """Add the columns and tables."""
    _extend_keys()
    for column, default in _LIMITS.items():
        op.add_column("tenant", sa.Column(column, sa.Integer(), server_default=sa.text(str(default)), nullable=False))
    op.add_column("calendar_user", sa.Column("limit_told_at", sa.DateTime(timezone=True), nullable=True))
    create_audit_tables()
    _create_retention()


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


def _create_retention() -> None:
    op.create_table(
        "retention_run",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "deleted", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("tenant_id", "day", name=op.f("pk_retention_run")),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("retention_run")
    drop_audit_tables()
    for column in ("name", "created_by", "expires_at", "last_used_at"):
        op.drop_column("api_key", column)
    for column in ("mode", *_LIMITS):
        op.drop_column("tenant", column)
    op.drop_column("calendar_user", "limit_told_at")
