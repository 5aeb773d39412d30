"""The tables of the audit log and what the database enforces of it: a part of revision 0004."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

TABLES = ("audit_entry", "audit_chain", "secret_use")

_FINAL = """
create function audit_entry_is_final() returns trigger language plpgsql as $$
begin
    -- Retention: old, and the hash that the rest of the chain begins with is kept.
    if tg_op = 'DELETE' and tg_level = 'ROW' then
        if old.at < now() - interval '29 days' and exists (
            select 1 from audit_chain chain
             where chain.tenant_id = old.tenant_id and chain.anchor_sequence >= old.sequence) then
            return old;
        end if;
        -- The erasure of the whole tenant names it.
        if current_setting('app.erasing_tenant', true) = old.tenant_id then
            return old;
        end if;
    end if;
    raise exception 'audit entries are final' using errcode = 'insufficient_privilege';
end $$
"""


def create_audit_tables() -> None:
    """Create the tables, and the triggers that make entries final."""
    op.create_table(
        "audit_entry",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "actor", "action", "target")),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "detail", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["tenant_id", "at"])
    op.create_table(
        "audit_chain",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("head_sequence", sa.BigInteger(), nullable=False),
        sa.Column("head_hash", sa.LargeBinary(), nullable=False),
        sa.Column("anchor_sequence", sa.BigInteger(), nullable=False),
        sa.Column("anchor_hash", sa.LargeBinary(), nullable=False),
        sa.Column("anchored_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_chain")),
    )
    op.create_table(
        "secret_use",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("purpose", "subject_id", "used_by")),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "hour", "purpose", "subject_id", "used_by", name=op.f("pk_secret_use")),
    )
    op.execute(_FINAL)
    op.execute(
        "create trigger audit_entry_is_final before update or delete on audit_entry "
        "for each row execute function audit_entry_is_final()"
    )
    op.execute(
        "create trigger audit_entry_is_not_truncated before truncate on audit_entry "
        "for each statement execute function audit_entry_is_final()"
    )


def drop_audit_tables() -> None:
    """Drop the tables and the trigger's function."""
    for table in TABLES:
        op.drop_table(table)
    op.execute("drop function audit_entry_is_final()")
