"""Reports about jobs, sent as webhooks with meetbot's envelope and signature.

Reports of one job are sent in order. One that fails is tried again later and does not hold back the next. All are kept for
inspection, up to a limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx

from sandbox.backend.jobs import TERMINAL, job_document, timestamp
from sandbox.backend.records import Delivery, DeliveryAttempt, DeliveryState, Job, JobStatus, JobStep
from sandbox.running import Sandbox
from sandbox.state import State

_TIMEOUT = httpx.Timeout(5.0)
_KEPT = 2000


def queue_reports(state: State, job: Job, steps: Sequence[JobStep]) -> None:
    """Queue the reports about steps that a job has just made."""
    for step in steps:
        if job.on_status_change:
            _queue(state, job, step, "job.status_changed", job.on_status_change)
        if job.on_finalize and step.status in (JobStatus.COMPLETED, JobStatus.FAILED):
            event = "job.finalized" if step.status is JobStatus.COMPLETED else "job.failed"
            _queue(state, job, step, event, job.on_finalize)
    settled = [delivery for delivery in state.deliveries if delivery.state is not DeliveryState.PENDING]
    for delivery in settled[: max(0, len(state.deliveries) - _KEPT)]:
        state.deliveries.remove(delivery)


def signature(secret: str, body: bytes) -> str:
    """Return the signature header of a body: HMAC-SHA256 in hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def deliver_due(sandbox: Sandbox, client: httpx.AsyncClient) -> int:
    """Send every report that is due now; return how many were sent."""
    now = datetime.now(UTC)
    due = [d for d in sandbox.state.deliveries if d.state is DeliveryState.PENDING and d.due_at <= now]
    by_job: dict[str, list[Delivery]] = {}
    for delivery in due:
        by_job.setdefault(delivery.job, []).append(delivery)
    await asyncio.gather(*(_deliver_in_order(sandbox, client, batch) for batch in by_job.values()))
    return len(due)


async def _deliver_in_order(sandbox: Sandbox, client: httpx.AsyncClient, batch: list[Delivery]) -> None:
    for delivery in batch:
        status, error = await _send(sandbox, client, delivery)
        delivery.attempts.append(DeliveryAttempt(at=sandbox.now(), status=status, error=error))
        if status is not None and 200 <= status < 300:
            delivery.state = DeliveryState.DELIVERED
        elif len(delivery.attempts) > len(sandbox.config.retry_seconds):
            delivery.state = DeliveryState.DEAD
        else:
            pause = sandbox.config.retry_seconds[len(delivery.attempts) - 1]
            delivery.due_at = datetime.now(UTC) + timedelta(seconds=pause)


async def _send(sandbox: Sandbox, client: httpx.AsyncClient, delivery: Delivery) -> tuple[int | None, str | None]:
    body = _envelope(delivery)
    headers = {
        "Content-Type": "application/json",
        "x-meetbot-signature": signature(sandbox.config.webhook_secret, body),
        "x-meetbot-webhook-version": "2",
    }
    try:
        answer = await client.post(delivery.url, content=body, headers=headers, timeout=_TIMEOUT)
    except httpx.HTTPError as error:
        return None, type(error).__name__
    return answer.status_code, None


def _envelope(delivery: Delivery) -> bytes:
    envelope = {
        "deliveryId": delivery.id,
        "event": delivery.event,
        "emittedAt": timestamp(delivery.emitted_at),
        "attempt": len(delivery.attempts) + 1,
        "version": 2,
        "data": delivery.data,
    }
    return json.dumps(envelope, ensure_ascii=False).encode()


def _queue(state: State, job: Job, step: JobStep, event: str, url: str) -> None:
    """The report shows the job at this step, even if more steps were made at the same moment."""
    done = step.status in TERMINAL
    data = {
        **job_document(job),
        "status": step.status.value,
        "updatedAt": timestamp(step.at),
        "recordedSeconds": job.recorded_seconds if done or step.status is JobStatus.FINALIZING else 0,
    }
    state.deliveries.append(
        Delivery(
            id=f"dlv_{secrets.token_hex(12)}",
            job=job.id,
            url=url,
            event=event,
            emitted_at=step.at,
            data=data,
            due_at=datetime.now(UTC),
        )
    )
