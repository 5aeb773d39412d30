"""The claims of a calendar user: the meetings to record, and the events they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, select

from meetbot.domain.stored_event import StoredClaim
from meetbot.storage.tables import BotClaim

_UPSERT = text(
    """
    insert into bot_claim as old (tenant_id, meeting_key, calendar_user_id, event_id, target_digest)
    select tenant_id, meeting_key, calendar_user_id, event_id, target_digest
      from jsonb_populate_recordset(null::bot_claim, cast(:records as jsonb))
    on conflict (tenant_id, meeting_key, calendar_user_id) do update
       set event_id = excluded.event_id, target_digest = excluded.target_digest
    """
)

_WITHDRAW = text(
    """
    delete from bot_claim
     where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id and meeting_key = any(:withdrawn)
    """
)

_WITHDRAW_ALL = text("delete from bot_claim where tenant_id = :tenant_id and calendar_user_id = :calendar_user_id")

_REMAKE_ALL = text(
    "update bot_claim set acknowledged_digest = null where tenant_id = :tenant_id and acknowledged_digest is not null"
)


def find_claims(
    session: Session, tenant_id: str, calendar_user_id: str, meeting_keys: Iterable[str]
) -> list[StoredClaim]:
    """Return the user's claims on these meetings."""
    rows = session.exec(
        select(BotClaim.meeting_key, BotClaim.event_id, BotClaim.target_digest, BotClaim.acknowledged_digest)
        .where(BotClaim.tenant_id == tenant_id, BotClaim.calendar_user_id == calendar_user_id)
        .where(col(BotClaim.meeting_key).in_(sorted(meeting_keys)))
    )
    return [StoredClaim._make(row) for row in rows]


def write_claims(session: Session, records: Sequence[Mapping[str, Any]]) -> None:
    """Insert or overwrite claims, in one statement.

    Records name all columns but ``acknowledged_digest``.
    """
    if records:
        session.execute(_UPSERT, {"records": orjson.dumps(records).decode()})


def withdraw_claims(session: Session, tenant_id: str, calendar_user_id: str, meeting_keys: Sequence[str]) -> None:
    """Delete the user's claims on these meetings."""
    if meeting_keys:
        session.execute(
            _WITHDRAW, {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id, "withdrawn": list(meeting_keys)}
        )


def withdraw_all(session: Session, tenant_id: str, calendar_user_id: str) -> None:
    """Delete all claims of the user."""
    session.execute(_WITHDRAW_ALL, {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id})


def claim_again(session: Session, tenant_id: str) -> None:
    """Have every claim of the tenant accepted anew, as after a change that moves all dispatches."""
    session.execute(_REMAKE_ALL, {"tenant_id": tenant_id})
