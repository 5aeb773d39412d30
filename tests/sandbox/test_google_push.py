"""Google's push channels, by Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.sandbox import discovery
from tests.sandbox.driver import Driver
from tests.sandbox.push_receiver import Receiver, receiving
from tests.sandbox.test_third_party_clients import _google_service

ADA, GRACE = "ada@acme.test", "grace@acme.test"
NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest.fixture
def google(sandbox: Driver) -> Iterator[Any]:
    service = _google_service(sandbox, sandbox.connect("google", ADA))
    yield service
    service.close()


def watch(google: Any, receiver: Receiver, channel_id: str = "psh_1", **body: Any) -> dict[str, Any]:
    sent = {"id": channel_id, "type": "web_hook", "address": f"{receiver.url}/google", "token": "secret"} | body
    opened: dict[str, Any] = google.events().watch(calendarId="primary", body=sent).execute()
    return opened


def refusal(google: Any, receiver: Receiver, **body: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as refused:
        watch(google, receiver, **body)
    return refused.value.resp.status, refused.value.error_details[0]["reason"]


def test_a_channel_begins_with_a_sync_message_and_lives_for_a_week(
    sandbox: Driver, google: Any, receiver: Receiver
) -> None:
    opened = watch(google, receiver)
    discovery.check("Channel", opened)
    ends = datetime.fromtimestamp(int(opened["expiration"]) / 1000, UTC)
    assert ends == NOW + timedelta(days=7)
    ((_, headers, body),) = receiver.wait_for(lambda found: len(found) == 1)
    assert body is None
    assert parsedate_to_datetime(headers.pop("x-goog-channel-expiration")) == ends
    assert {name: value for name, value in headers.items() if name.startswith("x-goog")} == {
        "x-goog-channel-id": "psh_1",
        "x-goog-channel-token": "secret",
        "x-goog-message-number": "1",
        "x-goog-resource-id": opened["resourceId"],
        "x-goog-resource-state": "sync",
        "x-goog-resource-uri": opened["resourceUri"],
    }


def test_every_change_of_the_calendar_is_told_with_growing_numbers(
    sandbox: Driver, google: Any, receiver: Receiver
) -> None:
    watch(google, receiver)
    event = sandbox.event(ADA)
    sandbox.control("PATCH", f"/events/{event['key']}", {"title": "Other"})
    sandbox.control("DELETE", f"/events/{event['key']}")
    found = receiver.wait_for(lambda found: len(found) == 4)
    numbers = sorted(int(headers["x-goog-message-number"]) for _, headers, _ in found)
    assert numbers[0] == 1
    assert len(set(numbers)) == 4
    assert sorted(receiver.states()) == ["exists", "exists", "exists", "sync"]


def test_changes_of_other_calendars_are_not_told(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    watch(google, receiver)
    sandbox.account("bob@acme.test")
    sandbox.event("bob@acme.test")
    sandbox.event("bob@acme.test", attendees=[{"email": ADA}])
    receiver.wait_for(lambda found: len(found) == 2)
    assert sorted(receiver.states()) == ["exists", "sync"]


def test_a_stopped_channel_is_silent(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    first, second = watch(google, receiver), watch(google, receiver, "psh_2")
    google.channels().stop(body={"id": "psh_1", "resourceId": first["resourceId"]}).execute()
    sandbox.event(ADA)
    receiver.wait_for(lambda found: len(found) == 3)
    told = [
        headers["x-goog-channel-id"]
        for _, headers, _ in receiver.received
        if headers["x-goog-resource-state"] == "exists"
    ]
    assert told == ["psh_2"]
    for wrong in ({"id": "psh_1", "resourceId": first["resourceId"]}, {"id": "psh_2", "resourceId": "other"}):
        with pytest.raises(HttpError) as unknown:
            google.channels().stop(body=wrong).execute()
        assert unknown.value.resp.status == 404
    assert second["id"] == "psh_2"


def test_a_channel_ends_by_itself(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    watch(google, receiver, params={"ttl": "60"})
    watch(google, receiver, "psh_2")
    sandbox.control("POST", "/clock", {"advance_seconds": 61})
    sandbox.event(ADA)
    receiver.wait_for(lambda found: len(found) == 3)
    assert [headers["x-goog-channel-id"] for _, headers, _ in receiver.received][-1] == "psh_2"


def test_what_google_refuses_is_refused(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    watch(google, receiver)
    assert refusal(google, receiver) == (400, "channelIdNotUnique")
    assert refusal(google, receiver, id="psh_2", address="http://example.com/") == (400, "push.webhookUrlNotHttps")
    assert refusal(google, receiver, id="psh_2", address="https://example.com/")[0] == 401
    assert refusal(google, receiver, id="x" * 65) == (400, "channelIdInvalid")
    assert refusal(google, receiver, id="psh_2", type="smoke_signal") == (400, "channelUnknown")
    assert refusal(google, receiver, id="psh_2", expiration="1000") == (400, "channelExpirationInPast")


def test_a_message_that_a_server_could_not_take_comes_again(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    receiver.status = 503
    watch(google, receiver)
    receiver.wait_for(lambda found: len(found) >= 2)
    receiver.status = 404
    sent = sandbox.control("GET", "/push")["sent"]
    assert all(line["attempts"] > 1 for line in sent)


def test_a_lost_message_never_comes(sandbox: Driver, google: Any, receiver: Receiver) -> None:
    watch(google, receiver)
    sandbox.control("POST", "/push/settings", {"lose": True})
    sandbox.event(ADA)
    sandbox.control("POST", "/push/settings", {})
    sandbox.event(ADA)
    receiver.wait_for(lambda found: len(found) == 2)
    assert sorted(receiver.states()) == ["exists", "sync"]
