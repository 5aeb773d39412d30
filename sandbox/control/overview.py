"""Everything that the sandbox's page shows, in one answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from sandbox.backend.api import advance_jobs
from sandbox.backend.records import Delivery, Job
from sandbox.control.responses import account_document, agenda, job_document_with_steps
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control/overview", tags=["Control: the sandbox"])

_SHOWN_JOBS, _SHOWN_DELIVERIES = 50, 30


@router.get("")
async def overview(sandbox: CurrentSandbox) -> dict[str, Any]:
    """Return clock, people with their meetings, bot jobs and reports; the newest jobs first."""
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
        "jobs": [job_document_with_steps(job) | {"title": _title(sandbox, job)} for job in reversed(recent)],
        "deliveries": [_delivery_line(each) for each in reversed(sandbox.state.deliveries[-_SHOWN_DELIVERIES:])],
    }


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
    """The title of the meeting that has the job's link."""
    return next((m.title for m in sandbox.state.meetings.values() if m.meeting_url == job.meeting_url), None)
