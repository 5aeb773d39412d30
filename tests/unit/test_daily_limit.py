"""The limit of bots a day: which meetings it skips, and which it lets go again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from meetbot.calendars.daily_limit import LimitChanges, limit_bots
from meetbot.domain.stored_event import StoredEvent

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def event(name: str, hour: int = 10, **changes: Any) -> StoredEvent:
    start = NOW.replace(hour=0) + timedelta(hours=hour)
    base = StoredEvent(
        id=name, calendar_id="c", provider_event_id=name, fingerprint=b"1", deleted=False, start_at=start,
        end_at=start + timedelta(minutes=30), outcome="record", shared_key=f"m_{name}", meeting_key=f"m_{name}", meeting_url="https://x",
        provider_updated=None, is_organizer=False, claimed_event_id=None, claimed_digest=None,
        acknowledged_digest=None, reason="rule_matched",
    )  # fmt: skip
    return base._replace(**changes)


LIMITED = {"outcome": "skip", "reason": "daily_limit"}
BY_OVERRIDE = {"reason": "override_record"}


def changes(events: list[StoredEvent], most: int) -> LimitChanges:
    return limit_bots(events, most, now=NOW)[1]


def test_the_earliest_of_a_day_are_recorded() -> None:
    events = [event("c", 12), event("a", 10), event("b", 11), event("d", 34)]
    after, found = limit_bots(events, 2, now=NOW)
    assert found == LimitChanges(skipped=("c",))
    assert [one.id for one in after if (one.outcome, one.reason) == ("skip", "daily_limit")] == ["c"]


def test_what_is_claimed_keeps_its_bot_however_many_invitations_come() -> None:
    flood = [event(f"f{number:03}", 9) for number in range(60)]
    assert "own" not in changes([*flood, event("own", 20, claimed_digest="d_1")], 50).skipped


def test_an_override_is_never_skipped_and_takes_its_place() -> None:
    events = [event("a", 10), event("b", 11), event("o", 20, **BY_OVERRIDE), event("p", 21, **BY_OVERRIDE)]
    assert changes(events, 1) == LimitChanges(skipped=("a", "b"))


def test_one_that_was_skipped_is_let_go_when_another_leaves() -> None:
    full = [event("a", 10), event("b", 11), event("c", 12, **LIMITED)]
    assert changes(full, 2) == LimitChanges()
    assert changes([full[0]._replace(deleted=True), *full[1:]], 2) == LimitChanges(allowed=("c",))
    assert changes(full, 3) == LimitChanges(allowed=("c",))


def test_copies_of_one_meeting_count_once() -> None:
    assert changes([event("a"), event("a2", meeting_key="m_a"), event("b", 11)], 2) == LimitChanges()


def test_meetings_that_are_over_count_and_stay_as_they_were() -> None:
    over = event("over", 7)
    assert changes([over, event("a", 10)], 1) == LimitChanges(skipped=("a",))
    assert changes([over, event("a", 10)], 0) == LimitChanges(skipped=("a",))


def test_below_the_limit_nothing_is_changed_or_copied() -> None:
    events = [event("a"), event("b")]
    after, found = limit_bots(events, 50, now=NOW)
    assert after is events
    assert found == LimitChanges()
