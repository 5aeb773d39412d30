"""What is read from the database to settle which meetings changed copies are of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from meetbot.bots.claims import copy_of, place_of_bot, still_counting
from meetbot.calendars.event_decisions import NormalisedEvent
from meetbot.calendars.settle_keys import Claimants, Surroundings, may_claim
from meetbot.domain.leadership import Lead
from meetbot.storage import bots
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.settlement import meetings_with_sent_bots


@dataclass(frozen=True, slots=True)
class LoadedClaims:
    """What copies are settled by, and the claims behind it by event id."""

    surroundings: Surroundings
    by_event: Mapping[str, ClaimCopy] = field(default_factory=dict)


def load_claimants(
    session: Session,
    user: CalendarUserContext,
    read: Sequence[NormalisedEvent],
    gone: Collection[str],
    *,
    now: datetime,
) -> LoadedClaims:
    """Read who claims the meetings of these copies: one statement, none if nothing has changed."""
    settling = [one.identity for one in read if may_claim(one, now)]
    if not settling:
        return LoadedClaims(Surroundings(user.id))
    stored = bots.claim_copies(session, user.tenant_id, {identity.shared_key for identity in settling})
    claims: dict[str, list[ClaimCopy]] = {}
    for claim in still_counting(stored, grace=user.revoked_grace, now=now):
        claims.setdefault(claim.meeting_key, []).append(claim)
    own_keys = {identity.meeting_key for identity in settling if identity.meeting_key != identity.shared_key}
    surroundings = Surroundings(
        calendar_user_id=user.id,
        claimants={
            key: Claimants([copy_of(claim) for claim in some], _lead_of(some[0])) for key, some in claims.items()
        },
        sent=meetings_with_sent_bots(session, user.tenant_id, sorted(own_keys)),
        gone=gone,
    )
    return LoadedClaims(surroundings, {claim.event_id: claim for some in claims.values() for claim in some})


def _lead_of(claim: ClaimCopy) -> Lead:
    if claim.bot_url is None or claim.bot_join_at is None:
        return Lead(claim.leader_calendar_user_id)
    return Lead(claim.leader_calendar_user_id, place_of_bot(claim.bot_url, claim.bot_join_at))
