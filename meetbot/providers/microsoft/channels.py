"""Microsoft's push channels: Graph's subscriptions.

Source: learn.microsoft.com/graph/api/resources/subscription and /graph/change-notifications-delivery-webhooks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from meetbot.clock import utc_now
from meetbot.domain.event import Provider
from meetbot.errors import ProviderError, ResourceGone, RetryLater
from meetbot.providers.base import PRIMARY
from meetbot.providers.channels import ChannelExists, ChannelName, ChannelRequest, OpenedChannel, PushUnsupported
from meetbot.providers.errors import error_detail, safe_code
from meetbot.providers.http import Answer, Deadline, bearer, error_object, json_object, send
from meetbot.providers.microsoft.errors import microsoft_error
from meetbot.providers.storable_text import ID_LIMIT, exact
from meetbot.providers.times import parse_instant

_HEADERS = {"Prefer": 'IdType="ImmutableId"'}
_CHANGES = "created,updated,deleted"
_ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
# The mailbox is of a kind, or in a place, that reports nothing; or our address did not answer the handshake.
_UNSUPPORTED = frozenset({"ExtensionError", "ValidationError", "InvalidRequest"})
_MOST_LISTED = 1000
SEPARATOR = "."
"""Between our id and the secret in ``clientState``."""


class MicrosoftChannels:
    """`ChannelProvider` for Microsoft. One for the process; safe to use from many threads."""

    def __init__(self, graph_url: str, http: httpx.Client, now: Callable[[], datetime] = utc_now) -> None:
        self._graph = graph_url.rstrip("/")
        self._http = http
        self._now = now

    def open_channel(self, access_token: str, request: ChannelRequest, *, timeout_seconds: float) -> OpenedChannel:
        """Open a channel. Before it answers, Microsoft has each of our two addresses echo a token."""
        body = {
            "changeType": _CHANGES,
            "notificationUrl": request.address,
            "lifecycleNotificationUrl": request.lifecycle_address,
            "resource": resource_of(request.calendar_id),
            "expirationDateTime": _wire(request.until),
            "clientState": f"{request.channel_id}{SEPARATOR}{request.secret}",
        }
        answer = self._send("POST", access_token, "/subscriptions", timeout_seconds, body)
        opened = json_object(answer, Provider.MICROSOFT)
        external_id = exact(opened.get("id"), ID_LIMIT)
        if external_id is None:
            raise RetryLater("malformed_answer", f"{Provider.MICROSOFT}: a subscription without an id")
        name = ChannelName(request.channel_id, external_id=external_id)
        return OpenedChannel(name, _expiration(opened) or request.until, is_verified=True)

    def renew_channel(
        self, access_token: str, name: ChannelName, *, until: datetime, timeout_seconds: float
    ) -> datetime:
        """Prolong a channel's life and return its end.

        This also answers a request to authorise the channel again.
        """
        body = {"expirationDateTime": _wire(until)}
        answer = self._send("PATCH", access_token, _path(name), timeout_seconds, body)
        return _expiration(json_object(answer, Provider.MICROSOFT)) or until

    def close_channel(self, access_token: str, name: ChannelName, *, timeout_seconds: float) -> None:
        """End a channel; one that has ended is no error."""
        if name.external_id is None:
            return
        try:
            self._send("DELETE", access_token, _path(name), timeout_seconds)
        except ResourceGone:
            return

    def close_others(
        self, access_token: str, calendar_id: str, *, known: frozenset[str], timeout_seconds: float
    ) -> None:
        """End our subscriptions to a calendar that are not among the ``known`` ones.

        Microsoft allows one of an application for each calendar, and one whose creation was not answered may be in the way.
        """
        answer = self._send("GET", access_token, "/subscriptions", timeout_seconds)
        listed = json_object(answer, Provider.MICROSOFT).get("value")
        resource = resource_of(calendar_id).casefold()
        for entry in (listed if isinstance(listed, list) else [])[:_MOST_LISTED]:
            if not isinstance(entry, dict) or str(entry.get("resource", "")).strip("/").casefold() != resource:
                continue
            external_id = exact(entry.get("id"), ID_LIMIT)
            if external_id is not None and external_id not in known:
                self.close_channel(access_token, ChannelName("", external_id), timeout_seconds=timeout_seconds)

    def _send(
        self, method: str, access_token: str, path: str, timeout_seconds: float, body: Mapping[str, Any] | None = None
    ) -> Answer:
        answer = send(
            self._http,
            method,
            self._graph + path,
            provider=Provider.MICROSOFT,
            deadline=Deadline(timeout_seconds),
            headers=bearer(access_token) | _HEADERS,
            json=body,
            limit=_ANSWER_LIMIT_BYTES,
        )
        if not answer.ok:
            raise _error(answer, self._now())
        return answer


def resource_of(calendar_id: str) -> str:
    """Return what Graph calls the events of a calendar; `PRIMARY` is the account's own."""
    return "me/events" if calendar_id == PRIMARY else f"me/calendars/{calendar_id}/events"


def _path(name: ChannelName) -> str:
    return f"/subscriptions/{quote(name.external_id or '', safe='')}"


def _error(answer: Answer, now: datetime) -> ProviderError:
    error = error_object(answer).get("error")
    code = safe_code(error.get("code")) if isinstance(error, dict) else "unstated"
    detail = error_detail(Provider.MICROSOFT, answer, code)
    if answer.status == 409:
        return ChannelExists("channel_exists", detail)
    if answer.status == 400 and code in _UNSUPPORTED:
        return PushUnsupported(
            "push_unsupported",
            detail,
            next_step="Check that Microsoft can reach MEETBOT_PUBLIC_URL, and that the mailbox is in Exchange Online.",
        )
    return microsoft_error(answer, now)


def _wire(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _expiration(subscription: Mapping[str, Any]) -> datetime | None:
    return parse_instant(subscription.get("expirationDateTime"), "UTC")
