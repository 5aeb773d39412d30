"""Google's push channels: events.watch and channels.stop.

Source: developers.google.com/workspace/calendar/api/guides/push, and the discovery document of calendar v3.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sandbox.google import errors
from sandbox.google.calendar import EVENT_SCOPES, CurrentBearer, need_scope, require_calendar
from sandbox.push.addresses import is_loopback
from sandbox.push.notices import google_notice
from sandbox.push.records import GoogleChannel
from sandbox.running import CurrentSandbox, Sandbox, base_url

router = APIRouter(prefix="/google/calendar/v3", tags=["Google Calendar"])

_DEFAULT_LIFE, _LONGEST_LIFE = timedelta(seconds=604_800), timedelta(days=30)
_CHANNEL_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
_LONGEST_TOKEN = 256
_KINDS = ("web_hook", "webhook")


@router.post("/calendars/{calendar_id}/events/watch")
async def watch(
    calendar_id: str, body: dict[str, Any], http: Request, bearer: CurrentBearer, sandbox: CurrentSandbox
) -> Response:
    """Open a channel for the events of a calendar; its first message is ``sync``."""
    need_scope(bearer, EVENT_SCOPES, "calendar.v3.Events.Watch")
    calendar = require_calendar(sandbox, bearer, calendar_id).calendar
    _check(body, sandbox)
    channel = GoogleChannel(
        id=body["id"],
        account=bearer.account.email,
        calendar=calendar.id,
        resource_id=secrets.token_urlsafe(20),
        resource_uri=f"{base_url(sandbox, http)}/google/calendar/v3/calendars/{quote(calendar_id, safe='')}/events?alt=json",
        token=body.get("token"),
        address=body["address"],
        expires_at=_expiration(body, sandbox),
    )
    sandbox.state.google_channels[channel.id] = channel
    if not sandbox.state.push.lose:
        first = google_notice(channel, "sync")
        if sandbox.state.push.sync_first:
            await sandbox.outbox.send(http.app.state.http, first)
        else:
            sandbox.outbox.put(first)
    return JSONResponse(_document(channel))


@router.post("/channels/stop", status_code=204)
async def stop(body: dict[str, Any], bearer: CurrentBearer, sandbox: CurrentSandbox) -> Response:
    """Stop a channel; both its id and the id of its resource are needed."""
    need_scope(bearer, EVENT_SCOPES, "calendar.v3.Channels.Stop")
    for name in ("id", "resourceId"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise errors.bad_request("required", "Required", f"resource.{name}")
    channel = sandbox.state.google_channels.get(body["id"])
    if channel is None or channel.resource_id != body["resourceId"] or channel.account != bearer.account.email:
        message = f"Channel '{body['id'][:64]}' not found for project '1'"
        raise errors.GoogleError(404, errors.body(404, "notFound", message))
    del sandbox.state.google_channels[channel.id]
    return Response(status_code=204)


def _check(body: dict[str, Any], sandbox: Sandbox) -> None:
    channel_id, address, token = body.get("id"), body.get("address"), body.get("token")
    for name in ("id", "type", "address"):
        if not body.get(name):
            raise errors.bad_request("required", "Required", f"resource.{name}")
    if not isinstance(channel_id, str) or not _CHANNEL_ID.fullmatch(channel_id):
        raise errors.bad_request("channelIdInvalid", "Invalid channel id", "resource.id")
    if channel_id in sandbox.state.google_channels:
        raise errors.bad_request("channelIdNotUnique", f"Channel id {channel_id} not unique", "resource.id")
    if body["type"] not in _KINDS:
        raise errors.bad_request("channelUnknown", f"Unknown channel type: {str(body['type'])[:50]}", "resource.type")
    if token is not None and (not isinstance(token, str) or len(token) > _LONGEST_TOKEN):
        raise errors.bad_request("invalid", "Invalid channel token", "resource.token")
    if not isinstance(address, str) or not (address.startswith("https://") or is_loopback(address)):
        raise errors.bad_request("push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {str(address)[:200]}")
    if not is_loopback(address):
        # The sandbox sends nothing beyond this machine.
        content = errors.body(401, "push.webhookUrlUnauthorized", f"Unauthorized WebHook callback channel: {address}")
        raise errors.GoogleError(401, content)


def _expiration(body: dict[str, Any], sandbox: Sandbox) -> datetime:
    now, most = sandbox.now(), _LONGEST_LIFE
    if sandbox.state.push.most_seconds is not None:
        most = timedelta(seconds=sandbox.state.push.most_seconds)
    params = body.get("params")
    ttl = params.get("ttl") if isinstance(params, dict) else None
    try:
        if body.get("expiration") is not None:
            wanted = datetime.fromtimestamp(int(body["expiration"]) / 1000, UTC)
        else:
            wanted = now + (timedelta(seconds=int(ttl)) if ttl is not None else _DEFAULT_LIFE)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise errors.bad_request("invalid", "Invalid expiration", "resource.expiration") from error
    if wanted <= now:
        raise errors.bad_request("channelExpirationInPast", "Expiration is in the past", "resource.expiration")
    return min(wanted, now + most)


def _document(channel: GoogleChannel) -> dict[str, Any]:
    document = {
        "kind": "api#channel",
        "id": channel.id,
        "resourceId": channel.resource_id,
        "resourceUri": channel.resource_uri,
        "expiration": str(int(channel.expires_at.timestamp() * 1000)),
    }
    return document if channel.token is None else document | {"token": channel.token}
