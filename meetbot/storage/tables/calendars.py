"""The tables of connected calendars: accounts, events, rules and overrides."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import deferred
from sqlmodel import Field, SQLModel

from meetbot.domain.account_calendar import AccessRole, CalendarsMode
from meetbot.storage import columns

_WRAPPED_KEY = Column("wrapped_key", Text, nullable=False)
_REFRESH_CIPHERTEXT = Column("refresh_ciphertext", LargeBinary, nullable=False)
_CODE_WRAPPED_KEY = Column("wrapped_key", Text, nullable=True)
_CODE_CIPHERTEXT = Column("code_ciphertext", LargeBinary, nullable=True)


class CalendarUser(SQLModel, table=True):
    """One connected calendar account.

    The refresh token is held only sealed: ``wrapped_key`` (by the tenant's transit key) opens ``refresh_ciphertext``.
    Neither is loaded with a row, since the api may not read them; it knows a stored token by ``token_digest``.
    ``token_version`` grows with each consent and each stored refresh token; ``sealed_version`` is the one that the stored
    token was sealed with. ``oauth_client_id`` is the tenant's own client that the consent of ``consented_at`` was given to,
    null for ours. ``decided_policy`` is the digest of what the stored decisions were made with; a different one means that
    they must be made again. ``email_aliases`` are the account's other addresses. The provider is not asked before
    ``not_before``, unless a person asked for it since (``asked_at``). ``calendars_mode`` is null if the tenant's default
    holds. At ``checked_at`` somebody last had the provider and the backend asked, with these codes for their answers.
    ``refresh_holder`` alone refreshes the token until ``refresh_held_until``, by the database's clock.
    ``reconnect_notices`` counts how often the tenant was told of the present loss of access. ``quiet_runs`` are the syncs
    of the present hour that found nothing new, from ``quiet_from`` to ``quiet_to``, of which the slowest took
    ``quiet_milliseconds``.
    """

    __tablename__ = "calendar_user"
    __table_args__ = (
        Index("uq_calendar_user_identity", "tenant_id", "provider", "subject", "customer_user_id", unique=True),
        Index("ix_calendar_user_subject", "subject"),
        Index(
            "ix_calendar_user_oauth_client",
            "tenant_id",
            "provider",
            "oauth_client_id",
            postgresql_where=text("oauth_client_id is not null"),
        ),
        CheckConstraint("state in ('connecting','active','needs_reconnect','disconnecting')", name="state"),
        CheckConstraint(columns.one_of("calendars_mode", CalendarsMode), name="calendars_mode"),
    )
    __mapper_args__ = {
        # An update makes a new digest, and answers with it.
        "eager_defaults": True,
        "properties": {"wrapped_key": deferred(_WRAPPED_KEY), "refresh_ciphertext": deferred(_REFRESH_CIPHERTEXT)},
    }

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    provider: str
    subject: str
    customer_user_id: str
    email: str
    email_aliases: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    state: str
    state_changed_at: datetime = Field(sa_column=columns.instant())
    error_code: str | None = None
    attributes: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    scopes: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    kek_version: int
    wrapped_key: str = Field(sa_column=_WRAPPED_KEY)
    refresh_ciphertext: bytes = Field(sa_column=_REFRESH_CIPHERTEXT)
    token_digest: bytes = Field(
        default=None,
        sa_column=Column(LargeBinary, Computed("sha256(refresh_ciphertext)", persisted=True), nullable=False),
    )
    token_version: int = 1
    sealed_version: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default=text("1")))
    oauth_client_id: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    consented_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    decided_policy: str | None = None
    last_synced_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    not_before: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    asked_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    limit_told_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    calendars_mode: CalendarsMode | None = Field(default=None, sa_column=columns.state_of(CalendarsMode, nullable=True))
    checked_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    provider_check: str | None = None
    backend_check: str | None = None
    refresh_holder: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    refresh_held_until: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    reconnect_notices: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    quiet_from: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    quiet_to: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    quiet_runs: int = columns.counted(0)
    quiet_milliseconds: int = columns.counted(0)
    sequence: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class SyncRun(SQLModel, table=True):
    """A sync that found something or failed, or the syncs of an hour that came to the same.

    ``at`` is when the first began, ``slot`` that or the hour that they share. ``result`` is ``unchanged``, ``changed`` or a
    code. ``milliseconds`` is what the slowest took.
    """

    __tablename__ = "sync_run"

    tenant_id: str = Field(primary_key=True)
    calendar_user_id: str = Field(primary_key=True)
    slot: datetime = Field(sa_column=Column(columns.TIMESTAMPTZ, primary_key=True))
    result: str = Field(primary_key=True)
    trigger: str
    at: datetime = Field(sa_column=columns.instant())
    last_at: datetime = Field(sa_column=columns.instant())
    runs: int
    milliseconds: int
    seen: int | None = None
    changed: int
    removed: int


class StoredCalendar(SQLModel, table=True):
    """One calendar of an account, as its list showed it last.

    ``named``: somebody chose it for the mode ``selected``. ``is_read``: the last sync read all of it, and ``last_synced_at`` is
    when that began or ended to be so; while it is so, the calendar user's own is later. ``refused_since`` is when the provider
    first refused its events, ``gone_at`` when the provider said to have it no more.
    """

    __tablename__ = "account_calendar"
    __table_args__ = (CheckConstraint(columns.one_of("access_role", AccessRole), name="access_role"),)

    tenant_id: str = Field(primary_key=True)
    calendar_user_id: str = Field(primary_key=True)
    calendar_id: str = Field(primary_key=True)
    name: str | None = None
    owned: bool
    access_role: AccessRole = Field(sa_column=columns.state_of(AccessRole))
    hidden: bool = False
    named: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    is_read: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    last_synced_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    error_code: str | None = None
    refused_since: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    gone_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class ConnectAttempt(SQLModel, table=True):
    """One run through the consent screens; its ticket, state and cookie are kept as SHA-256.

    If it goes through a tenant's own client (``oauth_client_id``), the worker exchanges the code: that is then kept sealed with
    its PKCE verifier under ``exchange_id``, until ``outcome`` says how it ended.

    One with an ``admin_consent_id`` connects nobody: an administrator approves a directory by it, first on the provider's page
    for that, then by signing in to the ``directory`` that the page named. ``waiting_user_id`` is who goes on by it.
    """

    __tablename__ = "connect_attempt"
    __table_args__ = (
        Index("uq_connect_attempt_state", "tenant_id", "state_hash", unique=True),
        Index("uq_connect_attempt_exchange", "tenant_id", "exchange_id", unique=True),
    )
    __mapper_args__ = {
        "properties": {"wrapped_key": deferred(_CODE_WRAPPED_KEY), "code_ciphertext": deferred(_CODE_CIPHERTEXT)}
    }

    tenant_id: str = Field(primary_key=True)
    ticket_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    state_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    browser_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    nonce: str | None = None
    provider: str
    customer_user_id: str
    redirect_url: str | None = None
    login_hint: str | None = None
    attributes: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    rules: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    reconnect_calendar_user_id: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    expires_at: datetime = Field(sa_column=columns.instant())
    used_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    oauth_client_id: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    exchange_id: str | None = None
    kek_version: int | None = None
    wrapped_key: str | None = Field(default=None, sa_column=_CODE_WRAPPED_KEY)
    code_ciphertext: bytes | None = Field(default=None, sa_column=_CODE_CIPHERTEXT)
    outcome: str | None = None
    connected_user_id: str | None = None
    admin_consent_id: str | None = None
    directory: str | None = None
    waiting_user_id: str | None = None


class CalendarEvent(SQLModel, table=True):
    """One occurrence with its decision; ``fingerprint`` is the digest of the provider's JSON.

    ``shared_key`` follows from UID and original start; ``meeting_key`` is that, or one of its own for a copy that disagrees
    with the leading one.
    """

    __tablename__ = "calendar_event"
    __table_args__ = (
        Index("ix_calendar_event_user_start", "tenant_id", "calendar_user_id", "start_at"),
        Index("ix_calendar_event_start", "tenant_id", "start_at", "id"),
        Index("ix_calendar_event_user_end", "tenant_id", "calendar_user_id", "end_at"),
        Index("ix_calendar_event_user_change", "tenant_id", "calendar_user_id", "change_xid"),
        Index("ix_calendar_event_meeting", "tenant_id", "meeting_key"),
        Index("ix_calendar_event_shared", "tenant_id", "shared_key"),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    calendar_user_id: str
    calendar_id: str
    provider_event_id: str
    ical_uid: str | None = None
    original_start: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    shared_key: str
    meeting_key: str
    series_key: str
    title: str
    start_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    end_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    all_day: bool
    status: str
    organizer: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    attendees: list[columns.JsonObject] = Field(default_factory=list, sa_column=columns.json("[]"))
    attendees_complete: bool = True
    is_organizer: bool
    is_meeting: bool = True
    owner_response: str | None = None
    recurring: bool
    visibility: str
    meeting_url: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    meeting_platform: str
    meeting_id: str | None = None
    meeting_url_source: str | None = None
    provider_updated: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    outcome: str
    reason: str
    rule: str | None = None
    rule_set_version: str | None = None
    rule_layer: str | None = None
    facts: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    decided_at: datetime = Field(sa_column=columns.instant())
    override: str | None = None
    deleted: bool = False
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())
    change_xid: int | None = Field(default=None, sa_column=columns.change_xid())


class EventHistory(SQLModel, table=True):
    """One change of an event, never changed again.

    ``changes`` are the kinds that it is of. ``before`` and ``after`` hold codes, instants, counts and rules, no title,
    address or link. ``step`` orders the changes of one instant.
    """

    __tablename__ = "event_history"
    __table_args__ = (Index("ix_event_history_user", "tenant_id", "calendar_user_id", "at"),)

    tenant_id: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(columns.TIMESTAMPTZ, primary_key=True))
    step: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    calendar_user_id: str
    source: str
    changes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    before: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    after: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))


class RuleSet(SQLModel, table=True):
    """One immutable version of a rule set; ``owner`` is a calendar user's id or ``tenant``.

    It was in force from ``created_at`` until ``withdrawn_at``.
    """

    __tablename__ = "rule_set"

    tenant_id: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    layer: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    active: bool
    withdrawn_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    body: columns.JsonObject = Field(sa_column=Column(JSONB, nullable=False))
    created_by: str
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class RecordingOverride(SQLModel, table=True):
    """What a person said about one occurrence or a series.

    ``key`` is the shared key of an occurrence, or the series key.
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
