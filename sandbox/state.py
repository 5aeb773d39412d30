"""Everything the sandbox remembers, as one tree that can be written to a file and read back.

A meeting exists once, with its series rule, deviations and guests. Each calendar it stands on holds a copy, which
is little more than an id: so an edit by the organiser is seen on every calendar, across providers, under one UID.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from sandbox.clock import ClockState


class Provider(StrEnum):
    GOOGLE = "google"
    MICROSOFT = "microsoft"


class ResponseStatus(StrEnum):
    """Google's words; Graph's are derived."""

    NEEDS_ACTION = "needsAction"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"


class LinkPosition(StrEnum):
    """Where the join link stands. AUTO: where the real providers would put it."""

    AUTO = "auto"
    CONFERENCE = "conference"
    LOCATION = "location"
    DESCRIPTION = "description"


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Calendar(Record):
    """``id`` is Google's (an address); Microsoft's is derived from it. ``access_role`` in Google's words."""

    id: str
    name: str
    time_zone: str = "UTC"
    primary: bool = False
    access_role: str = "owner"
    sync_epoch: int = 0


class Account(Record):
    """A person. ``subject`` is Google's `sub`, or Microsoft's `oid`; ``directory`` Microsoft's `tid`."""

    email: str
    name: str
    provider: Provider
    subject: str
    directory: str = ""
    calendars: list[Calendar]


class Guest(Record):
    email: str
    name: str | None = None
    answer: ResponseStatus = ResponseStatus.NEEDS_ACTION
    resource: bool = False
    optional: bool = False


class Deviation(Record):
    """How one occurrence of a series differs from it. None: as the series. ``guests`` replaces the whole list."""

    original_start: datetime
    cancelled: bool = False
    start: datetime | None = None
    end: datetime | None = None
    title: str | None = None
    description: str | None = None
    location: str | None = None
    meeting_url: str | None = None
    guests: list[Guest] | None = None
    change: int = 0
    updated: datetime = datetime(2000, 1, 1, tzinfo=UTC)


class Meeting(Record):
    """``start`` and ``end`` are instants; ``time_zone`` says in which zone an all-day date or a series is counted.
    ``change`` is the sandbox-wide change number of the last edit of the series as a whole."""

    key: str
    uid: str
    origin: Provider
    organizer_email: str
    organizer_name: str
    title: str
    description: str = ""
    location: str = ""
    start: datetime
    end: datetime
    all_day: bool = False
    time_zone: str = "UTC"
    recurrence: list[str] = []
    guests: list[Guest] = []
    meeting_url: str | None = None
    link_place: LinkPosition = LinkPosition.AUTO
    link_pending: bool = False
    visibility: str = "default"
    free: bool = False
    event_type: str = "default"
    tentative: bool = False
    draft: bool = False
    guests_hidden: bool = False
    cancelled: bool = False
    sequence: int = 0
    created: datetime
    updated: datetime
    change: int = 0
    deviations: dict[str, Deviation] = {}


class Copy(Record):
    """A meeting on one calendar. ``owned``: it stays there whoever is invited. ``removed``: its owner took it off or
    moved it elsewhere; ``uninvited``: the organiser took the owner off the list. ``occurrences``: not None for somebody
    invited to single occurrences, whose original starts these are."""

    key: str
    meeting: str
    account: str
    calendar: str
    google_id: str
    graph_key: str
    owned: bool = False
    removed: bool = False
    uninvited: bool = False
    occurrences: list[datetime] | None = None
    change: int = 0


class Grant(Record):
    """One user's consent to one client. It goes as a whole."""

    id: str
    account: str
    client_id: str
    scopes: list[str]


class Code(Record):
    grant: str
    client_id: str
    redirect_uri: str
    scopes: list[str]
    challenge: str | None
    nonce: str | None
    offline: bool
    expires_at: datetime
    used: bool = False


class AccessToken(Record):
    grant: str
    scopes: list[str]
    expires_at: datetime


class RefreshToken(Record):
    grant: str
    scopes: list[str]
    issued_at: datetime


class JobStatus(StrEnum):
    QUEUED = "queued"
    JOINING = "joining"
    IN_CALL = "in_call"
    RECORDING = "recording"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureCode(StrEnum):
    WAITING_FOR_HOST = "waiting_for_host"
    MEETING_NOT_FOUND = "meeting_not_found"
    HOST_DENIED_ADMISSION = "host_denied_admission"
    REMOVED_FROM_MEETING = "removed_from_meeting"
    MEETING_ENDED = "meeting_ended"
    INTERNAL_ERROR = "internal_error"
    DISPATCH_TIMEOUT = "dispatch_timeout"
    NETWORK_LOSS = "network_loss"
    RECORDING_DISABLED = "recording_disabled"
    LOBBY_TIMEOUT = "lobby_timeout"
    AUTH_FAILURE = "auth_failure"
    QUOTA_EXCEEDED = "quota_exceeded"


class JobStep(Record):
    status: JobStatus
    at: datetime


class Job(Record):
    id: str
    external_id: str
    meeting_url: str
    join_at: datetime
    display_name: str
    on_status_change: str | None
    on_finalize: str | None
    metadata: dict[str, object]
    auto_leave: dict[str, object] | None
    steps: list[JobStep]
    failure_code: FailureCode | None = None
    recorded_seconds: int = 0

    @property
    def status(self) -> JobStatus:
        return self.steps[-1].status


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryAttempt(Record):
    """``status`` None: no HTTP answer came."""

    at: datetime
    status: int | None
    error: str | None = None


class Delivery(Record):
    """One webhook to one address. ``due_at`` is real time: retries do not wait for the sandbox clock."""

    id: str
    job: str
    url: str
    event: str
    emitted_at: datetime
    data: dict[str, object]
    state: DeliveryState = DeliveryState.PENDING
    due_at: datetime
    attempts: list[DeliveryAttempt] = []


class JobPace(Record):
    """Seconds a job spends in each state, on the sandbox clock."""

    joining: float = Field(default=3, ge=0, le=86_400)
    in_call: float = Field(default=3, ge=0, le=86_400)
    recording: float = Field(default=12, ge=0, le=86_400)
    finalizing: float = Field(default=3, ge=0, le=86_400)


class ConsentMode(StrEnum):
    ASK = "ask"
    AUTO = "auto"


class ConsentSettings(Record):
    """How consent is given. ``auto`` answers without a page: for `login_hint`'s account, else for ``account``.
    ``withhold`` names scopes the user unticks; ``error`` makes the answer an error instead."""

    mode: ConsentMode = ConsentMode.ASK
    account: str | None = None
    withhold: list[str] = []
    error: str | None = None
    error_description: str | None = None


class GraphUid(StrEnum):
    """What Graph's iCalUId of an occurrence is. Evidence contradicts itself, so all three can be had."""

    PER_OCCURRENCE = "per_occurrence"
    PER_SERIES = "per_series"
    NULL = "null"


class Behaviour(Record):
    """``attendee_notice``: a meeting cancelled by its organiser stays on an Outlook guest's calendar, marked."""

    graph_ical_uid: GraphUid = GraphUid.PER_OCCURRENCE
    graph_scope_urls: bool = False
    attendee_notice: bool = True


class State(Record):
    version: int = 1
    change: int = 0
    clock: ClockState = ClockState()
    consent: ConsentSettings = ConsentSettings()
    behaviour: Behaviour = Behaviour()
    pace: JobPace = JobPace()
    accounts: dict[str, Account] = {}
    meetings: dict[str, Meeting] = {}
    copies: dict[str, Copy] = {}
    grants: dict[str, Grant] = {}
    codes: dict[str, Code] = {}
    access_tokens: dict[str, AccessToken] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    jobs: dict[str, Job] = {}
    deliveries: list[Delivery] = []
