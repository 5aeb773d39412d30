"""No setting of a process takes audit entries out before the tenant's days are over."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_FINAL = """
create or replace function audit_entry_is_final() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and tg_level = 'ROW' then
        -- Retention: as old as the tenant says, and the hash that the rest of the chain begins with is kept. A day less, since
        -- the process that deletes goes by its own clock.
        if exists (select 1 from audit_chain chain
                    where chain.tenant_id = old.tenant_id and chain.anchor_sequence >= old.sequence)
           and exists (select 1 from tenant where tenant.id = old.tenant_id
                        and old.at < now() - make_interval(days => greatest(tenant.audit_days, 30) - 1)) then
            return old;
        end if;
        -- The erasure of the whole tenant names it, and is the owner's: no process of the service logs in as that.
        if current_setting('app.erasing_tenant', true) = old.tenant_id
           and current_user = (select pg_get_userbyid(relowner) from pg_class where oid = tg_relid) then
            return old;
        end if;
    end if;
    raise exception 'audit entries are final' using errcode = 'insufficient_privilege';
end $$
"""
_AS_BEFORE = """
create or replace function audit_entry_is_final() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and tg_level = 'ROW' then
        if old.at < now() - interval '29 days' and exists (
            select 1 from audit_chain chain
             where chain.tenant_id = old.tenant_id and chain.anchor_sequence >= old.sequence) then
            return old;
        end if;
        if current_setting('app.erasing_tenant', true) = old.tenant_id then
            return old;
        end if;
    end if;
    raise exception 'audit entries are final' using errcode = 'insufficient_privilege';
end $$
"""


def upgrade() -> None:
    """Let the owner alone erase a tenant's entries, and retention only what is past its days."""
    op.execute(_FINAL)


def downgrade() -> None:
    """Go by the setting alone again."""
    op.execute(_AS_BEFORE)
