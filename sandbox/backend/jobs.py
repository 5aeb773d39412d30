"""How a bot job gets on. Pure: given the time, which steps it has made."""

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
    """The next step, whether due or not."""
    return [] if job.status in TERMINAL else [_step(job, _NEXT[job.status], now)]


def cancel(job: Job, now: datetime) -> list[JobStep]:
    """Told to go: not in the meeting yet, it is cancelled; inside, it finalizes what it has."""
    if job.status in (JobStatus.QUEUED, JobStatus.JOINING):
        return [_step(job, JobStatus.CANCELLED, now)]
    if job.status in (JobStatus.IN_CALL, JobStatus.RECORDING):
        return [_step(job, JobStatus.FINALIZING, now)]
    return []


def fail(job: Job, now: datetime, code: FailureCode) -> list[JobStep]:
    if job.status in TERMINAL:
        return []
    step = _step(job, JobStatus.FAILED, now)
    job.failure_code = code
    return [step]


def job_document(job: Job) -> dict[str, Any]:
    """A job as the backend's API and its webhooks show it."""
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
