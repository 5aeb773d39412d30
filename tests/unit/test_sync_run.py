"""What a sync is kept as: what set it off, what it came to, which runs are counted together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from meetbot.domain.sync_run import SyncStart, SyncTrigger, ended, trigger_of

NINE = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def start(at: datetime = NINE) -> SyncStart:
    return SyncStart(SyncTrigger.POLL, at)


@pytest.mark.parametrize(
    ("code", "changed", "removed", "result"),
    [(None, 0, 0, "unchanged"), (None, 1, 0, "changed"), (None, 0, 1, "changed"), ("timeout", 0, 0, "timeout")],
)
def test_a_run_is_named_by_what_it_came_to(code: str | None, changed: int, removed: int, result: str) -> None:
    run = ended(start(), NINE + MINUTE, code=code, changed=changed, removed=removed)
    assert (run.result, run.is_quiet, run.milliseconds) == (result, result == "unchanged", 60_000)


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    assert ended(start(), NINE - MINUTE).milliseconds == 0


@pytest.mark.parametrize(
    ("quiet_from", "joins"),
    [
        (NINE - 5 * MINUTE, True),
        (NINE - 6 * MINUTE, False),
        (None, False),
        ((NINE - 5 * MINUTE).astimezone(timezone(timedelta(hours=5, minutes=30))), True),
    ],
)
def test_quiet_runs_of_one_hour_are_counted_together(quiet_from: datetime | None, joins: bool) -> None:
    assert ended(start(), NINE).joins(quiet_from) is joins
    assert not ended(start(), NINE, changed=1).joins(quiet_from)


@pytest.mark.parametrize(
    ("asked", "notified", "is_read", "trigger"),
    [
        (None, None, True, SyncTrigger.POLL),
        (NINE + MINUTE, NINE + MINUTE, True, SyncTrigger.MANUAL),
        (NINE - MINUTE, NINE + MINUTE, True, SyncTrigger.PUSH),
        (NINE - MINUTE, NINE - MINUTE, True, SyncTrigger.POLL),
        (NINE + MINUTE, None, False, SyncTrigger.RULES),
    ],
)
def test_what_came_since_the_last_sync_set_this_one_off(
    asked: datetime | None, notified: datetime | None, is_read: bool, trigger: SyncTrigger
) -> None:
    assert trigger_of(calendar_is_read=is_read, last=NINE, asked_at=asked, notified_at=notified) is trigger
