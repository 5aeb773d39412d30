"""The bot backend's API as meetbot documents it: create, read and cancel a recording job."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from sandbox.backend import jobs
from sandbox.backend.records import Job, JobStatus, JobStep
from sandbox.backend.webhooks import queue_reports
from sandbox.running import CurrentSandbox, Sandbox


def _http_address(text: str) -> str:
    """The address is only checked and kept as it was sent."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(text) > 4000:
        raise ValueError("must be an http(s) address of at most 4000 characters")
    return text


HttpAddress = Annotated[str, AfterValidator(_http_address)]


class JobWebhooks(BaseModel, extra="forbid"):
    """Where reports go: every change of status, and the end."""

    onStatusChange: HttpAddress | None = None  # noqa: N815 - the names of the wire
    onFinalize: HttpAddress | None = None  # noqa: N815


class JobRequest(BaseModel, extra="forbid"):
    """What a job is created from."""

    externalId: str = Field(min_length=1, max_length=200)  # noqa: N815
    meetingUrl: HttpAddress  # noqa: N815
    joinAt: AwareDatetime  # noqa: N815
    displayName: str = Field(default="Meetbot", min_length=1, max_length=200)  # noqa: N815
    webhooks: JobWebhooks = JobWebhooks()
    metadata: dict[str, Any] = Field(default={}, max_length=50)
    autoLeave: dict[str, Any] | None = None  # noqa: N815


def _authorized(http: Request, sandbox: CurrentSandbox) -> None:
    kind, _, key = http.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secrets.compare_digest(key.encode(), sandbox.config.api_key.encode()):
        raise HTTPException(
            401, {"code": "unauthorized", "message": "Unknown API key."}, {"WWW-Authenticate": "Bearer"}
        )


router = APIRouter(prefix="/backend/api/v1/jobs", tags=["Bot backend"], dependencies=[Depends(_authorized)])


@router.post("", status_code=201)
async def create_job(body: JobRequest, sandbox: CurrentSandbox, answer: Response) -> dict[str, Any]:
    """Create a job. `externalId` is the idempotency key: a known one returns its job with 200."""
    known = _by_external_id(sandbox, body.externalId)
    if known is not None:
        answer.status_code = 200
        return jobs.job_document(known)
    now = sandbox.now()
    job = Job(
        id=f"job_{secrets.token_hex(12)}",
        external_id=body.externalId,
        meeting_url=body.meetingUrl,
        join_at=body.joinAt.astimezone(UTC),
        display_name=body.displayName,
        on_status_change=body.webhooks.onStatusChange,
        on_finalize=body.webhooks.onFinalize,
        metadata=body.metadata,
        auto_leave=body.autoLeave,
        steps=[JobStep(status=JobStatus.QUEUED, at=now)],
    )
    sandbox.state.jobs[job.id] = job
    queue_reports(sandbox.state, job, job.steps)
    queue_reports(sandbox.state, job, jobs.make_due_steps(job, sandbox.state.pace, now))
    sandbox.reports_due.set()
    return jobs.job_document(job)


@router.get("/{job_id}")
async def get_job(job_id: str, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Return one job."""
    advance_jobs(sandbox, sandbox.now())
    return jobs.job_document(_job(sandbox, job_id))


@router.delete("/{job_id}")
async def delete_job(job_id: str, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Cancel a bot that is not in the meeting yet; let one inside leave.

    Repeating the request changes nothing.
    """
    now = sandbox.now()
    advance_jobs(sandbox, now)
    job = _job(sandbox, job_id)
    queue_reports(sandbox.state, job, jobs.cancel(job, now))
    sandbox.reports_due.set()
    return jobs.job_document(job)


def advance_jobs(sandbox: Sandbox, now: datetime) -> bool:
    """Let all jobs make the steps that are due; return whether any did."""
    moved = False
    for job in sandbox.state.jobs.values():
        steps = jobs.make_due_steps(job, sandbox.state.pace, now)
        queue_reports(sandbox.state, job, steps)
        moved = moved or bool(steps)
    return moved


def _by_external_id(sandbox: Sandbox, external_id: str) -> Job | None:
    return next((job for job in sandbox.state.jobs.values() if job.external_id == external_id), None)


def _job(sandbox: Sandbox, job_id: str) -> Job:
    if job_id not in sandbox.state.jobs:
        raise HTTPException(404, {"code": "not_found", "message": "No such job."})
    return sandbox.state.jobs[job_id]
