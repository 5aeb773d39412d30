"""Searching the events of all calendar users of a tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from meetbot.storage import event_search
from meetbot.storage.tables import CalendarEvent
from tests.api.conftest import Tenant, in_hours, person


def found(tenant: Tenant, **query: Any) -> list[str]:
    answer = tenant.get("/calendar/events", params=query)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


def some_events(tenant: Tenant) -> list[CalendarEvent]:
    """Three events of two users, each later than the one before."""
    ada = tenant.add_user(customer_user_id="ada")
    bob = tenant.add_user(customer_user_id="bob")
    return [
        tenant.add_event(ada, title="Roadmap with Customer Inc.", start_at=in_hours(1)),
        tenant.add_event(
            bob, title="Übersicht", start_at=in_hours(2), attendees=[person("grace@vendor.test") | {"name": "Grace H."}],
            outcome="record", reason="rule_matched", meeting_url="https://zoom.us/j/8745512099?pwd=x",
            meeting_platform="zoom", meeting_id="8745512099",
        ),
        tenant.add_event(bob, title="100%_done", start_at=in_hours(3), deleted=True, reason="cancelled"),
    ]  # fmt: skip


def test_all_users_events_are_found_the_latest_first(tenant: Tenant) -> None:
    first, second, gone = some_events(tenant)
    assert found(tenant) == [second.id, first.id]
    assert found(tenant, include_deleted=True) == [gone.id, second.id, first.id]
    rows = tenant.get("/calendar/events").json()["data"]
    assert [row["customer_user_id"] for row in rows] == ["bob", "ada"]


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ({"q": "customer inc"}, [0]),
        ({"q": "übersicht"}, [1]),
        ({"q": "GRACE"}, [1]),
        ({"q": "vendor.test"}, [1]),
        ({"q": "response"}, []),
        ({"q": "%_"}, [2]),
        ({"decision": "record"}, [1]),
        ({"reason": "cancelled"}, [2]),
        ({"customer_user_id": "ada"}, [0]),
        ({"meeting_id": "8745512099"}, [1]),
        ({"meeting_url": "https://us02web.zoom.us/j/8745512099"}, [1]),
        ({"meeting_url": "https://meet.google.com/abc-defg-hij"}, [2, 0]),
        ({"meeting_url": "https://meet.google.com/abc-defg-hij", "meeting_id": "8745512099"}, []),
        ({"meeting_url": "https://example.com/x"}, []),
        ({"q": "road", "decision": "record"}, []),
    ],
)
def test_filters_narrow_what_is_found(tenant: Tenant, query: dict[str, Any], which: list[int]) -> None:
    events = some_events(tenant)
    assert found(tenant, include_deleted=True, **query) == [events[number].id for number in which]


def test_times_are_those_of_the_start(tenant: Tenant) -> None:
    first, second, _ = some_events(tenant)
    assert first.start_at is not None
    assert second.start_at is not None
    assert found(tenant, **{"from": first.start_at.isoformat(), "to": second.start_at.isoformat()}) == [first.id]


def test_any_id_that_somebody_may_hold_finds_the_event(tenant: Tenant) -> None:
    _, event, _ = some_events(tenant)
    bot = tenant.add_bot(event.meeting_key, backend_bot_id="job_77")
    ids = [event.id, event.meeting_key, event.provider_event_id, event.ical_uid, bot.id, "job_77"]
    assert [found(tenant, id=one) for one in ids] == [[event.id]] * len(ids)
    assert found(tenant, id="nothing") == []


def test_another_tenants_events_are_never_found(new_tenant: Callable[[], Tenant]) -> None:
    owner, stranger = new_tenant(), new_tenant()
    events = some_events(owner)
    bot = owner.add_bot(events[0].meeting_key)
    for query in ({}, {"q": "roadmap"}, {"id": events[0].id}, {"id": bot.id}, {"customer_user_id": "ada"}):
        assert found(stranger, **query) == []


def test_a_user_who_is_being_erased_is_not_found(tenant: Tenant) -> None:
    user = tenant.add_user(state="disconnecting")
    tenant.add_event(user)
    assert found(tenant) == []


def test_each_event_shows_its_own_users_override_and_bot(tenant: Tenant) -> None:
    ada, bob = tenant.add_user(), tenant.add_user()
    events = [tenant.add_event(user, provider_event_id="same") for user in (ada, bob)]
    tenant.put(f"/calendar/users/{bob.id}/events/{events[1].id}/override", json={"recording": "skip"})
    bot = tenant.add_bot(events[0].meeting_key)
    rows = {row["calendar_user_id"]: row for row in tenant.get("/calendar/events").json()["data"]}
    assert (rows[ada.id]["override"], rows[bob.id]["override"]["recording"]) == (None, "skip")
    assert {row["bot_id"] for row in rows.values()} == {bot.id}


def pages(tenant: Tenant, **query: Any) -> list[list[str]]:
    read: list[list[str]] = []
    cursor: dict[str, str] = {}
    while len(read) < 20:
        page = tenant.get("/calendar/events", params=query | cursor).json()
        read.append([row["id"] for row in page["data"]])
        if page["next_cursor"] is None:
            return read
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the pages have no end")


def many(tenant: Tenant, count: int) -> list[str]:
    user, start = tenant.add_user(), datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    made = [
        tenant.add_event(user, title=f"Number {number % 3}", start_at=start + timedelta(hours=number // 2))
        for number in range(count)
    ]
    return [event.id for event in sorted(made, key=lambda event: (event.start_at, event.id), reverse=True)]


def test_pages_show_each_event_once(tenant: Tenant) -> None:
    ids = many(tenant, 7)
    assert [one for page in pages(tenant, limit=2) for one in page] == ids


def test_a_page_looks_at_a_bounded_number_of_events(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    many(tenant, 9)
    monkeypatch.setattr(event_search, "MAX_SCANNED", 4)
    read = pages(tenant, q="Number 1")
    assert len(read) == 3
    assert sum(map(len, read)) == 3
