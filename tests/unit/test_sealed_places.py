"""Every column that may hold a sealed secret takes part in the rotation of keys."""

from __future__ import annotations

from sqlalchemy import JSON, Column, LargeBinary
from sqlmodel import SQLModel

from meetbot.storage import tables
from meetbot.storage.sealed_secrets import SEALED_PLACES

# Digests, keys of links, a task token of Temporal, and JSON without secrets.
# The answers in `idempotency_record` are sealed with the caller's API key, for a day; the key in `console_session` with a
# secret of the browser's, for 12 hours.
WITHOUT_SEALED_SECRETS = {
    "admin_consent.link_key",
    "api_key.scopes",
    "api_key.secret_hash",
    "audit_chain.anchor_hash",
    "audit_chain.head_hash",
    "audit_entry.detail",
    "audit_entry.hash",
    "audit_entry.previous_hash",
    "bot_claim.facts",
    "calendar_event.attendees",
    "calendar_event.facts",
    "calendar_event.fingerprint",
    "calendar_event.organizer",
    "calendar_user.attributes",
    "calendar_user.email_aliases",
    "calendar_user.scopes",
    "calendar_user.token_digest",
    "connect_attempt.attributes",
    "connect_attempt.browser_hash",
    "connect_attempt.rules",
    "connect_attempt.state_hash",
    "connect_attempt.ticket_hash",
    "console_session.sealed_key",
    "console_session.secret_hash",
    "erasure.counts",
    "erasure.steps",
    "event_history.after",
    "event_history.before",
    "idempotency_record.body",
    "idempotency_record.fingerprint",
    "retention_run.deleted",
    "launch_hold.task_token",
    "push_channel.token_digest",
    "rule_set.body",
    "tenant.internal_domains",
    "tenant.never_record",
    "tenant.redirect_origins",
    "waiting_user.attributes",
    "waiting_user.link_key",
    "waiting_user.rules",
    "webhook_delivery.data",
    "webhook_endpoint.event_types",
}


def columns() -> dict[str, Column[object]]:
    assert tables.__all__, "the tables have to be loaded"
    return {
        f"{table.name}.{column.name}": column for table in SQLModel.metadata.tables.values() for column in table.columns
    }


def test_a_new_column_that_may_hold_a_secret_is_rewrapped_or_declared_free_of_secrets() -> None:
    may_hold = {
        name for name, column in columns().items() if isinstance(column.type, LargeBinary | JSON) or "cipher" in name
    }
    assert may_hold == WITHOUT_SEALED_SECRETS & may_hold | {f"{place.table}.{place.column}" for place in SEALED_PLACES}


def test_every_table_with_a_wrapped_key_is_rewrapped() -> None:
    wrapped = {name.partition(".")[0] for name in columns() if name.endswith((".wrapped_key", ".kek_version"))}
    assert wrapped <= {place.table for place in SEALED_PLACES}
