"""Syncing calendars of both providers into the real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, OperatorRequired, RetryLater
from meetbot.storage.bots import lock_meeting
from meetbot.storage.overrides import set_override
from meetbot.storage.tables import CalendarUser, Meeting
from meetbot.temporal.messages import SyncScope
from tests.rig import RECORD_EVERYTHING, Rig

pytestmark = pytest.mark.stack

BOTH = pytest.mark.parametrize("provider", list(Provider))


@BOTH
def test_a_meeting_is_stored_decided_and_planned(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sandbox.event(ada, title="Roadmap", platform="zoom")
    result = rig.sync(user)
    (event,) = rig.events(user)
    assert (event.title, event.outcome, event.reason, event.rule) == ("Roadmap", "record", "rule_matched", "everything")
    assert event.meeting_platform == "zoom"
    assert result.state == "active"
    assert result.plan is not None
    assert [entry.join_at for entry in result.plan] == [event.start_at]


@BOTH
def test_an_unchanged_calendar_returns_no_plan_and_writes_no_event(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sandbox.event(ada)
    rig.sync(user)
    (before,) = rig.events(user)
    again = rig.sync(user)
    (after,) = rig.events(user)
    assert again.plan is None
    assert again.changed == 0
    assert after.change_xid == before.change_xid


@BOTH
def test_a_moved_meeting_keeps_its_key_and_changes_its_target(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    (before,) = rig.planned(user)
    rig.sandbox.change(event, shift_minutes=30)
    (after,) = rig.planned(user)
    assert after.meeting_key == before.meeting_key
    assert after.join_at == before.join_at + timedelta(minutes=30)
    assert after.target_digest != before.target_digest


@BOTH
def test_a_cancelled_meeting_leaves_the_plan_and_stays_as_a_tombstone(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada, title="Roadmap")
    rig.sync(user)
    rig.sandbox.cancel(event)
    result = rig.sync(user)
    (stored,) = rig.events(user)
    assert result.plan == ()
    assert (stored.deleted, stored.outcome, stored.reason) == (True, "skip", "cancelled")
    assert stored.title == "Roadmap"


@BOTH
def test_a_restored_meeting_is_planned_again_under_the_same_key(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    (before,) = rig.planned(user)
    rig.sandbox.cancel(event)
    rig.sync(user)
    rig.sandbox.restore(event)
    (after,) = rig.planned(user)
    assert after.meeting_key == before.meeting_key


def test_two_colleagues_on_different_providers_share_one_meeting_key(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test", Provider.GOOGLE)
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    first, second = rig.connect(ada, Provider.GOOGLE), rig.connect(grace, Provider.MICROSOFT)
    rig.sandbox.event(ada, attendees=[grace])
    assert [entry.meeting_key for entry in rig.planned(first)] == [entry.meeting_key for entry in rig.planned(second)]


def test_each_occurrence_of_a_series_is_a_meeting_shared_across_providers(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test", Provider.GOOGLE)
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    first, second = rig.connect(ada, Provider.GOOGLE), rig.connect(grace, Provider.MICROSOFT)
    rig.sandbox.event(grace, attendees=[ada], recurrence=["RRULE:FREQ=DAILY;COUNT=5"], platform="microsoft_teams")
    mine = {entry.meeting_key for entry in rig.planned(first)}
    theirs = {entry.meeting_key for entry in rig.planned(second)}
    assert len(mine) == 2
    assert mine == theirs


def test_a_failed_listing_cancels_nothing(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3", status=503)
    with pytest.raises(RetryLater):
        rig.sync(user)
    rig.sandbox.clear_faults()
    (event,) = rig.events(user)
    assert not event.deleted
    assert rig.sync(user).plan is None


def test_an_outage_disconnects_nobody_and_shows_on_the_calendar_user(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3", status=500)
    with pytest.raises(RetryLater):
        rig.sync(user)
    row = rig.calendar_user(user)
    assert row.state == "active"
    assert row.error_code


def test_our_own_wrong_client_secret_disconnects_nobody(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.fault(path="/google/token", status=401, body={"error": "invalid_client"})
    with pytest.raises(OperatorRequired):
        rig.sync(user)
    assert rig.calendar_user(user).state == "connecting"


@BOTH
def test_a_provider_that_rejects_fresh_tokens_disconnects_nobody_for_hours(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sync(user)
    api = "/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0"
    rig.sandbox.fault(path=api, status=401, reason="authError")
    with pytest.raises(AccessTokenRejected):
        rig.sync(user)
    assert (rig.calendar_user(user).state, rig.calendar_user(user).error_code) == ("active", "access_token_rejected")
    rig.clock.offset = timedelta(hours=7)
    assert rig.sync(user).state == "needs_reconnect"


@BOTH
def test_a_revoked_grant_asks_for_a_reconnect_and_keeps_bots_for_the_grace_period(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sandbox.event(ada)
    (planned,) = rig.planned(user)
    rig.sandbox.post(f"/control/accounts/{ada}/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    result = rig.sync(user)
    assert result.state == "needs_reconnect"
    assert rig.calendar_user(user).state == "needs_reconnect"
    (told,) = [data for event_type, data in rig.webhook_events() if event_type == "calendar_user.needs_reconnect"]
    assert told["reconnect_url"].startswith(f"{rig.settings.public_url}/v1/calendar/reconnect/")
    (kept,) = rig.planned(user)
    assert kept.meeting_key == planned.meeting_key


def test_without_a_grace_period_a_revoked_grant_withdraws_the_bots_at_once(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.set_tenant(revoked_grace_hours=0)
    rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.post(f"/control/accounts/{ada}/revoke", {})
    rig.services.tokens.forget(rig.tenant_id, user)
    assert rig.sync(user).plan == ()
    (event,) = rig.events(user)
    assert (event.outcome, event.reason) == ("skip", "access_revoked")


@BOTH
def test_an_expired_access_token_is_refreshed_during_the_sync(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    rig.sync(user)
    rig.sandbox.post(f"/control/accounts/{ada}/expire-access-tokens", {})
    rig.sandbox.event(ada)
    assert rig.sync(user).changed == 1


def test_a_rotated_refresh_token_is_stored_sealed_and_used_next(rig: Rig) -> None:
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    before = rig.calendar_user(user)
    rig.sync(user)
    after = rig.calendar_user(user)
    assert after.token_version == before.token_version + 1
    assert after.refresh_ciphertext != before.refresh_ciphertext
    rig.services.tokens.forget(rig.tenant_id, user)
    assert rig.sync(user).state == "active"


def test_changed_rules_decide_again_without_asking_the_provider(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada, rules={"rules": []})
    rig.sandbox.event(ada)
    assert rig.planned(user) == ()
    asked = rig.sandbox.counts("/google/calendar/v3")
    rig.put_rules(user, RECORD_EVERYTHING)
    result = rig.sync(user, SyncScope.DECISIONS)
    assert result.plan is not None
    assert len(result.plan) == 1
    assert rig.sandbox.counts("/google/calendar/v3") == asked


def test_a_meeting_beyond_the_horizon_is_decided_and_promoted_when_it_comes_near(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sandbox.event(ada, starts_in_minutes=60 * 72)
    assert rig.planned(user) == ()
    (event,) = rig.events(user)
    assert event.outcome == "record"
    rig.clock.offset = timedelta(hours=30)
    assert len(rig.sync(user, SyncScope.DECISIONS).plan or ()) == 1


def test_a_meeting_moved_out_of_the_window_becomes_no_tombstone(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada)
    rig.sync(user)
    rig.sandbox.change(event, starts_in_minutes=60 * 24 * 45)
    assert rig.sync(user).plan == ()
    (stored,) = rig.events(user)
    assert not stored.deleted


def test_a_cancelled_meeting_nobody_ever_saw_is_not_stored(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    event = rig.sandbox.event(ada)
    rig.sandbox.cancel(event)
    rig.sync(user)
    assert rig.events(user) == []


@BOTH
def test_a_meeting_that_becomes_a_series_leaves_no_single_event_behind(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada)
    (single,) = rig.planned(user)
    rig.sandbox.change(event, recurrence=["RRULE:FREQ=WEEKLY;COUNT=3"])
    (first,) = rig.planned(user)
    assert first.meeting_key != single.meeting_key
    assert [stored.recurring for stored in rig.events(user) if not stored.deleted] == [True, True, True]


@BOTH
def test_what_was_decided_stays_readable_when_a_past_meeting_is_deleted(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    event = rig.sandbox.event(ada, starts_in_minutes=5, duration_minutes=5)
    rig.sync(user)
    rig.clock.offset = timedelta(minutes=15)
    rig.sandbox.cancel(event)
    rig.sync(user)
    (stored,) = rig.events(user)
    assert stored.deleted
    assert (stored.outcome, stored.reason, stored.rule) == ("record", "rule_matched", "everything")


def test_one_empty_listing_makes_no_tombstone_of_what_is_still_there(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(40):
        rig.sandbox.event(ada, title=f"Meeting {number}", starts_in_minutes=60 + number)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events", status=200, times=1, body={"items": []})
    rig.sync(user)
    assert [event for event in rig.events(user) if event.deleted] == []


def test_a_tombstone_names_no_rule(rig: Rig) -> None:
    grace = rig.sandbox.account("grace@acme.test", Provider.MICROSOFT)
    user = rig.connect(grace, Provider.MICROSOFT)
    event = rig.sandbox.event(grace)
    rig.sync(user)
    rig.sandbox.http.delete(f"/control/accounts/{grace}/events/{event['key']}").raise_for_status()
    rig.sync(user)
    (stored,) = rig.events(user)
    assert stored.deleted
    assert (stored.reason, stored.rule, stored.rule_set_version, stored.rule_layer) == ("cancelled", None, None, None)


def test_a_tombstone_of_an_occurrence_keeps_the_facts_of_what_it_was(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    series = rig.sandbox.event(ada, recurrence=["RRULE:FREQ=DAILY;COUNT=3"], attendees=["bob@acme.test"])
    rig.sync(user)
    first = rig.events(user)[0]
    instance = f"/control/accounts/{ada}/events/{series['key']}"
    rig.sandbox.http.delete(instance, params={"original_start": str(first.original_start)}).raise_for_status()
    rig.sync(user)
    tombstone = next(event for event in rig.events(user) if event.deleted)
    assert tombstone.id == first.id
    assert tombstone.facts == first.facts


@BOTH
def test_overrides_and_suppressions_go_with_occurrences_of_a_moved_series(rig: Rig, provider: Provider) -> None:
    ada = rig.sandbox.account("ada@acme.test", provider)
    user = rig.connect(ada, provider)
    series = rig.sandbox.event(ada, recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
    rig.sync(user)
    first, second, *_ = rig.events(user)
    with rig.database.transaction(rig.tenant_id) as session:
        set_override(session, first, scope="occurrence", recording="skip", set_by="a person", now=rig.clock())
        lock_meeting(session, rig.tenant_id, second.meeting_key).suppressed_at = rig.clock()
    rig.sandbox.change(series, shift_minutes=30)
    rig.sync(user)
    moved = [event for event in rig.events(user) if not event.deleted]
    assert [(event.outcome, event.reason) for event in moved[:2]] == [
        ("skip", "override_skip"),
        ("record", "rule_matched"),
    ]
    assert moved[0].meeting_key != first.meeting_key
    with rig.read() as session:
        assert session.get_one(Meeting, (rig.tenant_id, moved[1].meeting_key)).suppressed_at is not None
        assert session.get(Meeting, (rig.tenant_id, moved[2].meeting_key)) is None


def garbled(rig: Rig, *items: dict[str, object], times: int | None = None) -> None:
    """Have Google list these instead of what is on the calendar."""
    listing = {"accessRole": "owner", "items": list(items)}
    match = {"path_regex": "/google/calendar/v3/calendars/primary/events$"}
    action = {"status": 200, "body": listing}
    rig.sandbox.post("/control/faults", {"match": match, "when": "before", "times": times, "action": action})


NO_START: dict[str, object] = {"id": "nostart", "status": "confirmed", "start": None}
NONSENSE_START: dict[str, object] = {"id": "nonsense", "status": "confirmed", "start": {"dateTime": "soon"}, "end": {}}
FAR_START: dict[str, object] = {
    "id": "faraway",
    "status": "confirmed",
    "start": {"dateTime": "9999-12-31T00:00:00Z"},
    "end": {"dateTime": "9999-12-31T01:00:00Z"},
}


@pytest.mark.parametrize("item", [NO_START, NONSENSE_START, FAR_START], ids=lambda item: str(item["id"]))
def test_an_event_without_a_usable_start_leaves_a_tombstone_when_it_is_gone(rig: Rig, item: dict[str, object]) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    garbled(rig, item, times=1)
    rig.sync(user)
    assert [event.deleted for event in rig.events(user)] == [False]
    rig.sync(user)
    assert [(event.deleted, event.reason) for event in rig.events(user)] == [(True, "cancelled")]


def test_an_event_without_a_usable_start_is_written_once_and_not_at_every_sync(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    garbled(rig, NO_START, times=1)
    rig.sync(user)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events/nostart", status=200, body=NO_START)
    rig.sync(user)
    assert rig.sync(user).changed == 0
    assert [event.deleted for event in rig.events(user)] == [False]


def test_an_event_without_a_usable_start_becomes_no_tombstone_unless_asked_for(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    for number in range(25):
        rig.sandbox.event(ada, starts_in_minutes=60 + number)
    rig.sync(user)
    garbled(rig, NO_START, times=1)
    rig.sync(user)
    garbled(rig, times=1)
    gone = {"path_regex": "/google/calendar/v3/calendars/primary/events/(?!nostart)"}
    rig.sandbox.post("/control/faults", {"match": gone, "when": "before", "action": {"status": 404}})
    rig.sync(user)
    assert sorted(event.deleted for event in rig.events(user)) == [False] + [True] * 25


def test_events_without_a_usable_start_are_asked_for_after_those_that_have_one(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    dated = rig.sandbox.event(ada)
    rig.sync(user)
    (known,) = rig.events(user)
    undated: list[dict[str, object]] = [{"id": f"nostart{number}", "status": "confirmed"} for number in range(40)]
    garbled(rig, *undated, times=1)
    rig.sync(user)
    rig.sandbox.cancel(dated)
    garbled(rig)
    rig.sandbox.fault(path="/google/calendar/v3/calendars/primary/events/nostart", status=503)
    rig.sync(user)
    assert [event.deleted for event in rig.events(user) if event.id == known.id] == [True]


def test_a_refresh_token_that_does_not_open_is_told_and_disconnects_nobody(rig: Rig) -> None:
    ada = rig.sandbox.account("ada@acme.test")
    user = rig.connect(ada)
    rig.sync(user)
    rig.services.tokens.forget(rig.tenant_id, user)
    with rig.database.transaction(rig.tenant_id) as session:
        session.get_one(CalendarUser, (rig.tenant_id, user)).refresh_ciphertext = b"0" * 64
    with pytest.raises(OperatorRequired):
        rig.sync(user)
    with rig.database.transaction(rig.tenant_id) as session:
        stored = session.get_one(CalendarUser, (rig.tenant_id, user))
        assert (stored.state, stored.error_code) == ("active", "secret_unreadable")
