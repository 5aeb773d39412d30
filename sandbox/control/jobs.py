"""Bot jobs and the reports about them, seen and moved from inside the bot backend."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import APIRouter, Request
from pydantic import BaseModel

from sandbox.backend import jobs
from sandbox.backend.api import advance_jobs
from sandbox.backend.background import run_background_round
from sandbox.backend.records import Delivery, FailureCode, Job
from sandbox.backend.webhooks import queue_reports
from sandbox.calendar.errors import NotFoundError
from sandbox.control.responses import job_document_with_steps
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control/backend", tags=["Control: bot backend"])


class Failure(BaseModel, extra="forbid"):
    """Why a job is to fail."""

    failure_code: FailureCode = FailureCode.INTERNAL_ERROR


@router.get("/jobs")
async def list_jobs(sandbox: CurrentSandbox) -> list[dict[str, Any]]:
    """List all jobs with their steps, the oldest first."""
    advance_jobs(sandbox, sandbox.now())
    return [job_document_with_steps(job) for job in sandbox.state.jobs.values()]


@router.post("/jobs/{job_id}/advance")
async def advance_job(job_id: str, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Make a job's next step now, without waiting for its time."""
    job = _find_job(sandbox, job_id)
    queue_reports(sandbox.state, job, jobs.make_next_step(job, sandbox.now()))
    sandbox.reports_due.set()
    return job_document_with_steps(job)


@router.post("/jobs/{job_id}/fail")
async def fail_job(job_id: str, body: Failure, sandbox: CurrentSandbox) -> dict[str, Any]:
    """Let a job fail now; one that has ended stays as it is."""
    job = _find_job(sandbox, job_id)
    queue_reports(sandbox.state, job, jobs.fail(job, sandbox.now(), body.failure_code))
    sandbox.reports_due.set()
    return job_document_with_steps(job)


@router.get("/deliveries")
async def list_deliveries(sandbox: CurrentSandbox) -> list[Delivery]:
    """List reports, sent and waiting, the oldest first."""
    return sandbox.state.deliveries


@router.post("/settle", status_code=204)
async def settle(sandbox: CurrentSandbox, http: Request) -> None:
    """Make every step that is due, send every report that is due once, and then answer."""
    client = http.app.state.http
    assert isinstance(client, httpx.AsyncClient)  # noqa: S101 - create_app has put it there
    await run_background_round(sandbox, client)


def _find_job(sandbox: Sandbox, job_id: str) -> Job:
    if job_id not in sandbox.state.jobs:
        raise NotFoundError("no such job")
    return sandbox.state.jobs[job_id]
