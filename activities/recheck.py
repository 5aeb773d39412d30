"""The re-check: the last look at the provider before a bot is dispatched.

It begins `meetbot.bots.reconcile.RECHECK_AHEAD` before the backend is to be asked. The leading copy of the event is read
again, and once more just before the instant. What differs from the stored copy is stored, and the dispatch does not go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.read_copy import Verdict, read_copy_again
from activities.services import Services
from meetbot.providers.http import Deadline
from meetbot.storage.bots import ClaimCopy
from meetbot.temporal.messages import DispatchOutcome, MeetingRef

RECHECK_SECONDS = 10.0
"""The longest that all claimants' providers are asked for."""
# The second look begins this long before the backend is asked, and takes this long at most.
_SECOND_LOOK_AHEAD = timedelta(milliseconds=800)
_SECOND_LOOK_SECONDS = 1.4
# If several claimants can be asked, a provider that hangs gets no longer than this, or an even share of the time.
_LEAST_SHARE_SECONDS = 2.5
_TOO_SHORT_SECONDS = 0.05
_FRESH_ENOUGH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DueBot:
    """A bot about to be dispatched, with the claims on its meeting, the leading one first.

    ``wait_is_over``: it has waited for the meeting's start because no provider could be asked.
    """

    ref: MeetingRef
    dispatch_at: datetime
    join_at: datetime
    target_digest: str
    claims: Sequence[ClaimCopy]
    wait_is_over: bool


def recheck(services: Services, due: DueBot, *, sleep_until: Callable[[datetime], None]) -> DispatchOutcome | None:
    """Return None if the bot may go, else why it may not: `CHANGED` or `WAIT_FOR_START`."""
    verdict, answered = _ask_claimants(services, due)
    if verdict is Verdict.CHANGED:
        return DispatchOutcome.CHANGED
    if verdict is Verdict.UNREACHABLE and not _may_go_unchecked(due, services.clock()):
        return DispatchOutcome.WAIT_FOR_START
    second_look_at = due.dispatch_at - _SECOND_LOOK_AHEAD
    if services.clock() >= second_look_at:
        return None
    # A change in the last seconds counts too.
    sleep_until(second_look_at)
    copy = answered or due.claims[0]
    verdict = read_copy_again(services, due.ref.tenant_id, copy, seconds=_SECOND_LOOK_SECONDS)
    moves = verdict is Verdict.CHANGED and copy is due.claims[0]
    return DispatchOutcome.CHANGED if moves else None


def _may_go_unchecked(due: DueBot, now: datetime) -> bool:
    """Whether the stored state is fresh enough to go by; at the meeting's start any is."""
    if due.wait_is_over or now >= due.join_at:
        return True
    synced = [copy.last_synced_at for copy in due.claims if copy.last_synced_at is not None]
    return bool(synced) and now - max(synced) <= _FRESH_ENOUGH


def _ask_claimants(services: Services, due: DueBot) -> tuple[Verdict, ClaimCopy | None]:
    """Ask the leading claimant's provider; if it does not answer, the others' one by one.

    Another's copy can only confirm what the leading one said last: if it has changed, it is stored, and moves no bot of
    others.
    """
    ref, claims = due.ref, due.claims
    deadline = Deadline(RECHECK_SECONDS)
    for number, copy in enumerate(claims):
        remaining = deadline.remaining()
        if remaining <= _TOO_SHORT_SECONDS:
            break
        share = max(remaining / (len(claims) - number), min(remaining, _LEAST_SHARE_SECONDS))
        verdict = read_copy_again(services, ref.tenant_id, copy, seconds=share)
        leads = number == 0
        if verdict is Verdict.UNCHANGED or (leads and verdict is Verdict.CHANGED):
            return verdict, copy
    return Verdict.UNREACHABLE, None
