"""Graph's change notifications: subscriptions to the events of a calendar.

Source: learn.microsoft.com/graph/api/resources/subscription and /graph/change-notifications-delivery-webhooks.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.login.bearer_tokens import Bearer
from sandbox.microsoft import errors
from sandbox.microsoft.graph import CurrentBearer, find_calendar, need_calendar_scope
from sandbox.push.addresses import is_loopback
from sandbox.push.notices import graph_instant
from sandbox.push.records import Subscription
from sandbox.running import CurrentSandbox, Sandbox, base_url

router = APIRouter(prefix="/microsoft/v1.0/subscriptions", tags=["Microsoft Graph"])

_LONGEST, _SHORTEST = timedelta(minutes=10_080), timedelta(minutes=45)
_MOST_PER_MAILBOX = 1000
_LONGEST_STATE = 128
_CHANGES = frozenset({"created", "updated", "deleted"})
_HANDSHAKE = httpx.Timeout(10.0)


@router.post("", status_code=201)
async def create(body: dict[str, Any], http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Create a subscription, once both addresses have echoed a token."""
    need_calendar_scope(bearer)
    resource, calendar = _resource(body, sandbox, bearer)
    changes = [change.strip() for change in str(body.get("changeType", "")).split(",")]
    if not changes or not set(changes) <= _CHANGES:
        raise errors.bad_request("InvalidRequest", "changeType is not valid.")
    state = body.get("clientState")
    if state is not None and (not isinstance(state, str) or len(state) > _LONGEST_STATE):
        raise errors.bad_request("InvalidRequest", "clientState must be at most 128 characters.")
    expires_at = _expiration(body, sandbox)
    _refuse_duplicate(sandbox, bearer, calendar, changes)
    lifecycle_url = body.get("lifecycleNotificationUrl")
    for url in [body.get("notificationUrl"), *([lifecycle_url] if lifecycle_url is not None else [])]:
        await _handshake(http.app.state.http, url)
    subscription = Subscription(
        id=str(uuid.uuid4()),
        account=bearer.account.email,
        calendar=calendar,
        resource=resource,
        change_types=changes,
        notification_url=str(body["notificationUrl"]),
        lifecycle_url=lifecycle_url,
        client_state=state,
        expires_at=expires_at,
    )
    sandbox.state.subscriptions[subscription.id] = subscription
    return JSONResponse(_document(sandbox, http, bearer, subscription, with_state=True), 201)


@router.get("")
async def list_subscriptions(http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """List the account's subscriptions, without the secrets they were made with."""
    found = [each for each in sandbox.state.subscriptions.values() if _is_there(sandbox, bearer, each)]
    return JSONResponse({"value": [_document(sandbox, http, bearer, each) for each in found]})


@router.get("/{subscription_id}")
async def get(subscription_id: str, http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Return one subscription."""
    return JSONResponse(_document(sandbox, http, bearer, _find(sandbox, bearer, subscription_id)))


@router.patch("/{subscription_id}")
async def renew(
    subscription_id: str, body: dict[str, Any], http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox
) -> Response:
    """Give a subscription a later end."""
    subscription = _find(sandbox, bearer, subscription_id)
    subscription.expires_at = _expiration(body, sandbox)
    return JSONResponse(_document(sandbox, http, bearer, subscription))


@router.delete("/{subscription_id}", status_code=204)
async def delete(subscription_id: str, bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """End a subscription."""
    del sandbox.state.subscriptions[_find(sandbox, bearer, subscription_id).id]
    return Response(status_code=204)


def _resource(body: dict[str, Any], sandbox: Sandbox, bearer: Bearer) -> tuple[str, str]:
    """Return the resource as it was named, and the calendar that it stands for."""
    resource = str(body.get("resource", ""))
    match resource.strip("/").split("/"):
        case ["me", "events"] | ["me", "calendar", "events"]:
            calendar_id = None
        case ["me", "calendars", named, "events"]:
            calendar_id = unquote(named)
        case _:
            raise errors.bad_request("InvalidRequest", "The resource is not supported.")
    seen = find_calendar(sandbox, bearer.account, calendar_id)
    if seen.is_shared:
        # No delegated permission covers them (learn.microsoft.com/graph/outlook-get-shared-events-calendars).
        raise errors.access_denied()
    return resource, seen.calendar.id


def _expiration(body: dict[str, Any], sandbox: Sandbox) -> datetime:
    """An end within 45 minutes becomes one in 45 minutes; one too far away is refused."""
    try:
        wanted = datetime.fromisoformat(str(body.get("expirationDateTime")))
    except ValueError as error:
        raise errors.bad_request("InvalidRequest", "expirationDateTime is not valid.") from error
    wanted = wanted.replace(tzinfo=UTC) if wanted.tzinfo is None else wanted.astimezone(UTC)
    now = sandbox.now()
    if wanted > now + _LONGEST:
        minutes = int(_LONGEST.total_seconds() // 60)
        message = f"Subscription expiration can only be {minutes} minutes in the future."
        raise errors.bad_request("InvalidRequest", message)
    most = sandbox.state.push.most_seconds
    wanted = max(wanted, now + _SHORTEST)
    return wanted if most is None else min(wanted, now + timedelta(seconds=most))


def _refuse_duplicate(sandbox: Sandbox, bearer: Bearer, calendar: str, changes: list[str]) -> None:
    own = [each for each in sandbox.state.subscriptions.values() if _is_there(sandbox, bearer, each)]
    for each in own:
        if each.calendar == calendar and set(each.change_types) == set(changes):
            message = f"Subscription Id {each.id} already exists for the requested combination"
            raise errors.GraphError(409, "Conflict", message)
    if len(own) >= _MOST_PER_MAILBOX:
        raise errors.GraphError(403, "Forbidden", "The limit of subscriptions for this mailbox is reached.")


async def _handshake(client: httpx.AsyncClient, url: object) -> None:
    if not isinstance(url, str) or not is_loopback(url):
        raise errors.bad_request("InvalidRequest", "The sandbox sends notifications to http://127.0.0.1 only.")
    token = f"Validation: Testing client application reachability for subscription Request-Id: {secrets.token_hex(8)}"
    separator = "&" if "?" in url else "?"
    try:
        answer = await client.post(
            f"{url}{separator}validationToken={quote(token, safe='')}",
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=_HANDSHAKE,
        )
    except httpx.HTTPError as error:
        raise _not_validated("Subscription validation request timed out.") from error
    if answer.status_code != 200:
        raise _not_validated("Notification endpoint must respond with 200 OK to validation request.")
    if answer.text != token or not answer.headers.get("content-type", "").startswith("text/plain"):
        raise _not_validated("Response must exactly match validationToken query parameter.")


def _not_validated(reason: str) -> errors.GraphError:
    return errors.bad_request("ValidationError", f"Subscription validation request failed. {reason}")


def _is_there(sandbox: Sandbox, bearer: Bearer, subscription: Subscription) -> bool:
    return subscription.account == bearer.account.email and subscription.expires_at > sandbox.now()


def _find(sandbox: Sandbox, bearer: Bearer, subscription_id: str) -> Subscription:
    found = sandbox.state.subscriptions.get(subscription_id)
    if found is None or not _is_there(sandbox, bearer, found):
        raise errors.GraphError(404, "ResourceNotFound", "The object was not found.")
    return found


def _document(
    sandbox: Sandbox, http: Request, bearer: Bearer, subscription: Subscription, *, with_state: bool = False
) -> dict[str, Any]:
    return {
        "@odata.context": f"{base_url(sandbox, http)}/microsoft/v1.0/$metadata#subscriptions/$entity",
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": sandbox.config.client_id,
        "changeType": ",".join(subscription.change_types),
        "clientState": subscription.client_state if with_state else None,
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": graph_instant(subscription.expires_at),
        "creatorId": bearer.account.subject,
        "includeResourceData": None,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
        "notificationQueryOptions": None,
    }
