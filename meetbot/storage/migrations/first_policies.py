"""The row policies of the first schema: a part of revision 0001, and as final as that."""

from __future__ import annotations

from alembic import op

TENANT_TABLES = (
    "api_key",
    "backend_report",
    "bot",
    "bot_claim",
    "calendar_event",
    "calendar_user",
    "connect_attempt",
    "dispatch",
    "idempotency_record",
    "meeting",
    "rate_bucket",
    "recording_override",
    "rule_set",
    "webhook_delivery",
    "webhook_endpoint",
)

IS_LIVE_BOT = "state in ('scheduled','dispatching','dispatched','joining','in_call','recording','finalizing')"

EXPIRED = {
    "calendar_event": "deleted and updated_at < now() - interval '30 days'",
    "connect_attempt": "expires_at < now() - interval '1 day'",
    "idempotency_record": "created_at < now() - interval '24 hours'",
    "backend_report": "received_at < now() - interval '30 days'",
    "webhook_delivery": "state <> 'pending' and created_at < now() - interval '30 days'",
}


def create_policies() -> None:
    """Put every table under row level security, and create its policies."""
    own = "tenant_id = nullif(current_setting('app.tenant_id', true), '')"
    for table in TENANT_TABLES:
        _protect(table, own)
    _protect("tenant", own.replace("tenant_id =", "id =", 1))
    # Who calls is not known before the key's row is read, so that one row is visible by its public id.
    op.execute(
        "create policy key_lookup on api_key for select "
        "using (public_id = nullif(current_setting('app.api_key_id', true), ''))"
    )
    op.execute(
        "create policy report_lookup on dispatch for select "
        "using (external_id = nullif(current_setting('app.external_id', true), ''))"
    )
    # The relay starts a workflow for each waiting delivery of any tenant.
    op.execute(
        "create policy relay on webhook_delivery "
        "using (current_setting('app.relay', true) = 'on') with check (current_setting('app.relay', true) = 'on')"
    )
    # Housekeeping sees of any tenant only what is past its time.
    for table, past in EXPIRED.items():
        op.execute(
            f"create policy housekeeping on {table} "
            f"using (current_setting('app.housekeeping', true) = 'on' and {past}) with check (false)"
        )
    # The relay also starts the workflow of a calendar user that nobody started, or that has fallen silent.
    op.execute("create policy relay on calendar_user for select using (current_setting('app.relay', true) = 'on')")
    # And the workflow of a live bot that has none.
    op.execute(
        f"create policy relay on bot for select using (current_setting('app.relay', true) = 'on' and {IS_LIVE_BOT})"
    )


def _protect(table: str, visible: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    # FORCE: the owner is bound too, so one database role for service and migrations is as safe as two.
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy tenant on {table} using ({visible}) with check ({visible})")
