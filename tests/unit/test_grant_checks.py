"""A revocation is noticed within five minutes, however slow polls are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.watch import WatchActivity
from meetbot.calendars.lost_access import notices_due
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.domain.grant_checks import NOTICED_WITHIN, PROOF_LASTS, is_poll_due, next_look, proof_for_poll
from meetbot.domain.testing_mode import ended_as_in_testing
from meetbot.temporal.calendar_messages import UNCHANGED, WatchRequest
from meetbot.temporal.messages import SyncRequest, SyncResult

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INSTANTS = st.integers(0, 366 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds))
IDS = st.text("abcdefgh", min_size=1, max_size=8)
INTERVALS = st.integers(1, 3600).map(lambda seconds: timedelta(seconds=seconds))


@given(INSTANTS, IDS, INTERVALS)
def test_no_calendar_goes_unseen_for_longer_than_five_minutes(now: datetime, user: str, interval: timedelta) -> None:
    assert now < next_look(now, user, interval) <= now + min(interval, NOTICED_WITHIN)


@given(INSTANTS, IDS, INTERVALS)
def test_a_poll_is_due_once_its_slot_has_passed(now: datetime, user: str, interval: timedelta) -> None:
    assert is_poll_due(now, user, interval, now - interval - timedelta(seconds=1))
    assert not is_poll_due(now, user, interval, now)
    assert is_poll_due(now, user, interval, None)


@given(INSTANTS, IDS)
def test_a_poll_that_was_wanted_and_failed_is_due_although_its_slot_is_far(now: datetime, user: str) -> None:
    hour, before, after = timedelta(hours=1), now - timedelta(seconds=2), now - timedelta(seconds=1)
    assert is_poll_due(now, user, hour, before, wanted_at=after)
    assert not is_poll_due(now, user, hour, now, wanted_at=after)


def test_a_poll_at_microsoft_proves_nothing_and_one_at_google_all() -> None:
    assert proof_for_poll(Provider.GOOGLE) is None
    assert proof_for_poll(Provider.MICROSOFT) == PROOF_LASTS < NOTICED_WITHIN


@pytest.mark.parametrize(
    ("hours", "notices"), [(0, 1), (23, 1), (24, 2), (71, 2), (72, 3), (167, 3), (168, 4), (24 * 400, 4)]
)
def test_a_loss_is_told_at_once_and_after_one_three_and_seven_days(hours: int, notices: int) -> None:
    assert notices_due(timedelta(hours=hours)) == notices


@pytest.mark.parametrize(
    ("hours", "expected"), [(167.8, False), (167.9, True), (168, True), (169.2, True), (171, True), (171.1, False)]
)
def test_seven_days_are_meant_with_the_hours_around_them(hours: float, expected: bool) -> None:
    ended_at = NOW + timedelta(hours=hours)
    assert ended_as_in_testing(Provider.GOOGLE, consented_at=NOW, ended_at=ended_at) is expected
    assert not ended_as_in_testing(Provider.MICROSOFT, consented_at=NOW, ended_at=ended_at)
    assert not ended_as_in_testing(Provider.GOOGLE, consented_at=None, ended_at=ended_at)


def watched(
    needs_poll: Callable[[WatchRequest, datetime | None], bool], *, attempt: int, wait_seconds: int
) -> tuple[int, ApplicationError]:
    """Run one attempt of a watch; return how often it synced, and how it failed."""
    syncs: list[SyncRequest] = []

    def sync(request: SyncRequest) -> SyncResult:
        syncs.append(request)
        return SyncResult(CalendarUserStatus.ACTIVE, "digest", None, wait_seconds=wait_seconds)

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    watch = WatchActivity(sync, lambda: NOW, needs_poll)
    request = WatchRequest("ten_1", "cu_1", "digest", CalendarUserStatus.ACTIVE, 300, False, wait_seconds)
    with pytest.raises(ApplicationError) as failed:
        environment.run(watch.watch, request)
    return len(syncs), failed.value


def test_an_attempt_between_slow_polls_only_proves_the_grant() -> None:
    syncs, failure = watched(lambda *_: False, attempt=2, wait_seconds=3600)
    assert (syncs, failure.type) == (0, UNCHANGED)
    assert failure.next_retry_delay is not None
    assert failure.next_retry_delay <= NOTICED_WITHIN


def test_a_slow_poll_that_is_due_is_done() -> None:
    assert watched(lambda *_: True, attempt=2, wait_seconds=3600)[0] == 1


def test_usual_polls_are_no_grant_checks() -> None:
    assert watched(lambda *_: False, attempt=2, wait_seconds=0)[0] == 1
