"""Google's push channels: events.watch and channels.stop.

Source: developers.google.com/workspace/calendar/api/guides/push.
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
from meetbot.providers.channels import ChannelName, ChannelRequest, OpenedChannel, PushUnsupported
from meetbot.providers.errors import error_detail
from meetbot.providers.google.errors import google_error, reasons_of
from meetbot.providers.http import Answer, Deadline, bearer, json_object, send
from meetbot.providers.storable_text import ID_LIMIT, exact

# Holidays and birthdays; an address that Google does not take.
_UNSUPPORTED = frozenset(
    {
        "pushNotSupportedForRequestedResource",
        "push.webhookUrlNotHttps",
        "push.webhookUrlUnauthorized",
        "webhookUrlUnauthorized",
    }
)
_ANSWER_LIMIT_BYTES = 256 * 1024
_MILLISECONDS = 1000


class GoogleChannels:
    """`ChannelProvider` for Google. One for the process; safe to use from many threads."""

    def __init__(self, api_url: str, http: httpx.Client, now: Callable[[], datetime] = utc_now) -> None:
        self._api = api_url.rstrip("/")
        self._http = http
        self._now = now

    def open_channel(self, access_token: str, request: ChannelRequest, *, timeout_seconds: float) -> OpenedChannel:
        """Open a channel; its first message, ``sync``, may come before the answer."""
        path = f"/calendars/{quote(request.calendar_id, safe='')}/events/watch"
        body = {
            "id": request.channel_id,
            "type": "web_hook",
            "address": request.address,
            "token": request.secret,
            "expiration": str(int(request.until.timestamp() * _MILLISECONDS)),
        }
        answer = self._post(access_token, path, body, timeout_seconds)
        opened = json_object(answer, Provider.GOOGLE)
        resource_id = exact(opened.get("resourceId"), ID_LIMIT)
        if resource_id is None:
            raise RetryLater("malformed_answer", f"{Provider.GOOGLE}: a channel without its resource")
        name = ChannelName(request.channel_id, resource_id=resource_id)
        return OpenedChannel(name, _expiration(opened.get("expiration")) or request.until, is_verified=False)

    def renew_channel(
        self, access_token: str, name: ChannelName, *, until: datetime, timeout_seconds: float
    ) -> datetime:
        """Raise `ResourceGone`: a channel of Google's cannot be prolonged."""
        raise ResourceGone("not_renewable", f"{Provider.GOOGLE}: channels are replaced, never renewed")

    def close_channel(self, access_token: str, name: ChannelName, *, timeout_seconds: float) -> None:
        """End a channel; one that has ended is no error."""
        if name.resource_id is None:
            return
        body = {"id": name.channel_id, "resourceId": name.resource_id}
        try:
            self._post(access_token, "/channels/stop", body, timeout_seconds)
        except ResourceGone:
            return

    def close_others(
        self, access_token: str, calendar_id: str, *, known: frozenset[str], timeout_seconds: float
    ) -> None:
        """Do nothing: Google lists no channels, and takes several for one calendar."""

    def _post(self, access_token: str, path: str, body: Mapping[str, Any], timeout_seconds: float) -> Answer:
        answer = send(
            self._http,
            "POST",
            self._api + path,
            provider=Provider.GOOGLE,
            deadline=Deadline(timeout_seconds),
            headers=bearer(access_token),
            json=body,
            limit=_ANSWER_LIMIT_BYTES,
        )
        if not answer.ok:
            raise _error(answer, self._now())
        return answer


def _error(answer: Answer, now: datetime) -> ProviderError:
    refused = sorted(_UNSUPPORTED.intersection(reasons_of(answer)))
    if refused:
        return PushUnsupported(
            "push_unsupported",
            error_detail(Provider.GOOGLE, answer, refused[0]),
            next_step="Check that MEETBOT_PUBLIC_URL is https with a certificate that Google takes.",
        )
    return google_error(answer, now)


def _expiration(value: object) -> datetime | None:
    """Return the instant of Google's milliseconds, which come as text."""
    digits = str(value)
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        return None
    try:
        return datetime.fromtimestamp(int(digits) / _MILLISECONDS, UTC)
    except (ValueError, OverflowError, OSError):
        return None
