"""Syncing calendars of both providers into the real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.event import Provider
from meetbot.storage.bots import lock_meeting
from meetbot.storage.overrides import set_override
from meetbot.storage.tables import Meeting
from meetbot.temporal.messages import SyncScope
from tests.integration.meetings import BOTH
from tests.rig import RECORD_EVERYTHING, Rig

pytestmark = pytest.mark.stack


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
