"""Erasures of calendar users and tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and the index by which other users of an account are found."""
    empty = sa.text("'{}'::jsonb")
    op.create_table(
        "erasure",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("calendar_user_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("revocation", sa.String(), nullable=False),
        sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), server_default=empty, nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), server_default=empty, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('running','completed','completed_with_exceptions')", name=op.f("ck_erasure_state")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_erasure")),
    )
    op.create_index("uq_erasure_calendar_user", "erasure", ["tenant_id", "calendar_user_id"], unique=True)
    op.create_table(
        "pending_revocation",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("erasure_id", sa.String(), nullable=False),
        sa.Column("calendar_user_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("kek_version", sa.Integer(), nullable=False),
        sa.Column("wrapped_key", sa.Text(), nullable=False),
        sa.Column("refresh_ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "erasure_id", name=op.f("pk_pending_revocation")),
    )
    op.create_table(
        "erasure_ledger",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('calendar_user','tenant')", name=op.f("ck_erasure_ledger_kind")),
        sa.PrimaryKeyConstraint("tenant_id", "subject_id", name=op.f("pk_erasure_ledger")),
    )
    op.create_index("ix_calendar_user_subject", "calendar_user", ["subject"], unique=False)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_index("ix_calendar_user_subject", table_name="calendar_user")
    for table in ("erasure", "pending_revocation", "erasure_ledger"):
        op.drop_table(table)
