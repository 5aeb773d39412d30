from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.driver import Driver

ADA = "ada@acme.test"
CARL = "carl@customer.test"
DAILY = {"start": "2026-01-05T09:00:00Z", "recurrence": ["RRULE:FREQ=DAILY"]}


@pytest.fixture
def token(sandbox: Driver) -> str:
    return str(sandbox.connect("google", ADA)["access_token"])


def _sync(sandbox: Driver, token: str, sync_token: str | None = None, **params: Any) -> tuple[list[Any], str]:
    """All pages; the items and the next sync token."""
    items: list[Any] = []
    first = {"syncToken": sync_token} if sync_token else {}
    page = sandbox.google_events(token, **first, **params)
    while True:
        items += page["items"]
        if "nextPageToken" not in page:
            return items, page["nextSyncToken"]
        assert "nextSyncToken" not in page
        page = sandbox.google_events(token, pageToken=page["nextPageToken"], **first, **params)


def _brief(items: list[Any]) -> list[tuple[str, str]]:
    return [(item["status"], item.get("summary", "")) for item in items]


def test_pages_add_up_and_only_the_last_has_a_sync_token(sandbox: Driver, token: str) -> None:
    for number in range(5):
        sandbox.event(ADA, title=str(number))
    items, _ = _sync(sandbox, token, maxResults=2)
    assert [item["summary"] for item in items] == ["0", "1", "2", "3", "4"]


def test_a_sync_without_changes_is_empty(sandbox: Driver, token: str) -> None:
    sandbox.event(ADA)
    _, since = _sync(sandbox, token)
    assert _sync(sandbox, token, since)[0] == []


def test_a_sync_lists_new_changed_and_deleted_events(sandbox: Driver, token: str) -> None:
    kept, gone = sandbox.event(ADA, title="kept")["key"], sandbox.event(ADA, title="gone")["key"]
    sandbox.event(ADA, title="untouched")
    _, since = _sync(sandbox, token)
    sandbox.control("PATCH", f"/events/{kept}", {"title": "renamed"})
    sandbox.control("DELETE", f"/events/{gone}")
    sandbox.event(ADA, title="new")
    items, _ = _sync(sandbox, token, since)
    assert _brief(items) == [("confirmed", "renamed"), ("cancelled", ""), ("confirmed", "new")]
    assert set(items[1]) == {"kind", "etag", "id", "status"}


def test_a_change_during_the_traversal_is_not_lost(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, title="a")["key"]
    sandbox.event(ADA, title="b")
    first = sandbox.google_events(token, maxResults=1)
    sandbox.control("PATCH", f"/events/{key}", {"title": "changed meanwhile"})
    last = sandbox.google_events(token, maxResults=1, pageToken=first["nextPageToken"])
    items, _ = _sync(sandbox, token, last["nextSyncToken"], maxResults=1)
    assert _brief(items) == [("confirmed", "changed meanwhile")]


def test_a_deleted_occurrence_is_listed_with_its_master(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, **DAILY)["key"]
    _, since = _sync(sandbox, token)
    sandbox.control("DELETE", f"/events/{key}", original_start="2026-01-08T09:00:00Z")
    (master, skeleton), _ = _sync(sandbox, token, since)
    assert master["recurrence"] == ["RRULE:FREQ=DAILY"]
    assert (skeleton["status"], skeleton["recurringEventId"]) == ("cancelled", master["id"])


def test_a_deleted_series_is_listed_once_and_without_details(sandbox: Driver, token: str) -> None:
    created = sandbox.event(ADA, **DAILY)
    _, since = _sync(sandbox, token)
    sandbox.control("DELETE", f"/events/{created['key']}")
    ((skeleton,), _) = _sync(sandbox, token, since)
    assert (set(skeleton), skeleton["id"]) == ({"kind", "etag", "id", "status"}, created["copies"][0]["event_id"])


def test_this_and_following_ends_the_series_and_starts_one_with_another_uid(sandbox: Driver, token: str) -> None:
    created = sandbox.event(ADA, **DAILY)
    _, since = _sync(sandbox, token)
    at = "2026-01-08T09:00:00Z"
    sandbox.control("POST", f"/events/{created['key']}/split", {"original_start": at, "shift_minutes": 60})
    (old, new), _ = _sync(sandbox, token, since)
    assert old["recurrence"] == ["RRULE:FREQ=DAILY;UNTIL=20260108T085959Z"]
    assert new["id"] == f"{old['id']}_R20260108T090000"
    assert new["iCalUID"] == f"{old['id']}_R20260108T090000@google.com"
    assert new["start"]["dateTime"] == "2026-01-08T10:00:00Z"


def test_a_changed_series_is_not_cut_to_the_window(sandbox: Driver, token: str) -> None:
    key = sandbox.event(ADA, **DAILY)["key"]
    window = {"timeMin": "2026-01-05T00:00:00Z", "timeMax": "2026-01-12T00:00:00Z"}
    first, since = _sync(sandbox, token, singleEvents="true", **window)
    sandbox.control("PATCH", f"/events/{key}", {"title": "renamed"})
    later, _ = _sync(sandbox, token, since, singleEvents="true")
    assert (len(first), len(later)) == (7, 730)


def test_a_guest_taken_off_the_list_gets_a_cancellation(sandbox: Driver) -> None:
    sandbox.account(CARL)
    carls = sandbox.connect("google", CARL)["access_token"]
    key = sandbox.event(ADA, attendees=[CARL])["key"]
    _, since = _sync(sandbox, carls)
    sandbox.control("PATCH", f"/events/{key}", {"attendees": []})
    off, later = _sync(sandbox, carls, since)
    sandbox.control("PATCH", f"/events/{key}", {"attendees": [CARL]})
    back, _ = _sync(sandbox, carls, later)
    assert ([item["status"] for item in off], [item["status"] for item in back]) == (["cancelled"], ["confirmed"])


def test_an_expired_sync_token_answers_410(sandbox: Driver, token: str) -> None:
    _, since = _sync(sandbox, token)
    sandbox.control("POST", f"/accounts/{ADA}/expire-sync-tokens")
    answer = sandbox.google(token, "/calendars/primary/events", syncToken=since)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (410, "fullSyncRequired")


def test_a_malformed_sync_token_answers_400(sandbox: Driver, token: str) -> None:
    answer = sandbox.google(token, "/calendars/primary/events", syncToken="nonsense")
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


@pytest.mark.parametrize("name", ["timeMin", "timeMax", "updatedMin"])
def test_a_sync_token_cannot_be_combined_with_a_window(sandbox: Driver, token: str, name: str) -> None:
    _, since = _sync(sandbox, token)
    params = {"syncToken": since, name: "2026-01-05T00:00:00Z"}
    assert sandbox.google(token, "/calendars/primary/events", **params).status_code == 400


def test_a_sync_token_is_invalid_with_other_parameters(sandbox: Driver, token: str) -> None:
    _, since = _sync(sandbox, token)
    answer = sandbox.google(token, "/calendars/primary/events", syncToken=since, singleEvents="true")
    assert answer.status_code == 410


def test_an_ordered_listing_gives_no_sync_token(sandbox: Driver, token: str) -> None:
    listing = sandbox.google_events(token, singleEvents="true", orderBy="startTime")
    assert "nextSyncToken" not in listing
