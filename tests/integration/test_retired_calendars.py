"""A calendar that disappears, refuses or shows free-busy only retires alone, and says so."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meetbot.domain.account_calendar import PRIMARY
from meetbot.domain.calendar_health import GONE
from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from tests.integration.calendars import (
    ADA,
    BOSS,
    claims,
    known,
    list_path,
    live,
    of_two,
    reading_the_boss,
    share,
    titles,
    unshare,
    view_path,
)
from tests.integration.meetings import BOTH, dispatch
from tests.rig import Rig

pytestmark = pytest.mark.stack

DAY = timedelta(hours=25)


def refuse(rig: Rig, provider: Provider, calendar_id: str) -> None:
    reason = "forbidden" if provider is Provider.GOOGLE else "ErrorAccessDenied"
    rig.sandbox.fault(path=view_path(provider, calendar_id), status=403, reason=reason)


def reasons(rig: Rig, user: str) -> dict[str, tuple[bool, str]]:
    return {event.title: (event.deleted, event.reason) for event in rig.events(user)}


@BOTH
def test_a_deleted_calendar_takes_its_meetings_along_and_no_others(rig: Rig, provider: Provider) -> None:
    user, second = of_two(rig, provider)
    key = next(name for name in rig.sandbox.http.get("/control/accounts").json()[0]["calendars"] if not name["primary"])
    rig.sandbox.http.delete(f"/control/accounts/{ADA}/calendars/{key['id']}").raise_for_status()
    assert len(rig.planned(user)) == 1
    assert titles(rig, user) == ["first"]
    assert known(rig, user)[second].error_code == GONE
    assert rig.calendar_user(user).state == "active"


@BOTH
def test_a_calendar_shared_no_more_is_gone_at_once(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    unshare(rig, BOSS)
    assert len(rig.planned(user)) == 1
    assert reasons(rig, user)["the boss's"] == (True, "cancelled")
    assert known(rig, user)[shared].error_code == GONE
    share(rig, BOSS)
    for _ in range(2):
        rig.sync(user)
    assert titles(rig, user) == ["ada's", "the boss's"]


@BOTH
def test_a_calendar_that_refuses_keeps_its_bots_for_the_grace(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    rig.set_tenant(revoked_grace_hours=24)
    refuse(rig, provider, shared)
    assert len(rig.planned(user)) == 2
    assert known(rig, user)[shared].error_code == "calendar_refused"
    assert rig.calendar_user(user).error_code == "calendars_incomplete"
    assert titles(rig, user) == ["ada's", "the boss's"]


@BOTH
def test_after_the_grace_a_refused_calendars_meetings_are_let_go_of(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    rig.set_tenant(revoked_grace_hours=0)
    refuse(rig, provider, shared)
    rig.sync(user)
    assert len(claims(rig, user)) == 2
    rig.clock.offset += timedelta(minutes=11)
    assert len(rig.planned(user)) == 1
    assert reasons(rig, user) == {"ada's": (False, "rule_matched"), "the boss's": (True, "access_revoked")}
    assert claims(rig, user) == [event.id for event in live(rig, user)]


@BOTH
def test_a_refused_calendar_that_answers_again_is_as_before(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    rig.set_tenant(revoked_grace_hours=0)
    refuse(rig, provider, shared)
    rig.sync(user)
    rig.clock.offset += timedelta(minutes=11)
    rig.sync(user)
    rig.sandbox.clear_faults()
    assert len(rig.planned(user)) == 2
    assert reasons(rig, user)["the boss's"] == (False, "rule_matched")
    assert known(rig, user)[shared].error_code is None
    assert rig.calendar_user(user).error_code is None


@BOTH
def test_an_outage_of_one_calendar_never_retires_it(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    rig.set_tenant(revoked_grace_hours=0)
    rig.sandbox.fault(path=view_path(provider, shared), status=503, reason="backendError")
    rig.sync(user)
    rig.clock.offset += timedelta(minutes=20)
    assert len(rig.planned(user)) == 2
    assert known(rig, user)[shared].error_code == "provider_unavailable"


@BOTH
def test_a_calendar_that_turns_free_busy_only_retires_alone(rig: Rig, provider: Provider) -> None:
    user, shared = reading_the_boss(rig, provider)
    rig.set_tenant(revoked_grace_hours=1)
    share(rig, BOSS, role="freeBusyReader")
    assert len(rig.planned(user)) == 2
    assert known(rig, user)[shared].error_code == "free_busy_only"
    rig.clock.offset += timedelta(minutes=30)
    rig.sync(user)
    assert titles(rig, user) == ["ada's", "the boss's"]
    rig.clock.offset += timedelta(minutes=31)
    rig.sync(user)
    assert titles(rig, user) == ["ada's"]
    assert known(rig, user)[PRIMARY].is_read


@BOTH
def test_a_bot_goes_on_what_was_known_before_its_calendar_turned_free_busy_only(rig: Rig, provider: Provider) -> None:
    user, _ = reading_the_boss(rig, provider)
    theirs = next(event for event in live(rig, user) if event.title == "the boss's")
    step = rig.bot_activities.reconcile(rig.ref(theirs.meeting_key))
    share(rig, BOSS, role="freeBusyReader")
    dispatch(rig, theirs.meeting_key, step)
    assert len(rig.sandbox.jobs()) == 1


@BOTH
def test_a_list_of_calendars_that_fails_retires_nothing(rig: Rig, provider: Provider) -> None:
    user, second = of_two(rig, provider)
    rig.sandbox.fault(path=list_path(provider), status=503, reason="backendError")
    with pytest.raises(RetryLater):
        rig.sync(user)
    assert titles(rig, user) == ["first", "second"]
    assert known(rig, user)[second].is_read


@BOTH
def test_a_list_without_a_calendar_that_is_still_there_retires_nothing(rig: Rig, provider: Provider) -> None:
    user, second = of_two(rig, provider)
    name = "items" if provider is Provider.GOOGLE else "value"
    entries = rig_list(rig, provider)
    body = {"kind": "calendar#calendarList", name: [entry for entry in entries if is_own(entry)]}
    match = {"path_regex": f"{list_path(provider)}$"}
    rig.sandbox.post("/control/faults", {"match": match, "action": {"status": 200, "body": body}})
    assert len(rig.planned(user)) == 2
    assert known(rig, user)[second].error_code == "calendar_not_listed"
    rig.sandbox.clear_faults()
    rig.sync(user)
    assert known(rig, user)[second].error_code is None


def rig_list(rig: Rig, provider: Provider) -> list[dict[str, object]]:
    (account,) = rig.sandbox.http.get("/control/accounts").json()
    own = {"owner": {"name": "ada", "address": ADA}, "canEdit": True}
    if provider is Provider.GOOGLE:
        return [{"id": one["id"], "primary": one["primary"], "accessRole": "owner"} for one in account["calendars"]]
    return [{"id": one["graph_id"], "isDefaultCalendar": one["primary"]} | own for one in account["calendars"]]


def is_own(entry: dict[str, object]) -> bool:
    return bool(entry.get("primary") or entry.get("isDefaultCalendar"))


def test_a_list_that_may_no_longer_be_read_keeps_the_calendars_for_the_grace(rig: Rig) -> None:
    user, second = of_two(rig, Provider.GOOGLE)
    rig.sandbox.fault(path=list_path(Provider.GOOGLE), status=403, reason="insufficientPermissions")
    assert len(rig.planned(user)) == 2
    assert known(rig, user)[second].error_code == "calendar_list_denied"
    rig.clock.offset += DAY
    rig.sync(user)
    assert known(rig, user)[second].refused_since is not None
