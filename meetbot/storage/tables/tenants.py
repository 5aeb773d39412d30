"""The tables of a tenant itself: its keys, its requests, its limits."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Column, LargeBinary, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from meetbot.domain.account_calendar import TENANT_MODES, CalendarsMode
from meetbot.storage import columns


class Tenant(SQLModel, table=True):
    """A customer of ours. ``join_lead_seconds`` is null if the service's default holds.

    One of another region is only a pointer: without a name, with ``home_url``, where it lives. A tenant of mode ``test`` is for
    trying out: test keys work for no other.
    """

    __tablename__ = "tenant"
    __table_args__ = (CheckConstraint(columns.one_of("calendars_mode", TENANT_MODES), name="calendars_mode"),)

    id: str = Field(primary_key=True)
    name: str
    region: str
    home_url: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    mode: str = Field(default="live", sa_column=Column(String, nullable=False, server_default=text("'live'")))
    internal_domains: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    redirect_origins: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    never_record: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))
    join_lead_seconds: int | None = None
    revoked_grace_hours: int = 24
    bot_display_name: str = "Notetaker"
    max_bots_per_day: int = columns.counted(50)
    event_days: int = columns.counted(90)
    bot_days: int = columns.counted(365)
    delivery_days: int = columns.counted(30)
    audit_days: int = columns.counted(365)
    calendars_mode: CalendarsMode = Field(
        default=CalendarsMode.OWNED, sa_column=columns.state_of(CalendarsMode, default=CalendarsMode.OWNED)
    )
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class ApiKey(SQLModel, table=True):
    """``secret_hash`` is SHA-256 of the whole key: 256 random bits need no slow hash.

    ``created_by`` is another key's id or ``operator``. ``last_used_at`` is up to five minutes old.
    """

    __tablename__ = "api_key"

    public_id: str = Field(primary_key=True)
    tenant_id: str = Field(index=True)
    mode: str
    name: str = Field(default="", sa_column=Column(String, nullable=False, server_default=text("''")))
    scopes: list[str] = Field(default_factory=list, sa_column=columns.json("[]"))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    created_by: str | None = None
    expires_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    last_used_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class ConsoleSession(SQLModel, table=True):
    """A browser that is signed in to the console with an API key.

    ``sealed_key`` is the key, sealed with a secret that only the browser has; ``secret_hash`` is that secret's digest.
    """

    __tablename__ = "console_session"

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    key_id: str
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    is_read_only: bool
    created_at: datetime = Field(sa_column=columns.instant())
    expires_at: datetime = Field(sa_column=columns.instant())


class IdempotencyRecord(SQLModel, table=True):
    """The answer to a POST with an Idempotency-Key; ``status`` is null while it is in flight."""

    __tablename__ = "idempotency_record"

    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int | None = None
    body: columns.JsonObject | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class RateBucket(SQLModel, table=True):
    """A token bucket per API key. Unlogged: it may be lost in a crash."""

    __tablename__ = "rate_bucket"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    tenant_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    tokens: float
    refilled_at: datetime = Field(sa_column=columns.instant())


class RetentionRun(SQLModel, table=True):
    """One night's deletion of what the tenant no longer wants kept; ``deleted`` counts by kind."""

    __tablename__ = "retention_run"

    tenant_id: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    started_at: datetime = Field(sa_column=columns.instant())
    finished_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    deleted: columns.JsonObject = Field(default_factory=dict, sa_column=columns.json("{}"))


class ApiRequest(SQLModel, table=True):
    """An answered request: no path, query, body or address. ``route`` is the template."""

    __tablename__ = "api_request"

    tenant_id: str = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(columns.TIMESTAMPTZ, primary_key=True))
    request_id: str = Field(primary_key=True)
    key_id: str
    method: str
    route: str
    status: int
    code: str | None = None
    milliseconds: int
