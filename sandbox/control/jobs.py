"""The bot backend from behind: jobs, their reports, and the overview the page shows."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import APIRouter, Request
from pydantic import BaseModel

from sandbox.backend import jobs
from sandbox.backend.api import advance_jobs
from sandbox.backend.background import run_background_round
from sandbox.backend.records import Delivery, FailureCode, Job
from sandbox.backend.webhooks import announce
from sandbox.calendar.errors import NotFoundError
from sandbox.control.responses import account_document, agenda
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control", tags=["Control: bot backend"])

_SHOWN_JOBS, _SHOWN_DELIVERIES = 50, 30


class Failure(BaseModel, extra="forbid"):
    failure_code: FailureCode = FailureCode.INTERNAL_ERROR


@router.get("/backend/jobs")
async def list_jobs(sandbox: CurrentSandbox) -> list[dict[str, Any]]:
    advance_jobs(sandbox, sandbox.now())
    return [_job_document(job) for job in sandbox.state.jobs.values()]


@router.post("/backend/jobs/{job_id}/advance")
async def advance_job(job_id: str, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Take the next step now."""
    job = _job(sandbox, job_id)
    announce(sandbox.state, job, jobs.advance(job, sandbox.now()))
    sandbox.wake.set()
    return _job_document(job)


@router.post("/backend/jobs/{job_id}/fail")
async def fail_job(job_id: str, body: Failure, sandbox: CurrentSandbox) -> dict[str, Any]:
    job = _job(sandbox, job_id)
    announce(sandbox.state, job, jobs.fail(job, sandbox.now(), body.failure_code))
    sandbox.wake.set()
    return _job_document(job)


@router.get("/backend/deliveries")
async def list_deliveries(sandbox: CurrentSandbox) -> list[Delivery]:
    """Reports made and waiting, the oldest first."""
    return sandbox.state.deliveries


@router.post("/backend/settle", status_code=204)
async def settle(sandbox: CurrentSandbox, http: Request) -> None:
    """Answers once every step that is due was made and every report that is due was sent once."""
    client = http.app.state.http
    assert isinstance(client, httpx.AsyncClient)  # noqa: S101 - create_app has put it there
    await run_background_round(sandbox, client)


@router.get("/overview")
async def overview(sandbox: CurrentSandbox) -> dict[str, Any]:
    """All that the page shows."""
    now = sandbox.now()
    advance_jobs(sandbox, now)
    people = [
        account_document(sandbox.state, account) | {"events": agenda(sandbox.state, account, now)}
        for account in sandbox.state.accounts.values()
    ]
    recent = list(sandbox.state.jobs.values())[-_SHOWN_JOBS:]
    return {
        "clock": {
            "now": now,
            "frozen": sandbox.state.clock.frozen_at is not None,
            "offset_seconds": sandbox.state.clock.offset_seconds,
        },
        "accounts": people,
        "jobs": [_job_document(job) | {"title": _title(sandbox, job)} for job in reversed(recent)],
        "deliveries": [_delivery_line(each) for each in reversed(sandbox.state.deliveries[-_SHOWN_DELIVERIES:])],
    }


def _job_document(job: Job) -> dict[str, Any]:
    return jobs.job_document(job) | {"steps": [step.model_dump(mode="json") for step in job.steps]}


def _delivery_line(delivery: Delivery) -> dict[str, Any]:
    last = delivery.attempts[-1] if delivery.attempts else None
    return {
        "id": delivery.id,
        "event": delivery.event,
        "job": delivery.job,
        "status": delivery.data.get("status"),
        "state": delivery.state.value,
        "attempts": len(delivery.attempts),
        "answer": (last.status or last.error) if last else None,
        "emitted_at": delivery.emitted_at,
    }


def _title(sandbox: Sandbox, job: Job) -> str | None:
    """The meeting a job records, found by its link."""
    return next((m.title for m in sandbox.state.meetings.values() if m.meeting_url == job.meeting_url), None)


def _job(sandbox: Sandbox, job_id: str) -> Job:
    if job_id not in sandbox.state.jobs:
        raise NotFoundError("no such job")
    return sandbox.state.jobs[job_id]
