"""The claims on a meeting that count, and the one among them that its bot goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from meetbot.domain.bot_state import TERMINAL_STATES
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.leadership import NOBODY_LED, Copy, Lead, Place, leader_of, room_of
from meetbot.domain.plan import Target
from meetbot.links.lookup import Lookup
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.tables import Bot, Meeting, Tenant
from meetbot.temporal.messages import MeetingRef


def counting_claims(session: Session, ref: MeetingRef, now: datetime) -> list[ClaimCopy]:
    """Return the claims that count, by calendar user.

    They are those of users whose calendar we can read, or could until the tenant's grace ended. Copies that are over count
    only if all are: whoever shortens the own copy ends the meeting for nobody else.
    """
    grace = timedelta(hours=session.get_one(Tenant, ref.tenant_id).revoked_grace_hours)
    return counting_of(bots.claim_copies(session, ref.tenant_id, [ref.meeting_key]), grace=grace, now=now)


def counting_of(copies: Iterable[ClaimCopy], *, grace: timedelta, now: datetime) -> list[ClaimCopy]:
    """Return those of one meeting's claims that count."""
    claims = still_counting(copies, grace=grace, now=now)
    return [claim for claim in claims if claim.end_at > now] or claims


def still_counting(copies: Iterable[ClaimCopy], *, grace: timedelta, now: datetime) -> list[ClaimCopy]:
    """Return those of the claims whose calendar we can read, or could until the ``grace`` ended."""
    return [copy for copy in copies if _is_readable(copy, now, grace)]


def _is_readable(copy: ClaimCopy, now: datetime, grace: timedelta) -> bool:
    in_grace = copy.user_state == CalendarUserStatus.NEEDS_RECONNECT and now < copy.state_changed_at + grace
    return copy.user_state in CONNECTED or in_grace


def claim_that_leads(claims: Sequence[ClaimCopy], meeting: Meeting, bot: Bot | None) -> ClaimCopy | None:
    """Return the claim that decides the bot's time and link, or None if there is none.

    Who led so far leads on, as `leading_claim` has it.
    """
    # What led before, and in which room the bot is to be, is a costly question that a lone claim does not raise.
    return claims[0] if len(claims) == 1 else leading_claim(claims, lead_of(meeting, bot))


def lead_time(session: Session, tenant_id: str, default: timedelta) -> timedelta:
    """Return how long before a meeting's start the tenant's bots are asked for."""
    seconds = session.get_one(Tenant, tenant_id).join_lead_seconds
    return default if seconds is None else timedelta(seconds=seconds)


def leading_claim(copies: Sequence[ClaimCopy], lead: Lead = NOBODY_LED) -> ClaimCopy | None:
    """Return the claim that decides the bot's time and link, or None if there is none."""
    leader = leader_of([copy_of(copy) for copy in copies], lead)
    by_user = {copy.calendar_user_id: copy for copy in copies}
    return by_user[leader.calendar_user_id] if leader is not None else None


def lead_of(meeting: Meeting, bot: Bot | None) -> Lead:
    """Return who led the meeting so far, and where its live bot is to go."""
    is_live = bot is not None and bot.state not in TERMINAL_STATES
    return Lead(
        meeting.leader_calendar_user_id, place_of_bot(bot.meeting_url, bot.join_at) if bot and is_live else None
    )


def place_of_bot(meeting_url: str, join_at: datetime) -> Place:
    """Return where and when a bot joins."""
    return Place(room_of_link(meeting_url), join_at)


def copy_of(claim: ClaimCopy) -> Copy:
    """Return a claim's copy of the event, as far as leading goes."""
    return Copy(
        calendar_user_id=claim.calendar_user_id,
        event_id=claim.event_id,
        claimed_at=claim.claimed_at,
        place=place_of_claim(claim),
        organizer=claim.organizer,
        is_organizer=claim.is_organizer,
    )


def place_of_claim(claim: ClaimCopy) -> Place:
    """Return where and when a claim's copy wants the bot."""
    return Place(room_of(claim.meeting_platform, claim.meeting_id, claim.meeting_url), claim.start_at)


def room_of_link(url: str) -> tuple[str, ...]:
    """Return the room that a meeting link leads to, as `room_of` has it."""
    link = Lookup().find(url).link
    return room_of(link.platform, link.meeting_id, url) if link is not None else (url,)


def target_of(copy: ClaimCopy) -> Target:
    """Return what a claim's copy of the event asks for: the times and the link."""
    return Target(copy.start_at, copy.end_at, copy.meeting_url)
