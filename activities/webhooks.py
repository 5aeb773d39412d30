"""One attempt to deliver one webhook message: load, sign, send, record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import structlog
from sqlmodel import Session
from temporalio import activity

from activities.attribution import current_workflow
from meetbot.clock import utc_now
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.webhook_schedule import FAILING_LIMIT, next_attempt_at
from meetbot.domain.webhook_state import DeliveryState, EndpointState
from meetbot.errors import SecretUnreadable
from meetbot.resources.webhook import endpoint_document
from meetbot.settings import Region
from meetbot.storage import outbox, webhook_deliveries, webhook_endpoints
from meetbot.storage.database import Database
from meetbot.storage.secret_uses import OpenedSecret, SecretPurpose, note_secret_use
from meetbot.storage.tables import WebhookDelivery, WebhookEndpoint
from meetbot.temporal.messages import ActivityName, DeliveryAttempt, DeliveryResult, DeliveryVerdict
from meetbot.vault.sealing import SealedSecret, SecretBinding
from meetbot.webhooks.destinations import DestinationRefused
from meetbot.webhooks.endpoint_secrets import sealed_secret, secret_binding, valid_secrets
from meetbot.webhooks.envelope import envelope
from meetbot.webhooks.outbound import Outbound, OutboundFailed
from meetbot.webhooks.outcome import (
    AttemptOutcome,
    Blame,
    answered,
    failed_here,
    result_after,
    state_after,
    unanswered,
)
from meetbot.webhooks.signing import signed_headers

_STOP = DeliveryResult(DeliveryVerdict.STOP)
_CONSTANT_HEADERS = {"content-type": "application/json", "user-agent": "meetbot-webhooks/2"}
_log = structlog.get_logger(__name__)


class SecretOpener(Protocol):
    """The part of `meetbot.vault.client.Vault` that is needed here."""

    def open(self, tenant_id: str, sealed: SealedSecret, binding: SecretBinding) -> bytes:
        """Return the secret in clear. Raises `VaultError`."""
        ...


@dataclass(frozen=True, slots=True)
class _Task:
    delivery: WebhookDelivery
    endpoint: WebhookEndpoint


@dataclass(frozen=True, slots=True)
class WebhookActivities:
    """The activities of `workflows.webhook`, with what they work with."""

    database: Database
    vault: SecretOpener
    region: Region
    outbound: Outbound
    clock: Callable[[], datetime] = field(default=utc_now)

    @activity.defn(name=ActivityName.WEBHOOK_DELIVER, no_thread_cancel_exception=True)
    def deliver(self, request: DeliveryAttempt) -> DeliveryResult:
        """Make one attempt and record what came of it.

        Raises only for faults of ours (`VaultError`, the database's errors): the endpoint was not asked, so the attempt is made
        again and not counted. The result holds neither the URL nor the body nor the answer.
        """
        found = self._load(request)
        if isinstance(found, DeliveryResult):
            return found
        outcome = self._attempt(found)
        return self._record(found, outcome, request)

    def _load(self, request: DeliveryAttempt) -> _Task | DeliveryResult:
        """Return what to send, or the result if there is nothing to send (any more)."""
        with self.database.transaction(request.tenant_id) as session:
            found = webhook_deliveries.find_with_endpoint(session, request.tenant_id, request.delivery_id)
            if found is None:
                return _STOP
            delivery, endpoint = found
            if delivery.state != DeliveryState.PENDING:
                return DeliveryResult(DeliveryVerdict.DELIVERED) if delivery.state == DeliveryState.DELIVERED else _STOP
            if endpoint is None or endpoint.state != EndpointState.ENABLED:
                webhook_deliveries.give_up(session, request.tenant_id, request.delivery_id, "endpoint_disabled")
                return _STOP
            opened = OpenedSecret(SecretPurpose.WEBHOOK_SIGNATURE, endpoint.id, current_workflow())
            note_secret_use(session, request.tenant_id, opened, at=self.clock())
            return _Task(delivery, endpoint)

    def _attempt(self, task: _Task) -> AttemptOutcome:
        now = self.clock()
        secrets = self._open_secrets(task.endpoint, now)
        if not secrets:
            return failed_here("secret_unreadable")
        delivery = task.delivery
        if delivery.emitted_at is None:
            raise AssertionError("the database sets emitted_at")
        body = envelope(delivery.id, delivery.event_type, delivery.emitted_at, delivery.attempts + 1, delivery.data)
        headers = {**_CONSTANT_HEADERS, **signed_headers(secrets, delivery.id, now, body)}
        began = self.outbound.clock()
        outcome = self._post(task, body, headers)
        return replace(outcome, milliseconds=int((self.outbound.clock() - began) * 1000))

    def _post(self, task: _Task, body: bytes, headers: Mapping[str, str]) -> AttemptOutcome:
        try:
            answer = self.outbound.post(task.endpoint.url, body, headers)
            return replace(answered(answer.status, answer.retry_after, self.clock()), text=answer.text)
        except (DestinationRefused, OutboundFailed) as error:
            return unanswered(error.code)
        except Exception as error:
            # The message may have been sent. Unless that is counted, it would be sent again without end.
            _log.error(
                "webhook.attempt_failed",
                tenant_id=task.endpoint.tenant_id,
                endpoint_id=task.endpoint.id,
                code=type(error).__name__,
            )
            return failed_here("internal_error")

    def _open_secrets(self, endpoint: WebhookEndpoint, now: datetime) -> list[str]:
        """The secrets to sign with, the newest first; one that does not open any more is left out."""
        binding = secret_binding(self.region, endpoint.tenant_id, endpoint.id)
        opened = []
        for stored in valid_secrets(endpoint.secrets, now):
            try:
                plain = self.vault.open(endpoint.tenant_id, sealed_secret(endpoint.tenant_id, stored), binding)
            except SecretUnreadable as error:
                _log.error(
                    "webhook.secret_unreadable",
                    tenant_id=endpoint.tenant_id,
                    endpoint_id=endpoint.id,
                    code=error.code,
                )
                continue
            opened.append(plain.decode("ascii"))
        return opened

    def _record(self, task: _Task, outcome: AttemptOutcome, request: DeliveryAttempt) -> DeliveryResult:
        now = self.clock()
        state = state_after(outcome, last=request.last)
        asked = outcome.retry_after_seconds
        pending = state is DeliveryState.PENDING
        next_at = next_attempt_at(request.attempt, now, asked_seconds=asked) if pending else None
        with self.database.transaction(request.tenant_id) as session:
            attempt = webhook_deliveries.Attempt(
                now, state, outcome.status, outcome.error, outcome.milliseconds, outcome.text, next_at
            )
            webhook_deliveries.record_attempt(session, task.delivery, attempt)
            _keep_record_of_endpoint(session, task.endpoint, outcome, now)
        return result_after(outcome, state)


def _keep_record_of_endpoint(
    session: Session, endpoint: WebhookEndpoint, outcome: AttemptOutcome, now: datetime
) -> None:
    if outcome.blame is Blame.NOBODY:
        webhook_endpoints.note_success(session, endpoint.tenant_id, endpoint.id)
    elif outcome.blame is Blame.ENDPOINT:
        webhook_endpoints.note_failure(session, endpoint.tenant_id, endpoint.id, now)
        _disable_if_due(session, endpoint, outcome, now)


def _disable_if_due(session: Session, endpoint: WebhookEndpoint, outcome: AttemptOutcome, now: datetime) -> None:
    if outcome.gone:
        disabled = webhook_endpoints.disable_as_gone(session, endpoint.tenant_id, endpoint.id, now)
    else:
        disabled = webhook_endpoints.disable_if_failing(
            session, endpoint.tenant_id, endpoint.id, failing_limit=FAILING_LIMIT, now=now
        )
    if disabled is None:
        return
    # The notice goes to the tenant's other endpoints; this one takes nothing any more.
    notice = endpoint_document(disabled, now=now)
    outbox.emit(session, endpoint.tenant_id, WebhookEventType.WEBHOOK_ENDPOINT_DISABLED, notice)
    _log.warning(
        "webhook.endpoint_disabled",
        tenant_id=endpoint.tenant_id,
        endpoint_id=endpoint.id,
        reason=disabled.disabled_reason,
    )
