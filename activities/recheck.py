"""The re-check: the last look at the provider before a bot is dispatched.

It begins `meetbot.bots.reconcile.RECHECK_AHEAD` before the backend is to be asked. The leading copy of the event is read
again, and once more just before the instant. What differs from the stored copy is stored, and the dispatch does not go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.read_copy import Reading, Verdict, is_unchanged, load_claimant, read_copy, read_copy_again
from activities.services import Services
from meetbot.providers.http import Deadline
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.temporal.messages import DispatchOutcome, MeetingRef

RECHECK_SECONDS = 10.0
"""The longest that all claimants' providers are asked for."""
# The second look begins this long before the backend is asked, and takes this long at most.
_SECOND_LOOK_AHEAD = timedelta(milliseconds=800)
SECOND_LOOK_SECONDS = 1.4
# If several claimants can be asked, a provider that hangs gets no longer than this, or an even share of the time.
_LEAST_SHARE_SECONDS = 2.5
_TOO_SHORT_SECONDS = 0.05
_FRESH_ENOUGH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class DueBot:
    """A bot about to be dispatched, with the claims on its meeting, the leading one first.

    ``wait_is_over``: it has waited for the meeting's start because no provider could be asked. ``leader`` is the calendar user
    of the leading claim.
    """

    ref: MeetingRef
    dispatch_at: datetime
    join_at: datetime
    target_digest: str
    claims: Sequence[ClaimCopy]
    wait_is_over: bool
    leader: CalendarUserContext | None = None

    @property
    def second_look_at(self) -> datetime:
        """Return when the provider is asked once more."""
        return self.dispatch_at - _SECOND_LOOK_AHEAD


@dataclass(frozen=True, slots=True)
class Looked:
    """A first look by which the bot may go.

    ``answered`` is the copy that was read, None if none could be; ``fingerprint`` a digest of what its provider said.
    """

    answered: ClaimCopy | None
    fingerprint: bytes | None = None


def first_look(services: Services, due: DueBot) -> Looked | DispatchOutcome:
    """Ask the claimants' providers; return why a bot may not go: `CHANGED` or `WAIT_FOR_START`."""
    reading, answered = _ask_claimants(services, due)
    if reading.verdict is Verdict.CHANGED:
        return DispatchOutcome.CHANGED
    if reading.verdict is Verdict.UNREACHABLE and not _may_go_unchecked(due, services.clock()):
        return DispatchOutcome.WAIT_FOR_START
    return Looked(answered, reading.fingerprint)


def second_look(services: Services, due: DueBot, looked: Looked) -> bool:
    """Return whether the meeting has changed since the first look.

    A change in the last second counts too.
    """
    leading = due.claims[0]
    copy = looked.answered or leading
    if copy is leading and due.leader is not None:
        # Nearly always this is all. By whom and what it is decided is looked at again when the intent is written.
        verdict = is_unchanged(services, due.leader, copy, seconds=SECOND_LOOK_SECONDS)
        if verdict is not Verdict.CHANGED:
            return False
    return read_copy_again(services, due.ref.tenant_id, copy, seconds=SECOND_LOOK_SECONDS) is Verdict.CHANGED and (
        copy is leading
    )


def _may_go_unchecked(due: DueBot, now: datetime) -> bool:
    """Whether the stored state is fresh enough to go by; at the meeting's start any is."""
    if due.wait_is_over or now >= due.join_at:
        return True
    synced = [copy.last_synced_at for copy in due.claims if copy.last_synced_at is not None]
    return bool(synced) and now - max(synced) <= _FRESH_ENOUGH


def _ask_claimants(services: Services, due: DueBot) -> tuple[Reading, ClaimCopy | None]:
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
        leads = number == 0
        user = due.leader if leads and due.leader is not None else load_claimant(services, ref.tenant_id, copy)
        reading = read_copy(services, user, copy, seconds=share)
        if reading.verdict is Verdict.UNCHANGED or (leads and reading.verdict is Verdict.CHANGED):
            return reading, copy
    return Reading(Verdict.UNREACHABLE), None
