from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.driver import Driver

ADA, GRACE = "ada@acme.test", "grace@acme.test"


def _now(sandbox: Driver) -> datetime:
    return datetime.fromisoformat(sandbox.control("GET", "/clock")["now"])


def test_a_frozen_clock_stands_until_it_is_moved(sandbox: Driver) -> None:
    at = sandbox.freeze("2026-03-01T12:00:00+00:00")
    sandbox.control("POST", "/clock", {"advance_seconds": 90})
    assert _now(sandbox) == at + timedelta(seconds=90)


def test_a_released_clock_runs_on_from_where_it_stood(sandbox: Driver) -> None:
    at = sandbox.freeze("2026-03-01T12:00:00+00:00")
    sandbox.control("POST", "/clock", {"frozen": False})
    first = _now(sandbox)
    assert at <= first <= _now(sandbox)
    assert first < at + timedelta(minutes=1)


def test_an_offset_counts_from_real_time(sandbox: Driver) -> None:
    reading = sandbox.control("POST", "/clock", {"offset_seconds": 3600})
    assert (reading["frozen"], reading["offset_seconds"]) == (False, 3600)


def test_reset_brings_back_the_seed(sandbox: Driver) -> None:
    sandbox.control("POST", "/reset", {"seed": True})
    people = sandbox.control("GET", "/overview")["accounts"]
    assert [person["email"] for person in people] == [ADA, GRACE, "carl@customer.test"]
    assert all(person["events"] for person in people)


def test_deleting_an_account_deletes_its_tokens(sandbox: Driver) -> None:
    token = sandbox.connect("google", ADA)["access_token"]
    sandbox.control("DELETE", f"/accounts/{ADA}")
    assert sandbox.google(token, "/calendars/primary/events").status_code == 401
    assert sandbox.http.delete(f"{sandbox.base}/control/accounts/{ADA}").status_code == 404


def test_an_account_exists_once(sandbox: Driver) -> None:
    body = {"email": ADA.upper(), "provider": "google"}
    assert sandbox.http.post(f"{sandbox.base}/control/accounts", json=body).status_code == 409


def test_the_overview_says_who_is_connected_and_what_they_have(sandbox: Driver) -> None:
    sandbox.event(ADA, title="Review", attendees=[GRACE])
    sandbox.connect("google", ADA)
    ada, grace = sandbox.control("GET", "/overview")["accounts"]
    assert (ada["connected"], grace["connected"]) == (True, False)
    assert (ada["events"][0]["is_organizer"], grace["events"][0]["answer"]) == (True, "needsAction")


def test_an_occurrence_is_cancelled_and_restored_alone(sandbox: Driver) -> None:
    at = "2026-01-06T09:00:00Z"
    key = sandbox.event(ADA, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])["key"]
    sandbox.control("DELETE", f"/events/{key}", original_start=at)
    cancelled = [each["cancelled"] for each in sandbox.control("GET", f"/accounts/{ADA}/events")]
    sandbox.control("POST", f"/events/{key}/restore", original_start=at)
    restored = [each["cancelled"] for each in sandbox.control("GET", f"/accounts/{ADA}/events")]
    assert (cancelled, restored) == ([False, True, False], [False, False, False])


def test_an_answer_can_be_for_one_occurrence(sandbox: Driver) -> None:
    at = "2026-01-06T09:00:00Z"
    series = {"start": "2026-01-05T09:00:00Z", "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]}
    key = sandbox.event(ADA, attendees=[GRACE], **series)["key"]
    body = {"email": GRACE, "answer": "declined", "original_start": at}
    sandbox.control("POST", f"/events/{key}/respond", body)
    answers = [each["answer"] for each in sandbox.control("GET", f"/accounts/{GRACE}/events")]
    assert answers == ["needsAction", "declined", "needsAction"]


def test_moving_a_series_drops_changes_of_occurrences_it_no_longer_has(sandbox: Driver) -> None:
    key = sandbox.event(ADA, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])["key"]
    sandbox.control("DELETE", f"/events/{key}", original_start="2026-01-06T09:00:00Z")
    sandbox.control("PATCH", f"/events/{key}", {"shift_minutes": 60})
    starts = [each["start"] for each in sandbox.control("GET", f"/accounts/{ADA}/events")]
    assert starts == [f"2026-01-0{day}T10:00:00Z" for day in (5, 6, 7)]


def test_an_organiser_may_decline_their_own_meeting(sandbox: Driver) -> None:
    key = sandbox.event(ADA)["key"]
    document = sandbox.control("POST", f"/events/{key}/respond", {"email": ADA, "answer": "declined"})
    assert document["attendees"][0]["answer"] == "declined"


def test_many_events_can_be_created_at_once(sandbox: Driver) -> None:
    bodies = [{"title": str(number), "starts_in_minutes": number} for number in range(50)]
    keys = sandbox.control("POST", f"/accounts/{ADA}/events/bulk", bodies)["keys"]
    assert len(set(keys)) == 50


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"starts_in_minutes": 1, "recurrence": ["RRULE:FREQ=SECONDLY"]},
        {"starts_in_minutes": 1, "recurrence": ["nonsense"]},
        {"starts_in_minutes": 1, "recurrence": ["RRULE:FREQ=DAILY;BYDAY=XX"]},
        {"starts_in_minutes": 1, "time_zone": "Mars/Olympus"},
        {"start": "2026-01-05T09:00:00", "title": "no offset"},
        {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T08:00:00Z"},
        {"starts_in_minutes": 1, "surprise": True},
        {"starts_in_minutes": 1, "attendees": ["nobody"]},
    ],
)
def test_a_wrong_event_is_refused_and_nothing_stored(sandbox: Driver, body: dict[str, Any]) -> None:
    answer = sandbox.http.post(f"{sandbox.base}/control/accounts/{ADA}/events", json=body)
    assert answer.status_code == 422, answer.text
    assert sandbox.control("GET", f"/accounts/{ADA}/events") == []


def test_an_occurrence_that_the_series_does_not_have_is_not_found(sandbox: Driver) -> None:
    key = sandbox.event(ADA, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=3"])["key"]
    params = {"original_start": "2026-01-06T09:30:00Z"}
    assert sandbox.http.delete(f"{sandbox.base}/control/events/{key}", params=params).status_code == 404


def test_a_page_of_another_site_cannot_change_the_sandbox(sandbox: Driver) -> None:
    headers = {"Origin": "http://elsewhere.test"}
    answer = sandbox.http.post(f"{sandbox.base}/control/reset", json={}, headers=headers)
    assert answer.status_code == 403
    assert len(sandbox.control("GET", "/accounts")) == 2


def test_the_page_loads_nothing_from_elsewhere(sandbox: Driver) -> None:
    page = sandbox.http.get(f"{sandbox.base}/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in ("/static/console.js", "/static/sandbox.css"):
        assert path in page.text
        assert sandbox.http.get(f"{sandbox.base}{path}").status_code == 200


def test_the_control_api_documents_itself(sandbox: Driver) -> None:
    paths = sandbox.http.get(f"{sandbox.base}/openapi.json").json()["paths"]
    assert {"/control/clock", "/control/faults", "/control/accounts/{email}/events"} <= set(paths)
