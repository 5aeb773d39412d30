"""What a sync reads from the database before it decides, and all that it writes after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from meetbot.calendars.announcements import announce_changes, announce_limit
from meetbot.calendars.claim_changes import ClaimChanges
from meetbot.calendars.daily_limit import LimitChanges
from meetbot.calendars.decide_stored import decision_record, load_earlier_decisions, record_of
from meetbot.calendars.decide_sync import NO_BACKGROUND, Background, CalendarSnapshot, Needs, SyncOutcome
from meetbot.calendars.stored_after import EventChanges
from meetbot.calendars.successors import NO_SUCCESSORS
from meetbot.domain.calendar_health import NO_LIST_CHANGES, ListChanges
from meetbot.domain.decision import ReasonCode
from meetbot.domain.sync_run import SyncRun, SyncStart, ended
from meetbot.storage import calendar_user_state
from meetbot.storage.account_calendars import write_calendars
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.claims import find_claims, withdraw_claims, write_claims
from meetbot.storage.daily_limits import allow_within_limit, skip_beyond_limit
from meetbot.storage.events import (
    series_keys,
    skip_without_access,
    stored_events,
    tombstone_events,
    write_decisions,
    write_events,
)
from meetbot.storage.successors import hand_on_to_successors
from meetbot.storage.sync_runs import add_run


def load_snapshot(session: Session, user: CalendarUserContext, *, since: datetime, now: datetime) -> CalendarSnapshot:
    """Read what is stored of the user's events that end after ``since``. One statement."""
    return CalendarSnapshot(
        tenant_id=user.tenant_id,
        calendar_user_id=user.id,
        policy=user.policy,
        decided_policy=user.decided_policy,
        access_given_up=user.grace_is_over(now),
        since=since,
        stored=stored_events(session, user.tenant_id, user.id, since=since),
        max_bots_per_day=user.max_bots_per_day,
    )


def load_background(session: Session, user: CalendarUserContext, needs: Needs, *, now: datetime) -> Background:
    """Read what is rarely needed, with one statement for each of the needs.

    In nearly every sync nothing is needed.
    """
    if not (needs.claims or needs.series_of or needs.earlier_decisions):
        return NO_BACKGROUND
    return Background(
        claims=find_claims(session, user.tenant_id, user.id, needs.claims) if needs.claims else (),
        series_keys=series_keys(session, user.tenant_id, needs.series_of) if needs.series_of else {},
        earlier_decisions=load_earlier_decisions(session, user, now=now) if needs.earlier_decisions else (),
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What a sync saw of the calendars.

    ``read_at`` is when the reading began, None if only stored events were decided about again, or if it was not read to its
    end. ``note`` is the code of what was left out. ``calendars`` are the changes of the account's list.
    """

    read_at: datetime | None = None
    note: str | None = None
    calendars: ListChanges = NO_LIST_CHANGES


class DisconnectedMeanwhile(Exception):
    """The calendar user is being erased, or is gone: nothing of it may be written."""


def store(
    session: Session, user: CalendarUserContext, outcome: SyncOutcome, *, now: datetime, seen: Seen, start: SyncStart
) -> None:
    """Write all that a sync comes to; what is empty costs no statement.

    Raises `DisconnectedMeanwhile`.
    """
    writes = (
        outcome.events.count
        or outcome.successors != NO_SUCCESSORS
        or outcome.claims.written
        or outcome.claims.withdrawn
        or seen.calendars
    )
    if writes and not calendar_user_state.lock_unless_ended(session, user.tenant_id, user.id):
        raise DisconnectedMeanwhile
    write_calendars(session, user.tenant_id, user.id, seen.calendars.written, seen.calendars.forgotten)
    _store_events(session, user, outcome.events, now)
    successors = outcome.successors
    hand_on_to_successors(session, user.tenant_id, user.id, successors.shared_keys, successors.meeting_keys)
    _store_limits(session, user, outcome.limits, now)
    if outcome.changed:
        announce_changes(session, user)
    _store_claims(session, user, outcome.claims)
    removed = len(outcome.events.gone) + len(outcome.events.unreadable)
    run = ended(start, now, code=seen.note, changed=outcome.changed - removed, removed=removed)
    _note(session, user, outcome, seen, run)


def _note(session: Session, user: CalendarUserContext, outcome: SyncOutcome, seen: Seen, run: SyncRun) -> None:
    if seen.read_at is not None:
        calendar_user_state.mark_synced(
            session,
            user.tenant_id,
            user.id,
            policy_digest=outcome.policy_digest,
            at=seen.read_at,
            run=run,
            quiet_from=user.quiet_from,
            note=seen.note,
        )
        return
    add_run(session, user.tenant_id, user.id, run)
    if seen.note is not None:
        calendar_user_state.note_error(session, user.tenant_id, user.id, code=seen.note)
    if outcome.decided_policy != user.decided_policy:
        calendar_user_state.mark_decided(session, user.tenant_id, user.id, policy_digest=outcome.decided_policy)


def _store_events(session: Session, user: CalendarUserContext, events: EventChanges, now: datetime) -> None:
    write_events(session, [record_of(decided, now=now) for decided in events.written])
    tombstone_events(session, user.tenant_id, events.gone, now=now)
    tombstone_events(session, user.tenant_id, events.unreadable, now=now, reason=ReasonCode.ACCESS_REVOKED)
    write_decisions(session, [decision_record(decided, now=now) for decided in events.redecided])
    skip_without_access(session, user.tenant_id, events.given_up, now=now)


def _store_limits(session: Session, user: CalendarUserContext, limits: LimitChanges, now: datetime) -> None:
    skip_beyond_limit(session, user.tenant_id, limits.skipped, now=now)
    allow_within_limit(session, user.tenant_id, limits.allowed, now=now)
    if limits.skipped:
        announce_limit(session, user, len(limits.skipped), now=now)


def _store_claims(session: Session, user: CalendarUserContext, claims: ClaimChanges) -> None:
    records = [
        {
            "tenant_id": user.tenant_id,
            "meeting_key": entry.meeting_key,
            "calendar_user_id": user.id,
            "event_id": claims.written[entry.meeting_key],
            "target_digest": entry.target_digest,
        }
        for entry in claims.plan
        if entry.meeting_key in claims.written
    ]
    write_claims(session, records)
    withdraw_claims(session, user.tenant_id, user.id, claims.withdrawn)
