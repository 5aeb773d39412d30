"""Who may do what: table × role × verbs and columns, the one list. Pure.

A new table is one entry of `TABLES`; a table without an entry can be used by nobody but the owner, who sees no row of it. A
column that holds a sealed secret is named in ``sealed``: the worker alone reads it, the api may only write it.
`meetbot db upgrade` makes grants and row policies equal to this list, and drops every other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meetbot.domain.bot_state import LIVE_STATES
from meetbot.storage.roles import Role

_READ = "select"
_CHANGE = "select insert update"
_ALL = "select insert update delete"

_IS_LIVE_BOT = f"state in ({','.join(repr(str(state)) for state in LIVE_STATES)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayGrant:
    """What the relay sees of all tenants: these rows, in these columns.

    ``select`` and ``update`` name columns, blank-separated.
    """

    select: str
    update: str = ""
    rows: str = "true"


@dataclass(frozen=True, slots=True)
class Opening:
    """Rows that a role sees (``select``) beyond its tenant's.

    It needs the verb by its grants too. The policy is bound to these roles and the owner, whatever others set.
    """

    name: str
    rows: str
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrants:
    """What each role may do with one table, always within the tenant of the transaction.

    ``api`` and ``worker`` are verbs. The dba reads all columns but ``sealed`` and ``hidden``. ``expired`` is the condition of
    rows that housekeeping deletes.
    """

    api: str = ""
    worker: str = ""
    sealed: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    relay: RelayGrant | None = None
    expired: str | None = None
    openings: tuple[Opening, ...] = ()
    tenant_column: str = "tenant_id"


def _named_by(setting: str, column: str) -> str:
    return f"{column} = nullif(current_setting('{setting}', true), '')"


# Before the tenant is known: who calls, and which bot a backend's report is about.
_KEY_LOOKUP = Opening("key_lookup", _named_by("app.api_key_id", "public_id"), (Role.API,))
# A grant belongs to an account and a client: revoking it ends the connections of all tenants.
_SUBJECT_LOOKUP = Opening("subject_lookup", _named_by("app.subject", "subject"), (Role.API, Role.WORKER))
# The operator's commands, which run as the owner, list the tenants, and the ledger after a restore.
_DIRECTORY = Opening("directory", "current_setting('app.tenant_directory', true) = 'on'")
_REPLAY = Opening("replay", "current_setting('app.replay', true) = 'on'")
_REPORT_LOOKUP = Opening("report_lookup", _named_by("app.external_id", "external_id"), (Role.API,))
# A provider's notification names only our channels, a batch of Microsoft's several.
_CHANNEL_LOOKUP = Opening(
    "channel_lookup", "id = any(string_to_array(current_setting('app.push_channels', true), ','))", (Role.API,)
)
_WORDS_OF_PEOPLE = ("title", "organizer", "attendees", "meeting_url", "meeting_id", "facts")

TABLES: Mapping[str, TableGrants] = {
    "account_calendar": TableGrants(
        api=_CHANGE,
        worker=_ALL,
        hidden=("calendar_id", "name"),
        expired="gone_at < now() - interval '30 days'",
    ),
    "admin_consent": TableGrants(
        api=_CHANGE, worker=_ALL, hidden=("link_key", "directory", "redirect_url"), expired="expires_at < now()"
    ),
    "api_key": TableGrants(api=_CHANGE, worker=_READ, hidden=("secret_hash",), openings=(_KEY_LOOKUP,)),
    "api_request": TableGrants(api="select insert", worker="select delete"),
    "audit_chain": TableGrants(api=_CHANGE, worker=_CHANGE),
    "audit_entry": TableGrants(api="select insert", worker="select insert delete", hidden=("detail", "ip")),
    "backend_report": TableGrants(api=_ALL, worker=_ALL, expired="received_at < now() - interval '30 days'"),
    "bot": TableGrants(
        api="select update",
        worker=_ALL,
        hidden=("meeting_url", "room"),
        relay=RelayGrant(
            select="tenant_id id meeting_key generation state dispatch_at end_at heard_at backend_bot_id recorded_seconds",
            update="heard_at",
            rows=_IS_LIVE_BOT,
        ),
    ),
    "bot_claim": TableGrants(api="select update", worker=_ALL),
    "bot_transition": TableGrants(api="select insert", worker="select insert delete"),
    "calendar_event": TableGrants(
        api="select update",
        worker=_ALL,
        hidden=_WORDS_OF_PEOPLE,
        expired="deleted and updated_at < now() - interval '30 days'",
    ),
    "calendar_user": TableGrants(
        api=_CHANGE,
        worker=_ALL,
        sealed=("wrapped_key", "refresh_ciphertext"),
        hidden=("token_digest",),
        relay=RelayGrant(
            select="tenant_id id provider state state_changed_at reconnect_notices last_synced_at created_at"
        ),
        openings=(_SUBJECT_LOOKUP,),
    ),
    "connect_attempt": TableGrants(
        api=_ALL,
        worker="select update delete",
        sealed=("wrapped_key", "code_ciphertext"),
        hidden=("ticket_hash", "state_hash", "browser_hash", "nonce"),
        expired="expires_at < now() - interval '1 day'",
    ),
    "directory_approval": TableGrants(api=_CHANGE, worker=_ALL, hidden=("directory",)),
    "console_session": TableGrants(
        api="select insert delete", hidden=("secret_hash", "sealed_key"), expired="expires_at < now()"
    ),
    "dispatch": TableGrants(api="select update", worker=_ALL, openings=(_REPORT_LOOKUP,)),
    "erasure": TableGrants(
        api=_CHANGE,
        worker=_ALL,
        relay=RelayGrant(select="tenant_id id calendar_user_id state requested_at", rows="state = 'running'"),
    ),
    "erasure_ledger": TableGrants(api="select insert", worker="select insert", openings=(_REPLAY,)),
    "event_history": TableGrants(api="select insert", worker="select insert delete"),
    "idempotency_record": TableGrants(api=_ALL, hidden=("body",), expired="created_at < now() - interval '24 hours'"),
    "launch_hold": TableGrants(
        worker=_ALL,
        hidden=("task_token",),
        relay=RelayGrant(select="tenant_id bot_id meeting_key generation wait_is_over holder", update="holder"),
    ),
    "meeting": TableGrants(api=_CHANGE, worker=_ALL),
    "oauth_app": TableGrants(api=_ALL, worker="select update delete", sealed=("wrapped_key", "secret_ciphertext")),
    "pending_revocation": TableGrants(
        worker=_ALL,
        sealed=("wrapped_key", "refresh_ciphertext"),
        relay=RelayGrant(select="tenant_id erasure_id", rows="starts_with(erasure_id, 'rvk_')"),
    ),
    "push_channel": TableGrants(
        api="select insert update", worker=_ALL, hidden=("token_digest", "calendar_id"), openings=(_CHANNEL_LOOKUP,)
    ),
    "rate_bucket": TableGrants(api=_ALL),
    "recording_override": TableGrants(api=_ALL, worker=_ALL),
    "retention_run": TableGrants(api=_READ, worker=_ALL),
    "rule_set": TableGrants(api=_ALL, worker="select delete"),
    "secret_use": TableGrants(api=_READ, worker=_ALL),
    "sync_run": TableGrants(api=_READ, worker=_ALL),
    "tenant": TableGrants(
        api="select update",
        worker=_READ,
        tenant_column="id",
        relay=RelayGrant(select="id"),
        openings=(_DIRECTORY,),
    ),
    "waiting_user": TableGrants(
        api=_ALL,
        worker=_ALL,
        hidden=("link_key", "login_hint", "directory", "attributes", "redirect_url"),
        expired="expires_at < now()",
    ),
    "webhook_attempt": TableGrants(api=_READ, worker=_ALL, hidden=("answer",)),
    "webhook_delivery": TableGrants(
        api=_ALL,
        worker=_ALL,
        hidden=("data",),
        relay=RelayGrant(
            select="tenant_id id replays event_type created_at emitted_at relayed_at state", update="relayed_at"
        ),
    ),
    "webhook_endpoint": TableGrants(api=_ALL, worker="select update", sealed=("secrets",)),
}
