"""Push channels: which there are, what was sent, and how push fails."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from sandbox.calendar.accounts import find_account
from sandbox.control.field_types import Email
from sandbox.push.notices import lifecycle_notice
from sandbox.push.outbox import Notice
from sandbox.push.records import PushSettings, Subscription
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control/push", tags=["Control: the sandbox"])


class LifecycleEvent(StrEnum):
    """What happens to a subscription of Graph's."""

    REAUTHORIZATION_REQUIRED = "reauthorizationRequired"
    SUBSCRIPTION_REMOVED = "subscriptionRemoved"
    MISSED = "missed"


class Lifecycle(BaseModel, extra="forbid"):
    """Whose subscriptions something happens to, and what."""

    email: Email
    event: LifecycleEvent


class Whose(BaseModel, extra="forbid"):
    """Whose channels are meant."""

    email: Email


@router.get("")
async def show_push(sandbox: CurrentSandbox) -> dict[str, Any]:
    """List channels and subscriptions without their secrets, and the latest notifications."""
    state = sandbox.state
    return {
        "settings": state.push,
        "channels": [each.model_dump(mode="json", exclude={"token"}) for each in state.google_channels.values()],
        "subscriptions": [
            each.model_dump(mode="json", exclude={"client_state"}) for each in state.subscriptions.values()
        ],
        "sent": [_line(notice) for notice in sandbox.outbox.sent],
        "waiting": len(sandbox.outbox.waiting),
    }


@router.post("/settings")
async def change_settings(body: PushSettings, sandbox: CurrentSandbox) -> PushSettings:
    """Replace all settings of push."""
    sandbox.state.push = body
    return body


@router.post("/lifecycle", status_code=204)
async def send_lifecycle(body: Lifecycle, sandbox: CurrentSandbox) -> None:
    """Tell the client what happens to a person's subscriptions; a removed one is removed."""
    for subscription in _subscriptions(sandbox, body.email):
        notice = lifecycle_notice(sandbox.state, subscription, body.event)
        if body.event is LifecycleEvent.SUBSCRIPTION_REMOVED:
            del sandbox.state.subscriptions[subscription.id]
        if notice is not None:
            sandbox.outbox.put(notice)


@router.post("/expire", status_code=204)
async def expire(body: Whose, sandbox: CurrentSandbox) -> None:
    """Let all channels of a person end now, without a word."""
    account = find_account(sandbox.state, body.email)
    end = sandbox.now() - timedelta(seconds=1)
    for channel in sandbox.state.google_channels.values():
        if channel.account == account.email:
            channel.expires_at = end
    for subscription in _subscriptions(sandbox, body.email):
        subscription.expires_at = end


def _subscriptions(sandbox: Sandbox, email: str) -> list[Subscription]:
    account = find_account(sandbox.state, email)
    return [each for each in sandbox.state.subscriptions.values() if each.account == account.email]


def _line(notice: Notice) -> dict[str, Any]:
    return {
        "provider": notice.provider.value,
        "channels": notice.channels,
        "kind": notice.kind,
        "number": notice.headers.get("X-Goog-Message-Number"),
        "status": notice.status,
        "attempts": notice.attempts,
    }
