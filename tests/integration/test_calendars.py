"""Which of an account's calendars are read, and what becomes of the others' meetings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.account_calendar import PRIMARY, AccessRole, CalendarsMode
from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.temporal.messages import SyncScope
from tests.integration.calendars import (
    ADA,
    ZOOM,
    choose,
    claims,
    id_of,
    known,
    live,
    of_two,
    second_calendar,
    titles,
    view_path,
    with_boss,
)
from tests.integration.meetings import BOTH
from tests.rig import Rig

pytestmark = pytest.mark.stack


@BOTH
def test_the_accounts_calendars_are_listed_with_names_and_roles(rig: Rig, provider: Provider) -> None:
    user, shared = with_boss(rig, provider, role="writer")
    own = id_of(second_calendar(rig, provider), provider)
    rig.sync(user)
    listed = known(rig, user)
    roles = {name: (one.calendar.owned, one.calendar.access_role) for name, one in listed.items()}
    assert roles == {
        PRIMARY: (True, AccessRole.OWNER),
        own: (True, AccessRole.OWNER),
        shared: (False, AccessRole.WRITER),
    }
    assert listed[own].calendar.name == "Second"
    assert [name for name in sorted(listed) if listed[name].is_read] == sorted((PRIMARY, own))


@BOTH
def test_what_somebody_shares_is_read_only_once_it_is_named(rig: Rig, provider: Provider) -> None:
    user, shared = with_boss(rig, provider)
    rig.sync(user)
    assert titles(rig, user) == ["ada's"]
    choose(rig, user, CalendarsMode.SELECTED, PRIMARY, shared)
    rig.sync(user)
    assert titles(rig, user) == ["ada's", "the boss's"]
    choose(rig, user, CalendarsMode.OWNED)
    rig.sync(user)
    assert titles(rig, user) == ["ada's"]


@BOTH
def test_a_delegated_calendar_is_re_checked_through_itself(rig: Rig, provider: Provider) -> None:
    user, shared = with_boss(rig, provider, role="owner")
    rig.sync(user)
    choose(rig, user, CalendarsMode.SELECTED, shared)
    (entry,) = rig.planned(user)
    (event,) = live(rig, user)
    raw = rig.services.providers[provider].get_event(
        rig.services.tokens.call(loaded(rig, user), lambda token: token),
        calendar_id=shared,
        provider_event_id=event.provider_event_id,
        timeout_seconds=5,
    )
    assert raw["id"] == event.provider_event_id
    assert entry.meeting_key == event.meeting_key


def loaded(rig: Rig, user: str) -> CalendarUserContext:
    with rig.read() as session:
        context = load_context(session, rig.tenant_id, user)
    assert context is not None
    return context


@BOTH
def test_the_meetings_of_a_deselected_calendar_leave_with_their_claims(rig: Rig, provider: Provider) -> None:
    user, _ = of_two(rig, provider)
    choose(rig, user, CalendarsMode.PRIMARY)
    (entry,) = rig.planned(user)
    left = [event for event in rig.events(user) if event.deleted]
    assert [(event.title, event.outcome, event.reason) for event in left] == [("second", "skip", "cancelled")]
    assert claims(rig, user) == [event.id for event in live(rig, user)]
    assert entry.meeting_key == live(rig, user)[0].meeting_key


@BOTH
def test_a_calendar_selected_again_brings_its_meetings_back(rig: Rig, provider: Provider) -> None:
    user, _ = of_two(rig, provider)
    choose(rig, user, CalendarsMode.PRIMARY)
    rig.sync(user)
    choose(rig, user, CalendarsMode.OWNED)
    assert len(rig.planned(user)) == 2
    assert titles(rig, user) == ["first", "second"]


@BOTH
def test_a_meeting_on_another_selected_calendar_keeps_its_bot(rig: Rig, provider: Provider) -> None:
    rig.sandbox.account(ADA, provider)
    second = second_calendar(rig, provider)
    user = rig.connect(ADA, provider)
    uid = "040000008200E00074C5B7101A82E00800000000" + "11" * 36 if provider is Provider.MICROSOFT else "one@google.com"
    start = (rig.clock() + timedelta(hours=1)).isoformat()
    for where in ({}, {"calendar_id": second["id"]}):
        rig.sandbox.event(ADA, uid=uid, start=start, starts_in_minutes=None, platform=None, meeting_url=ZOOM, **where)
    (before,) = rig.planned(user)
    rig.bot_activities.reconcile(rig.ref(before.meeting_key))
    for mode, ids in ((CalendarsMode.SELECTED, (id_of(second, provider),)), (CalendarsMode.PRIMARY, ())):
        choose(rig, user, mode, *ids)
        (entry,) = rig.planned(user)
        rig.bot_activities.reconcile(rig.ref(entry.meeting_key))
        assert entry.meeting_key == before.meeting_key
        assert claims(rig, user) == [event.id for event in live(rig, user)]
    assert [bot.state for bot in rig.bots()] == ["scheduled"]


@BOTH
def test_a_deselected_calendar_leaves_though_the_provider_is_down(rig: Rig, provider: Provider) -> None:
    user, _ = of_two(rig, provider)
    choose(rig, user, CalendarsMode.PRIMARY)
    rig.sandbox.fault(path="/google/calendar" if provider is Provider.GOOGLE else "/microsoft/v1.0", status=503)
    with pytest.raises(RetryLater):
        rig.sync(user)
    assert titles(rig, user) == ["first"]
    assert len(claims(rig, user)) == 1


@BOTH
def test_deciding_again_lets_go_of_a_deselected_calendar_too(rig: Rig, provider: Provider) -> None:
    user, _ = of_two(rig, provider)
    rig.set_tenant(calendars_mode=CalendarsMode.PRIMARY)
    rig.sync(user, SyncScope.DECISIONS)
    assert titles(rig, user) == ["first"]


@BOTH
def test_an_unchanged_sync_writes_no_calendar(rig: Rig, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    user, second = of_two(rig, provider)
    before = known(rig, user)
    written: list[object] = []
    monkeypatch.setattr("meetbot.storage.account_calendars._record", written.append)
    rig.sync(user)
    assert written == []
    assert known(rig, user) == before
    assert before[second].synced_at(rig.calendar_user(user).last_synced_at) == rig.calendar_user(user).last_synced_at


@BOTH
def test_without_the_accounts_own_calendar_an_outage_is_the_syncs(rig: Rig, provider: Provider) -> None:
    user, shared = with_boss(rig, provider)
    rig.sync(user)
    choose(rig, user, CalendarsMode.SELECTED, shared)
    rig.sync(user)
    before = rig.calendar_user(user).last_synced_at
    rig.sandbox.fault(path=view_path(provider, shared), status=503)
    with pytest.raises(RetryLater):
        rig.sync(user)
    assert rig.calendar_user(user).last_synced_at == before
    assert titles(rig, user) == ["the boss's"]
