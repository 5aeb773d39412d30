"""The tables: columns only; behaviour is in the modules that use them.

Every tenant-owned table leads its primary key with ``tenant_id`` and is under row level security
(`meetbot.storage.database` sets the tenant for each transaction). Instants are ``timestamptz`` in UTC.

``change_xid`` is the id of the transaction that last changed a row in a way a customer can see. Watermarks compare
against it: a transaction that was still running when a watermark was taken has a higher id, so no change is skipped.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from meetbot.domain.bot_state import LIVE_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.storage import columns
from meetbot.storage.erasure_tables import Erasure, ErasureLedger, PendingRevocation  # noqa: F401 - for the metadata

JsonObject = dict[str, Any]

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING_CONVENTION

_IS_LIVE_BOT = columns.one_of("state", LIVE_STATES)


class Tenant(SQLModel, table=True):
    """A customer of ours. ``join_lead_seconds`` is null if the service's default holds."""

    __tablename__ = "tenant"

    id: str = Field(primary_key=True)
    name: str
    region: str
    internal_domains: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    redirect_origins: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    join_lead_seconds: int | None = None
    revoked_grace_hours: int = 24
    bot_display_name: str = "Notetaker"
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class ApiKey(SQLModel, table=True):
    """``secret_hash`` is SHA-256 of the whole key: 256 random bits need no slow hash."""

    __tablename__ = "api_key"

    public_id: str = Field(primary_key=True)
    tenant_id: str = Field(index=True)
    mode: str
    scopes: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    revoked_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class CalendarUser(SQLModel, table=True):
    """One connected calendar account.

    The refresh token is held only sealed: ``wrapped_key`` (by the tenant's transit key) opens ``refresh_ciphertext``.
    ``token_version`` grows with each stored refresh token. ``decided_policy`` is the digest of what the stored
    decisions were made with; a different one means that they must be made again.
    """

    __tablename__ = "calendar_user"
    __table_args__ = (
        Index("uq_calendar_user_identity", "tenant_id", "provider", "subject", "customer_user_id", unique=True),
        Index("ix_calendar_user_subject", "subject"),
        CheckConstraint("state in ('connecting','active','needs_reconnect','disconnecting')", name="state"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    provider: str
    subject: str
    customer_user_id: str
    email: str
    state: str
    state_changed_at: datetime = Field(sa_column=columns.instant())
    error_code: str | None = None
    attributes: JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    scopes: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    kek_version: int
    wrapped_key: str = Field(sa_column=Column(Text, nullable=False))
    refresh_ciphertext: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    token_version: int = 1
    decided_policy: str | None = None
    last_synced_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    sequence: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class ConnectAttempt(SQLModel, table=True):
    """One run through the consent screens; its ticket, state and cookie are kept as SHA-256."""

    __tablename__ = "connect_attempt"
    __table_args__ = (Index("uq_connect_attempt_state", "tenant_id", "state_hash", unique=True),)

    tenant_id: str = Field(primary_key=True)
    ticket_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    state_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    browser_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    nonce: str | None = None
    provider: str
    customer_user_id: str
    redirect_url: str | None = None
    login_hint: str | None = None
    attributes: JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    rules: JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    reconnect_calendar_user_id: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    expires_at: datetime = Field(sa_column=columns.instant())
    used_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class CalendarEvent(SQLModel, table=True):
    """One occurrence with its decision; ``fingerprint`` is the digest of the provider's JSON."""

    __tablename__ = "calendar_event"
    __table_args__ = (
        Index("ix_calendar_event_user_start", "tenant_id", "calendar_user_id", "start_at"),
        Index("ix_calendar_event_user_end", "tenant_id", "calendar_user_id", "end_at"),
        Index("ix_calendar_event_user_change", "tenant_id", "calendar_user_id", "change_xid"),
        Index("ix_calendar_event_meeting", "tenant_id", "meeting_key"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    calendar_user_id: str
    calendar_id: str
    provider_event_id: str
    ical_uid: str | None = None
    original_start: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    meeting_key: str
    series_key: str
    title: str
    start_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    end_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    all_day: bool
    status: str
    organizer: JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    attendees: list[JsonObject] = Field(default_factory=list, sa_column=columns.json("[]"))
    attendees_complete: bool = True
    is_organizer: bool
    is_meeting: bool = True
    owner_response: str | None = None
    recurring: bool
    visibility: str
    meeting_url: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    meeting_platform: str
    meeting_id: str | None = None
    passcode: str | None = None
    meeting_url_source: str | None = None
    provider_updated: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    outcome: str
    reason: str
    rule: str | None = None
    rule_set_version: str | None = None
    rule_layer: str | None = None
    facts: JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    decided_at: datetime = Field(sa_column=columns.instant())
    override: str | None = None
    deleted: bool = False
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())
    change_xid: int | None = Field(default=None, sa_column=columns.change_xid())


class RuleSet(SQLModel, table=True):
    """One immutable version of a rule set; ``owner`` is a calendar user's id or ``tenant``."""

    __tablename__ = "rule_set"

    tenant_id: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    layer: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    active: bool
    body: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    created_by: str
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class RecordingOverride(SQLModel, table=True):
    """What a person said about one occurrence or a series.

    ``key`` is the meeting key of an occurrence, or the series key.
    """

    __tablename__ = "recording_override"
    __table_args__ = (CheckConstraint("recording in ('record','skip')", name="recording"),)

    tenant_id: str = Field(primary_key=True)
    calendar_user_id: str = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    recording: str
    set_by: str
    set_at: datetime | None = Field(default=None, sa_column=columns.now())


class Meeting(SQLModel, table=True):
    """The one row on which everything about a meeting's bots is serialised.

    ``suppressed_at`` is set while the meeting gets no bot because a person cancelled one. ``generation`` counts the
    dispatches ever intended, over all bots of the meeting.
    """

    __tablename__ = "meeting"

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    generation: int = 0
    suppressed_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    suppressed_by: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class BotClaim(SQLModel, table=True):
    """A calendar user's wish that a meeting be recorded.

    ``acknowledged_digest`` is the target that its bot was last reconciled with. From ``doubted_at`` the claim does not
    count until its calendar is read again: another claimant's copy says otherwise.
    """

    __tablename__ = "bot_claim"
    __table_args__ = (Index("ix_bot_claim_user", "tenant_id", "calendar_user_id"),)

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    calendar_user_id: str = Field(primary_key=True)
    event_id: str
    target_digest: str
    acknowledged_digest: str | None = None
    doubted_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class Bot(SQLModel, table=True):
    """One recording bot; the partial unique index makes two live ones of a meeting impossible."""

    __tablename__ = "bot"
    __table_args__ = (
        Index(
            "uq_bot_live_meeting",
            "tenant_id",
            "meeting_key",
            unique=True,
            postgresql_where=text(_IS_LIVE_BOT),
        ),
        Index("ix_bot_live_dispatch_at", "dispatch_at", postgresql_where=text(_IS_LIVE_BOT)),
        Index("ix_bot_meeting", "tenant_id", "meeting_key", "created_at"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    meeting_key: str
    generation: int
    state: BotState = Field(sa_column=columns.state_of(BotState))
    join_at: datetime = Field(sa_column=columns.instant())
    end_at: datetime = Field(sa_column=columns.instant())
    dispatch_at: datetime = Field(sa_column=columns.instant())
    dispatched_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    meeting_url: str = Field(sa_column=Column(Text, nullable=False))
    target_digest: str
    event_id: str
    backend: str
    backend_bot_id: str | None = None
    outcome: str | None = None
    failure_code: str | None = None
    recorded_seconds: int | None = None
    sequence: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class Dispatch(SQLModel, table=True):
    """The intent to ask the backend for a bot, written before it is asked.

    There is at most one for a meeting and generation. ``recalled_at`` is when the backend was (or was about to be) told to
    take the bot back.
    """

    __tablename__ = "dispatch"
    __table_args__ = (CheckConstraint(columns.one_of("state", DispatchState), name="state"),)

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    bot_id: str = Field(index=True)
    external_id: str = Field(unique=True)
    state: DispatchState = Field(sa_column=columns.state_of(DispatchState))
    backend_bot_id: str | None = None
    requested_at: datetime | None = Field(default=None, sa_column=columns.now())
    accepted_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    recalled_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class BackendReport(SQLModel, table=True):
    """A status report taken from a bot backend, so that a repeated delivery changes nothing."""

    __tablename__ = "backend_report"

    tenant_id: str = Field(primary_key=True)
    backend: str = Field(primary_key=True)
    delivery_id: str = Field(primary_key=True)
    received_at: datetime | None = Field(default=None, sa_column=columns.now())


class WebhookEndpoint(SQLModel, table=True):
    """An address at which a tenant receives webhooks.

    ``secrets`` are sealed; the newest is first, older ones carry an expiry.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (CheckConstraint("state in ('enabled','disabled')", name="state"),)

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    url: str = Field(sa_column=Column(Text, nullable=False))
    event_types: list[str] = Field(default_factory=list, sa_column=columns.json('["*"]'))
    state: str = "enabled"
    disabled_reason: str | None = None
    failing_since: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    secrets: list[JsonObject] = Field(default_factory=list, sa_column=columns.json("[]"))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class WebhookDelivery(SQLModel, table=True):
    """One message for one endpoint: the transactional outbox.

    It is written in the transaction of what it tells about.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_unrelayed", "created_at", postgresql_where=text("relayed_at is null")),
        Index("ix_webhook_delivery_endpoint", "tenant_id", "endpoint_id", "created_at"),
        CheckConstraint("state in ('pending','delivered','dead')", name="state"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    endpoint_id: str
    event_type: str
    data: JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    state: str = "pending"
    attempts: int = 0
    replays: int = 0
    last_attempt_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    last_status: int | None = None
    last_error: str | None = None
    emitted_at: datetime | None = Field(default=None, sa_column=columns.now())
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    relayed_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class IdempotencyRecord(SQLModel, table=True):
    """The answer to a POST with an Idempotency-Key; ``status`` is null while it is in flight."""

    __tablename__ = "idempotency_record"

    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int | None = None
    body: JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class RateBucket(SQLModel, table=True):
    """A token bucket per API key. Unlogged: it may be lost in a crash."""

    __tablename__ = "rate_bucket"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    tokens: float
    refilled_at: datetime = Field(sa_column=columns.instant())
