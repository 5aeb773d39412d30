"""The notifications of both providers, and which changes they are about."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sandbox.calendar import provider_ids
from sandbox.calendar.records import CalendarCopy, Provider
from sandbox.push.outbox import Notice
from sandbox.push.records import GoogleChannel, Subscription
from sandbox.running import Sandbox
from sandbox.state import State

_MOST_ITEMS = 100
_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google)"


def queue_changes(sandbox: Sandbox) -> None:
    """Queue notifications about all edits since the last call."""
    state, since = sandbox.state, sandbox.notified_change
    if state.change == since:
        return
    known, sandbox.notified_copies = sandbox.notified_copies, set(state.copies)
    sandbox.notified_change = state.change
    if not (state.google_channels or state.subscriptions):
        return
    touched: dict[tuple[str, str], list[CalendarCopy]] = {}
    for copy in state.copies.values():
        if _last_change(state, copy) > since:
            touched.setdefault((copy.account, copy.calendar), []).append(copy)
    if state.push.lose:
        return
    now = sandbox.now()
    calendars = {calendar for _, calendar in touched}
    for channel in state.google_channels.values():
        if channel.calendar in calendars and channel.expires_at > now:
            sandbox.outbox.put(google_notice(channel, "exists"))
    _queue_graph(sandbox, touched, known, now)


def google_notice(channel: GoogleChannel, state: str) -> Notice:
    """Return the next message of a channel; numbers grow, with gaps after the first."""
    first = channel.message_number == 0
    channel.message_number += 1 if first else secrets.randbelow(40) + 1
    headers = {
        "User-Agent": _AGENT,
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Expiration": channel.expires_at.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "X-Goog-Message-Number": str(channel.message_number),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": channel.resource_uri,
    }
    if channel.token is not None:
        headers["X-Goog-Channel-Token"] = channel.token
    return Notice(Provider.GOOGLE, [channel.id], state, channel.address, headers)


def lifecycle_notice(state: State, subscription: Subscription, event: str) -> Notice | None:
    """Return a lifecycle notification, None if the subscription has no address for it."""
    if subscription.lifecycle_url is None:
        return None
    item = _item(state, subscription) | {"lifecycleEvent": event, "resource": subscription.resource}
    return _graph_notice(subscription.lifecycle_url, [subscription.id], event, [item])


def graph_instant(moment: datetime) -> str:
    """Return an instant as Graph writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _queue_graph(
    sandbox: Sandbox, touched: dict[tuple[str, str], list[CalendarCopy]], known: set[str], now: datetime
) -> None:
    """One request holds the items of several subscriptions, if they have the same address."""
    items: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for subscription in sandbox.state.subscriptions.values():
        if subscription.expires_at <= now:
            continue
        for copy in touched.get((subscription.account, subscription.calendar), []):
            kind = _change_type(sandbox.state, copy, known)
            if kind in subscription.change_types:
                item = _item(sandbox.state, subscription) | _about(sandbox.state, copy, kind)
                items.setdefault(subscription.notification_url, []).append((subscription.id, item))
    for url, found in items.items():
        for first in range(0, len(found), _MOST_ITEMS):
            batch = found[first : first + _MOST_ITEMS]
            names = sorted({name for name, _ in batch})
            sandbox.outbox.put(_graph_notice(url, names, "changed", [item for _, item in batch]))


def _graph_notice(url: str, names: list[str], kind: str, items: Iterable[dict[str, Any]]) -> Notice:
    return Notice(Provider.MICROSOFT, names, kind, url, {}, {"value": list(items)})


def _item(state: State, subscription: Subscription) -> dict[str, Any]:
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": graph_instant(subscription.expires_at),
        "clientState": subscription.client_state,
        "tenantId": state.accounts[subscription.account].directory,
    }


def _about(state: State, copy: CalendarCopy, kind: str) -> dict[str, Any]:
    owner = state.accounts[copy.account].subject
    event_id = provider_ids.graph_event_id(copy.graph_key, copy.calendar, None, immutable=True)
    path = f"Users/{owner}/Events/{event_id}"
    return {
        "changeType": kind,
        "resource": path,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": path,
            "@odata.etag": f'W/"{copy.change}"',
            "id": event_id,
        },
    }


def _change_type(state: State, copy: CalendarCopy, known: set[str]) -> str:
    meeting = state.meetings[copy.meeting]
    if copy.removed or copy.uninvited or meeting.cancelled:
        return "deleted"
    return "updated" if copy.key in known else "created"


def _last_change(state: State, copy: CalendarCopy) -> int:
    meeting = state.meetings[copy.meeting]
    return max(copy.change, meeting.change, *(each.change for each in meeting.deviations.values()))
