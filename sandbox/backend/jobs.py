"""The states of a bot job. Pure: given the time, which steps it has made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox.backend.records import FailureCode, Job, JobPace, JobStatus, JobStep

TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
_NEXT = {
    JobStatus.QUEUED: JobStatus.JOINING,
    JobStatus.JOINING: JobStatus.IN_CALL,
    JobStatus.IN_CALL: JobStatus.RECORDING,
    JobStatus.RECORDING: JobStatus.FINALIZING,
    JobStatus.FINALIZING: JobStatus.COMPLETED,
}


def make_due_steps(job: Job, pace: JobPace, now: datetime) -> list[JobStep]:
    """Make all steps that are due, and return them."""
    made: list[JobStep] = []
    while job.status not in TERMINAL and (due := _due(job, pace)) <= now:
        made.append(_step(job, _NEXT[job.status], due))
    return made


def make_next_step(job: Job, now: datetime) -> list[JobStep]:
    """Make the next step whether it is due or not; none if the job has ended."""
    return [] if job.status in TERMINAL else [_step(job, _NEXT[job.status], now)]


def cancel(job: Job, now: datetime) -> list[JobStep]:
    """Cancel a job, or let a bot that is in the meeting leave and finalize its recording."""
    if job.status in (JobStatus.QUEUED, JobStatus.JOINING):
        return [_step(job, JobStatus.CANCELLED, now)]
    if job.status in (JobStatus.IN_CALL, JobStatus.RECORDING):
        return [_step(job, JobStatus.FINALIZING, now)]
    return []


def fail(job: Job, now: datetime, code: FailureCode) -> list[JobStep]:
    """Let a job fail with this code; none if it has ended."""
    if job.status in TERMINAL:
        return []
    step = _step(job, JobStatus.FAILED, now)
    job.failure_code = code
    return [step]


def job_document(job: Job) -> dict[str, Any]:
    """Return a job as the backend's API and its webhooks show it."""
    return {
        "id": job.id,
        "externalId": job.external_id,
        "status": job.status.value,
        "meetingUrl": job.meeting_url,
        "joinAt": timestamp(job.join_at),
        "displayName": job.display_name,
        "metadata": job.metadata,
        "autoLeave": job.auto_leave,
        "recordedSeconds": job.recorded_seconds,
        "failure_code": job.failure_code.value if job.failure_code else None,
        "createdAt": timestamp(job.steps[0].at),
        "updatedAt": timestamp(job.steps[-1].at),
    }


def timestamp(instant: datetime) -> str:
    """Return an instant as the backend writes it: RFC 3339 in UTC, milliseconds, Z."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _due(job: Job, pace: JobPace) -> datetime:
    last = job.steps[-1]
    if job.status is JobStatus.QUEUED:
        return max(job.join_at, last.at)
    stay = {
        JobStatus.JOINING: pace.joining,
        JobStatus.IN_CALL: pace.in_call,
        JobStatus.RECORDING: pace.recording,
        JobStatus.FINALIZING: pace.finalizing,
    }
    return last.at + timedelta(seconds=stay[job.status])


def _step(job: Job, status: JobStatus, at: datetime) -> JobStep:
    if job.status is JobStatus.RECORDING:
        job.recorded_seconds += max(0, int((at - job.steps[-1].at).total_seconds()))
    step = JobStep(status=status, at=at)
    job.steps.append(step)
    return step
