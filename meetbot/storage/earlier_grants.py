"""Tokens of grants that were given to an earlier client, kept until those are ended.

They lie where an erasure keeps its token (`PendingRevocation`), under an id of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.ids import new_id
from meetbot.storage.sealed_writes import SET_TOKEN_ASIDE
from meetbot.storage.tables import PendingRevocation

_PREFIX = "rvk"
_SET_ASIDE = text(f"select {SET_TOKEN_ASIDE}(:tenant_id, :calendar_user_id, :id)")


def set_earlier_token_aside(session: Session, tenant_id: str, calendar_user_id: str) -> None:
    """Copy a calendar user's token, which is about to be replaced by that of another client."""
    session.execute(_SET_ASIDE, {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id, "id": new_id(_PREFIX)})


@dataclass(frozen=True, slots=True)
class WaitingGrant:
    """An earlier grant that is still to be ended."""

    tenant_id: str
    id: str


# In random order, so that those that fail hold up no others.
_WAITING = text(
    "select tenant_id, erasure_id from pending_revocation where starts_with(erasure_id, 'rvk_') order by random() limit :most"
)


def waiting_grants(session: Session, *, most: int) -> list[WaitingGrant]:
    """Return some of the earlier grants that are to be ended. Call it in `Database.relay`."""
    return [WaitingGrant(*row) for row in session.execute(_WAITING, {"most": most})]


def forget_earlier_token(session: Session, grant: WaitingGrant) -> PendingRevocation | None:
    """Delete the token and return its row, None if another worker was first."""
    pending = session.get(PendingRevocation, (grant.tenant_id, grant.id), with_for_update=True)
    if pending is not None:
        session.delete(pending)
        session.flush()
    return pending
