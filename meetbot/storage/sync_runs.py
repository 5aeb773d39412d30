"""Runs of syncs as rows; those that find nothing new are folded to one row an hour.

A quiet run adds no row: the statement that notes the sync on the calendar user's row counts it there, and puts the count of an
hour that is over into a row of its own. So polling costs no further statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import TextClause, text
from sqlmodel import Session

from meetbot.domain.sync_run import UNCHANGED, SyncRun

_ROLLS = (
    "(cast(:is_quiet as bool) and (quiet_from is null "
    "or date_trunc('hour', quiet_from) <> date_trunc('hour', cast(:began_at as timestamptz))))"
)
COUNTING = f"""
       quiet_from = case when {_ROLLS} then :began_at else quiet_from end,
       quiet_to = case when :is_quiet then :began_at else quiet_to end,
       quiet_runs = case when {_ROLLS} then 1 when :is_quiet then quiet_runs + 1 else quiet_runs end,
       quiet_milliseconds = case when {_ROLLS} then :milliseconds
                                 when :is_quiet then greatest(quiet_milliseconds, :milliseconds)
                                 else quiet_milliseconds end
"""
"""The assignments by which the update of a calendar user counts a quiet run."""

COUNTING_ONE_MORE = """
       quiet_runs = quiet_runs + 1, quiet_to = :began_at,
       quiet_milliseconds = greatest(quiet_milliseconds, :milliseconds)
"""
"""The same for one more quiet run of an hour that has some already."""

_INSERT = """
    insert into sync_run (tenant_id, calendar_user_id, slot, result, trigger, at, last_at, runs, milliseconds, seen, changed,
                          removed)
"""
_THIS = """
    select tenant_id, id, cast(:slot as timestamptz), cast(:result as text), cast(:trigger as text),
           cast(:began_at as timestamptz), cast(:began_at as timestamptz), 1,
           cast(:milliseconds as int), cast(:seen as int), cast(:changed as int),
           cast(:removed as int)
"""
_FOLD = """
    on conflict (tenant_id, calendar_user_id, slot, result) do update
       set runs = sync_run.runs + 1, last_at = excluded.last_at, seen = excluded.seen,
           changed = sync_run.changed + excluded.changed, removed = sync_run.removed + excluded.removed,
           milliseconds = greatest(sync_run.milliseconds, excluded.milliseconds)
"""


def keeping_runs(update: str) -> TextClause:
    """Return an update of a calendar user, with `COUNTING` in it, that adds to the runs too."""
    return text(
        f"""
        with synced as (
            {update}
            returning with (old as prior, new as present) present.tenant_id, present.id, prior.quiet_from, prior.quiet_to,
                      prior.quiet_runs, prior.quiet_milliseconds,
                      prior.quiet_from is not null and prior.quiet_from is distinct from present.quiet_from as is_over)
        {_INSERT}
        select tenant_id, id, quiet_from, '{UNCHANGED}', 'poll', quiet_from, quiet_to, quiet_runs, quiet_milliseconds, null,
               0, 0
          from synced where is_over
        union all
        {_THIS} from synced where not :is_quiet
        {_FOLD}
        """  # noqa: S608 - nothing but our own text
    )


def values_of(run: SyncRun) -> dict[str, Any]:
    """Return the parameters that such a statement takes for a run."""
    return {
        "is_quiet": run.is_quiet,
        "slot": run.slot,
        "began_at": run.start.began_at,
        "result": run.result,
        "trigger": run.start.trigger.value,
        "milliseconds": run.milliseconds,
        "seen": run.start.seen,
        "changed": run.changed,
        "removed": run.removed,
    }


# Locked, so that an erasure that has begun is not written into.
_ADD = text(
    f"""
    with known as (
        select tenant_id, id from calendar_user
         where tenant_id = :tenant_id and id = :id and state <> 'disconnecting'
           for no key update)
    {_INSERT} {_THIS} from known {_FOLD}
    """  # noqa: S608 - nothing but our own text
)


def add_run(session: Session, tenant_id: str, calendar_user_id: str, run: SyncRun) -> None:
    """Add a run that did not read the calendar to its end, unless it is quiet."""
    if not run.is_quiet:
        session.execute(_ADD, values_of(run) | {"tenant_id": tenant_id, "id": calendar_user_id})


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run, or several that came to the same."""

    at: datetime
    result: str
    trigger: str
    last_at: datetime
    runs: int
    milliseconds: int
    seen: int | None
    changed: int
    removed: int


# The quiet runs of the hour that is not over stand on the calendar user's row.
_LIST = text(
    f"""
    select * from (
        select at, result, trigger, last_at, runs, milliseconds, seen, changed, removed from sync_run
         where tenant_id = :tenant_id and calendar_user_id = :id
         union all
        select quiet_from, '{UNCHANGED}', 'poll', quiet_to, quiet_runs, quiet_milliseconds, null, 0, 0 from calendar_user
         where tenant_id = :tenant_id and id = :id and quiet_from is not null) runs
     where (cast(:quiet as bool) is null or :quiet = (result = '{UNCHANGED}'))
       and (cast(:last_at as timestamptz) is null or (last_at, result) < (:last_at, :result))
     order by last_at desc, result desc limit :limit
    """  # noqa: S608 - nothing but our own text
)


def list_runs(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    *,
    quiet: bool | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[RunEntry]:
    """Return a page of the user's runs, the newest first, after the one at (last_at, result)."""
    last_at, result = before if before is not None else (None, None)
    values = {
        "tenant_id": tenant_id,
        "id": calendar_user_id,
        "quiet": quiet,
        "last_at": last_at,
        "result": result,
        "limit": limit,
    }
    return [RunEntry(*row) for row in session.execute(_LIST, values)]
