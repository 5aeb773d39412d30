"""Listing events: pages, watermarks, tombstones, and why each was (not) recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from meetbot.storage.events import tombstone_events
from meetbot.storage.tables import CalendarEvent, CalendarUser
from meetbot.storage.watermarks import Watermark, parse_watermark
from tests.api.conftest import Tenant, in_hours


@pytest.fixture
def user(tenant: Tenant) -> CalendarUser:
    return tenant.add_user()


def listing(tenant: Tenant, user: CalendarUser, **query: Any) -> dict[str, Any]:
    answer = tenant.get(f"/calendar/users/{user.id}/events", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [event["id"] for event in page["data"]]


def touch(tenant: Tenant, event: CalendarEvent, assignment: str) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        session.execute(
            text(
                f"update calendar_event set {assignment}, change_xid = (pg_current_xact_id()::text)::bigint "
                "where tenant_id = :tenant_id and id = :id"
            ),
            {"tenant_id": tenant.id, "id": event.id},
        )


def bury(tenant: Tenant, event: CalendarEvent) -> None:
    with tenant.front.database.transaction(tenant.id) as session:
        tombstone_events(session, tenant.id, [event.id], now=datetime.now(UTC))


def test_an_event_reads_as_the_contract_says(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user, ical_uid="uid@x", rule="customers", rule_set_version="3", outcome="record")
    (shown,) = listing(tenant, user)["data"]
    assert set(shown) == {
        "id", "calendar_user_id", "calendar_id", "provider_event_id", "ical_uid", "original_start", "title", "start",
        "end", "all_day", "status", "organizer", "attendees", "recurring", "visibility", "meeting_url",
        "meeting_platform", "meeting_id", "meeting_url_source", "decision", "override", "bot_id", "deleted", "updated_at",
    }  # fmt: skip
    assert event.start_at is not None
    assert shown["start"] == event.start_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert set(shown["attendees"][0]) == {"email", "name", "response", "resource", "organizer", "self"}
    decision = shown["decision"]
    assert (decision["outcome"], decision["rule"], decision["rule_set_version"]) == ("record", "customers", 3)
    assert decision["meeting_key"] == event.meeting_key


def test_pages_show_every_event_once_in_the_order_of_their_start(tenant: Tenant, user: CalendarUser) -> None:
    starts = [in_hours(hours) for hours in (5, 1, 3, 3, 2)]
    events = [tenant.add_event(user, start_at=start) for start in starts]
    timeless = tenant.add_event(user, start_at=None)
    expected = [event.id for event in sorted(events, key=lambda event: (event.start_at, event.id))] + [timeless.id]
    seen: list[str] = []
    cursor, pages = None, 0
    while cursor is not None or pages == 0:
        page = listing(tenant, user, limit=2, **({"cursor": cursor} if cursor else {}))
        seen, cursor, pages = seen + ids(page), page["next_cursor"], pages + 1
    assert (seen, pages) == (expected, 3)


def test_only_the_last_page_has_a_watermark(tenant: Tenant, user: CalendarUser) -> None:
    for _ in range(2):
        tenant.add_event(user)
    first = listing(tenant, user, limit=1)
    last = listing(tenant, user, limit=1, cursor=first["next_cursor"])
    assert first["watermark"] is None
    assert (last["next_cursor"], bool(last["watermark"])) == (None, True)


def test_what_changes_between_the_pages_is_after_the_watermark(tenant: Tenant, user: CalendarUser) -> None:
    first = tenant.add_event(user, start_at=in_hours(1))
    tenant.add_event(user, start_at=in_hours(2))
    page = listing(tenant, user, limit=1)
    touch(tenant, first, "title = 'Moved'")
    last = listing(tenant, user, limit=1, cursor=page["next_cursor"])
    assert first.id in ids(listing(tenant, user, updated_since=last["watermark"]))


def test_nothing_changed_means_nothing_listed(tenant: Tenant, user: CalendarUser) -> None:
    tenant.add_event(user)
    watermark = listing(tenant, user)["watermark"]
    assert ids(listing(tenant, user, updated_since=watermark)) == []


def test_a_transaction_that_was_open_at_the_watermark_is_not_skipped(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user)
    with psycopg.connect(str(tenant.front.services.settings.database_url)) as connection:
        connection.execute("select set_config('app.tenant_id', %s, true)", (tenant.id,))
        connection.execute(
            "update calendar_event set title = 'Late', change_xid = (pg_current_xact_id()::text)::bigint where id = %s",
            (event.id,),
        )
        # Another change commits meanwhile, so that ids alone would put the watermark above the open transaction.
        other = tenant.add_event(user)
        page = listing(tenant, user)
        assert {shown["title"] for shown in page["data"]} == {"Planning"}
        connection.commit()
    changed = listing(tenant, user, updated_since=page["watermark"])
    assert event.id in ids(changed)
    assert {shown["title"] for shown in changed["data"] if shown["id"] == event.id} == {"Late"}
    assert other.id in [*ids(page), *ids(changed)]


def test_what_left_the_calendar_is_a_tombstone_after_the_watermark_only(tenant: Tenant, user: CalendarUser) -> None:
    gone, kept = tenant.add_event(user), tenant.add_event(user)
    watermark = listing(tenant, user)["watermark"]
    bury(tenant, gone)
    assert ids(listing(tenant, user)) == [kept.id]
    (tombstone,) = listing(tenant, user, updated_since=watermark)["data"]
    assert (tombstone["id"], tombstone["deleted"], tombstone["status"]) == (gone.id, True, "cancelled")
    assert tombstone["decision"]["reason"] == "cancelled"


def test_a_tombstone_passes_the_filters_of_a_selection_it_was_in(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(user, outcome="record", reason="rule_matched")
    watermark = listing(tenant, user, decision="record")["watermark"]
    bury(tenant, event)
    assert ids(listing(tenant, user, decision="record", updated_since=watermark)) == [event.id]


def test_changes_come_in_pages_too(tenant: Tenant, user: CalendarUser) -> None:
    watermark = listing(tenant, user)["watermark"]
    events = {tenant.add_event(user).id for _ in range(5)}
    first = listing(tenant, user, updated_since=watermark, limit=3)
    last = listing(tenant, user, updated_since=watermark, limit=3, cursor=first["next_cursor"])
    assert {*ids(first), *ids(last)} == events
    assert last["watermark"] != watermark


def test_an_event_that_changes_while_changes_are_paged_is_not_lost(tenant: Tenant, user: CalendarUser) -> None:
    watermark = listing(tenant, user)["watermark"]
    events = sorted((tenant.add_event(user) for _ in range(4)), key=lambda event: event.id)
    first = listing(tenant, user, updated_since=watermark, limit=2)
    touch(tenant, events[0], "title = 'again'")
    touch(tenant, events[3], "start_at = start_at - interval '1 hour'")
    last = listing(tenant, user, updated_since=watermark, limit=2, cursor=first["next_cursor"])
    assert [*ids(first), *ids(last)] == [event.id for event in events]
    assert events[0].id in ids(listing(tenant, user, updated_since=last["watermark"]))


@pytest.mark.parametrize("change", ["flip", "cut", "longer", "other"])
def test_a_tampered_watermark_is_400(tenant: Tenant, user: CalendarUser, change: str) -> None:
    watermark = listing(tenant, user)["watermark"]
    middle = len(watermark) // 2
    flipped = "A" if watermark[middle] != "A" else "B"
    made = {
        "flip": watermark[:middle] + flipped + watermark[middle + 1 :],
        "cut": watermark[:-3],
        "longer": watermark + "A",
        "other": "nonsense",
    }[change]
    answer = tenant.get(f"/calendar/users/{user.id}/events", params={"updated_since": made})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_watermark")


def test_a_watermark_older_than_tombstones_is_410(tenant: Tenant, user: CalendarUser) -> None:
    current = parse_watermark(listing(tenant, user)["watermark"])
    for watermark in (
        Watermark(current.xid, datetime.now(UTC) - timedelta(days=30, seconds=1)),
        Watermark(current.xid + 10**9, datetime.now(UTC)),
    ):
        answer = tenant.get(f"/calendar/users/{user.id}/events", params={"updated_since": str(watermark)})
        assert (answer.status_code, answer.json()["code"]) == (410, "watermark_expired")
    young = Watermark(current.xid, datetime.now(UTC) - timedelta(days=29))
    assert listing(tenant, user, updated_since=str(young))["data"] == []


def test_a_cursor_holds_only_for_its_own_question(tenant: Tenant, user: CalendarUser) -> None:
    other = tenant.add_user(customer_user_id="customer-2")
    for _ in range(2):
        tenant.add_event(user)
    cursor = listing(tenant, user, limit=1)["next_cursor"]
    for path, query in (
        (f"/calendar/users/{user.id}/events", {"decision": "skip"}),
        (f"/calendar/users/{other.id}/events", {}),
    ):
        answer = tenant.get(path, params={"cursor": cursor, **query})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_filters_select(tenant: Tenant, user: CalendarUser) -> None:
    early = tenant.add_event(user, start_at=in_hours(1), outcome="record", reason="rule_matched")
    late = tenant.add_event(user, start_at=in_hours(10), meeting_url=None, meeting_platform="none", calendar_id="team")
    boundary = in_hours(1.25).isoformat()
    assert ids(listing(tenant, user, decision="record")) == [early.id]
    assert ids(listing(tenant, user, has_meeting_url="false")) == [late.id]
    assert ids(listing(tenant, user, calendar_id="team")) == [late.id]
    assert ids(listing(tenant, user, to=boundary)) == [early.id]
    assert ids(listing(tenant, user, **{"from": boundary})) == [early.id, late.id]
    assert ids(listing(tenant, user, **{"from": in_hours(1.5).isoformat()})) == [late.id]


@pytest.mark.parametrize("value", ["yesterday", "2026-01-01T10:00:00", "1700000000", "2026-13-01T00:00:00Z"])
def test_a_time_without_offset_or_sense_is_422(tenant: Tenant, user: CalendarUser, value: str) -> None:
    answer = tenant.get(f"/calendar/users/{user.id}/events", params={"from": value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "from"


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01 00:00:00Z"])
def test_far_away_times_are_taken(tenant: Tenant, user: CalendarUser, value: str) -> None:
    listing(tenant, user, **{"from": value})


def test_a_plus_sign_that_was_not_escaped_is_understood(tenant: Tenant, user: CalendarUser) -> None:
    assert tenant.get(f"/calendar/users/{user.id}/events?from=2026-01-01T00:00:00+02:00").status_code == 200


def test_one_call_answers_why_an_event_was_recorded(tenant: Tenant, user: CalendarUser) -> None:
    colleague = tenant.add_user(customer_user_id="customer-2")
    event = tenant.add_event(user, outcome="record", reason="rule_matched", provider_event_id="e1")
    copy = tenant.add_event(colleague, provider_event_id="e1", outcome="record", reason="rule_matched")
    bystander = tenant.add_event(
        tenant.add_user(customer_user_id="customer-3"), provider_event_id="e1", reason="owner_declined"
    )
    tenant.add_claim(user, event)
    tenant.add_claim(colleague, copy)
    tenant.add_bot(event.meeting_key, state="cancelled", created_at=in_hours(-2))
    bot = tenant.add_bot(event.meeting_key, state="completed", outcome="completed", generation=2, recorded_seconds=60)
    answer = tenant.get(f"/calendar/users/{user.id}/events/{event.id}").json()
    assert (answer["bot_id"], answer["bot"]["outcome"], answer["bot"]["recorded_seconds"]) == (bot.id, "completed", 60)
    assert answer["bot"]["claims"] == sorted([user.id, colleague.id])
    claimed = {copy["calendar_user_id"]: copy["claimed"] for copy in answer["deduplication"]["copies"]}
    assert claimed == {user.id: True, colleague.id: True, bystander.calendar_user_id: False}


def test_another_calendar_users_event_is_404(tenant: Tenant, user: CalendarUser) -> None:
    event = tenant.add_event(tenant.add_user(customer_user_id="customer-2"))
    assert tenant.get(f"/calendar/users/{user.id}/events/{event.id}").status_code == 404
