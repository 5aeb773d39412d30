"""Bot jobs and the reports about them, as the sandbox keeps them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field


class JobStatus(StrEnum):
    """The state of a job; the values are those of meetbot's API."""

    QUEUED = "queued"
    JOINING = "joining"
    IN_CALL = "in_call"
    RECORDING = "recording"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureCode(StrEnum):
    """Why a job failed; the values are those of meetbot's API."""

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


class JobStep(BaseModel, extra="forbid"):
    """When a job reached a status."""

    status: JobStatus
    at: datetime


class Job(BaseModel, extra="forbid"):
    """A recording job. ``steps`` begins with `queued`; the last one is its present status."""

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
        """Return the present status."""
        return self.steps[-1].status


class DeliveryState(StrEnum):
    """Whether a report still waits, was accepted, or was given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryAttempt(BaseModel, extra="forbid"):
    """One attempt to send a report. ``status`` None: no HTTP answer came."""

    at: datetime
    status: int | None
    error: str | None = None


class Delivery(BaseModel, extra="forbid"):
    """One report to one address.

    ``due_at`` is real time: retries do not wait for the sandbox's clock.
    """

    id: str
    job: str
    url: str
    event: str
    emitted_at: datetime
    data: dict[str, object]
    state: DeliveryState = DeliveryState.PENDING
    due_at: datetime
    attempts: list[DeliveryAttempt] = []


class JobPace(BaseModel, extra="forbid"):
    """How long a job stays in each state, in seconds of the sandbox's clock."""

    joining: float = Field(default=3, ge=0, le=86_400)
    in_call: float = Field(default=3, ge=0, le=86_400)
    recording: float = Field(default=12, ge=0, le=86_400)
    finalizing: float = Field(default=3, ge=0, le=86_400)
