"""The notes on the calendar user's row: read, decided, failed, access lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.sync_run import SyncRun
from meetbot.storage.sync_runs import COUNTING, COUNTING_ONE_MORE, keeping_runs, values_of

_UPDATE = """
    update calendar_user
       set last_synced_at = greatest(last_synced_at, :at), error_code = :note, decided_policy = :policy,
           state_changed_at = case when state = 'active' then state_changed_at else :at end, state = 'active',
           {counting}
     where tenant_id = :tenant_id and id = :id and state in ('connecting', 'active')
"""
_SYNCED = keeping_runs(_UPDATE.format(counting=COUNTING))
# Nearly every sync: nothing new, in the same hour as the one before.
_SYNCED_QUIETLY = text(_UPDATE.format(counting=COUNTING_ONE_MORE))


def mark_synced(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    *,
    policy_digest: str,
    at: datetime,
    run: SyncRun,
    quiet_from: datetime | None = None,
    note: str | None = None,
) -> None:
    """Note that the calendar was read completely, and by which policy its events are decided.

    ``at`` is when the reading began, so that no later change counts as seen. The policy is written even if it was the same
    when the reading began: another sync may have decided by a newer one meanwhile, and this one has overwritten that.
    ``note`` is the code of what was left out. The ``run`` is added to the user's runs;
    ``quiet_from`` is when those that are counted together began.
    """
    values = {"tenant_id": tenant_id, "id": calendar_user_id, "at": at, "policy": policy_digest, "note": note}
    if run.joins(quiet_from):
        began_at, milliseconds = run.start.began_at, run.milliseconds
        session.execute(_SYNCED_QUIETLY, values | {"began_at": began_at, "milliseconds": milliseconds})
    else:
        session.execute(_SYNCED, values | values_of(run))


_DECIDED = text("update calendar_user set decided_policy = :policy where tenant_id = :tenant_id and id = :id")


def mark_decided(session: Session, tenant_id: str, calendar_user_id: str, *, policy_digest: str | None) -> None:
    """Note by which policy the stored events are decided.

    None has all of them decided again once that is possible.
    """
    session.execute(_DECIDED, {"tenant_id": tenant_id, "id": calendar_user_id, "policy": policy_digest})


_NOTE_ERROR = text(
    """
    update calendar_user set error_code = :code
     where tenant_id = :tenant_id and id = :id and error_code is distinct from :code
    """
)


def note_error(session: Session, tenant_id: str, calendar_user_id: str, *, code: str) -> None:
    """Note why the last sync failed, for people who look at the calendar user."""
    session.execute(_NOTE_ERROR, {"tenant_id": tenant_id, "id": calendar_user_id, "code": code})


_NOTE_WAIT = text(
    """
    update calendar_user set not_before = greatest(not_before, :until)
     where tenant_id = :tenant_id and id = :id
    """
)


def note_wait(session: Session, tenant_id: str, calendar_user_id: str, *, until: datetime) -> None:
    """Note until when the provider is not to be asked about this calendar user."""
    session.execute(_NOTE_WAIT, {"tenant_id": tenant_id, "id": calendar_user_id, "until": until})


_NOTE_ASKED = text(
    "update calendar_user set not_before = null, asked_at = :now where tenant_id = :tenant_id and id = :id"
)


def note_asked(session: Session, tenant_id: str, calendar_user_id: str, *, now: datetime) -> None:
    """Note that a person asks for a sync, which waits for nothing."""
    session.execute(_NOTE_ASKED, {"tenant_id": tenant_id, "id": calendar_user_id, "now": now})


_NEXT_SEQUENCE = text(
    """
    update calendar_user set sequence = sequence + 1
     where tenant_id = :tenant_id and id = :id
    returning sequence
    """
)


def next_sequence(session: Session, tenant_id: str, calendar_user_id: str) -> int:
    """Return the number of the next thing that is told of a calendar user.

    The row stays locked until the transaction ends, so that numbers grow in the order of commits.
    """
    return int(session.execute(_NEXT_SEQUENCE, {"tenant_id": tenant_id, "id": calendar_user_id}).scalar_one())


_LOCK_UNLESS_ENDED = text(
    """
    select 1 from calendar_user
     where tenant_id = :tenant_id and id = :id and state <> 'disconnecting'
       for no key update
    """
)


def lock_unless_ended(session: Session, tenant_id: str, calendar_user_id: str) -> bool:
    """Lock the calendar user's row until the transaction ends.

    False if it is being erased, or is gone.

    Whoever writes what belongs to a calendar user asks this first: an erasure that has begun is not written into.
    """
    return session.execute(_LOCK_UNLESS_ENDED, {"tenant_id": tenant_id, "id": calendar_user_id}).first() is not None
