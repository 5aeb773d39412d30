"""The claims on a meeting that count, and the one among them that its bot goes by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.plan import Candidate, Target, leading_copy
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Tenant
from meetbot.temporal.messages import MeetingRef


def counting_claims(session: Session, ref: MeetingRef, now: datetime) -> list[ClaimCopy]:
    """Return the claims that count, by calendar user.

    They are those of users whose calendar we can read, or could until the tenant's grace ended, unless they are in doubt.
    """
    tenant = session.get_one(Tenant, ref.tenant_id)
    grace = timedelta(hours=tenant.revoked_grace_hours)
    copies = bots.claim_copies(session, ref.tenant_id, ref.meeting_key)
    return [copy for copy in copies if not _is_doubted(copy) and _is_readable(copy, now, grace)]


def _is_doubted(copy: ClaimCopy) -> bool:
    """Whether another copy contradicted it when it could not be read, and it was not read since."""
    if copy.doubted_at is None:
        return False
    return copy.last_synced_at is None or copy.last_synced_at < copy.doubted_at


def _is_readable(copy: ClaimCopy, now: datetime, grace: timedelta) -> bool:
    in_grace = copy.user_state == CalendarUserStatus.NEEDS_RECONNECT and now < copy.state_changed_at + grace
    return copy.user_state in CONNECTED or in_grace


def leading_claim(copies: Sequence[ClaimCopy]) -> ClaimCopy | None:
    """Return the claim that decides the bot's time and link, or None if there is none."""
    if not copies:
        return None
    by_event = {copy.event_id: copy for copy in copies}
    chosen = leading_copy(
        Candidate(
            event_id=copy.event_id,
            meeting_key="",
            target=target_of(copy),
            updated=copy.provider_updated,
            is_organizer=copy.is_organizer,
        )
        for copy in copies
    )
    return by_event[chosen.event_id]


def target_of(copy: ClaimCopy) -> Target:
    """Return what a claim's copy of the event asks for: the times and the link."""
    return Target(copy.start_at, copy.end_at, copy.meeting_url)
