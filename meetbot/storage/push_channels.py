"""Push channels as rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, text, update
from sqlmodel import Session, col, select

from meetbot.domain.ids import new_id
from meetbot.domain.push import Channel, ChannelState
from meetbot.storage.tables import PushChannel


def digest_of(secret: str) -> bytes:
    """Return what is kept of a channel's secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def channel_of(row: PushChannel) -> Channel:
    """Return the channel of a row."""
    return Channel(
        id=row.id,
        calendar_id=row.calendar_id,
        state=row.state,
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        verified_at=row.verified_at,
        last_notified_at=row.last_notified_at,
        failures=row.failures,
        last_error=row.last_error,
        retry_at=row.retry_at,
        renew_asked=row.renew_asked,
        closable=row.external_id is not None or row.resource_id is not None,
    )


def channel_of_json(stored: Mapping[str, Any]) -> Channel:
    """Return the channel of a row that the database gave as JSON."""
    return Channel(
        id=stored["id"],
        calendar_id=stored["calendar_id"],
        state=ChannelState(stored["state"]),
        failures=stored["failures"],
        last_error=stored["last_error"],
        renew_asked=stored["renew_asked"],
        closable=stored["external_id"] is not None or stored["resource_id"] is not None,
        **{name: None if stored[name] is None else datetime.fromisoformat(stored[name]) for name in _INSTANTS},
    )


_INSTANTS = ("opened_at", "expires_at", "verified_at", "last_notified_at", "retry_at")


def channels_of(session: Session, tenant_id: str, calendar_user_ids: Collection[str]) -> list[PushChannel]:
    """Return the channels of calendar users, the oldest first."""
    statement = (
        select(PushChannel)
        .where(PushChannel.tenant_id == tenant_id, col(PushChannel.calendar_user_id).in_(list(calendar_user_ids)))
        .order_by(col(PushChannel.created_at), col(PushChannel.id))
    )
    return list(session.exec(statement))


def channels_by_user(
    session: Session, tenant_id: str, calendar_user_ids: Collection[str]
) -> Mapping[str, Sequence[Channel]]:
    """Return the channels of each of these calendar users."""
    found: dict[str, list[Channel]] = {}
    for row in channels_of(session, tenant_id, calendar_user_ids) if calendar_user_ids else ():
        found.setdefault(row.calendar_user_id, []).append(channel_of(row))
    return found


def find_channels(session: Session, channel_ids: Collection[str]) -> list[PushChannel]:
    """Return the channels with these ids, of all tenants that the transaction sees."""
    return list(session.exec(select(PushChannel).where(col(PushChannel.id).in_(list(channel_ids)))))


def lock_channel(session: Session, tenant_id: str, channel_id: str) -> PushChannel | None:
    """Return the channel as it is now, locked until the transaction ends; None if there is none."""
    return session.get(PushChannel, (tenant_id, channel_id), with_for_update=True, populate_existing=True)


def find_orphan(session: Session, tenant_id: str, calendar_user_id: str, external_id: str) -> PushChannel | None:
    """Return the user's channel with this id of the provider's."""
    return session.exec(
        select(PushChannel).where(
            PushChannel.tenant_id == tenant_id,
            PushChannel.calendar_user_id == calendar_user_id,
            PushChannel.external_id == external_id,
        )
    ).first()


def want_channel(
    session: Session,
    tenant_id: str,
    calendar_user_id: str,
    *,
    provider: str,
    calendar_id: str,
    failures: int,
    retry_at: datetime | None,
) -> PushChannel:
    """Store that a channel is wanted for a calendar."""
    row = PushChannel(
        tenant_id=tenant_id,
        id=new_id("psh"),
        calendar_user_id=calendar_user_id,
        provider=provider,
        calendar_id=calendar_id,
        state=ChannelState.WANTED,
        failures=failures,
        retry_at=retry_at,
    )
    session.add(row)
    session.flush()
    return row


def end_channels(session: Session, tenant_id: str, channel_ids: Iterable[str]) -> None:
    """Note that these channels are not needed any more."""
    ids = list(channel_ids)
    if ids:
        session.execute(
            update(PushChannel)
            .where(col(PushChannel.tenant_id) == tenant_id, col(PushChannel.id).in_(ids))
            .values(state=ChannelState.ENDING, retry_at=None)
        )


def forget_channels(session: Session, tenant_id: str, channel_ids: Iterable[str]) -> None:
    """Delete the rows of channels that the provider does not have."""
    ids = list(channel_ids)
    if ids:
        session.execute(
            delete(PushChannel).where(col(PushChannel.tenant_id) == tenant_id, col(PushChannel.id).in_(ids))
        )


_END_ALL = text(
    """
    update push_channel set state = 'ending', retry_at = null
     where tenant_id = :tenant_id and calendar_user_id = :id and state <> 'ending'
    """
)


def end_all_channels(session: Session, tenant_id: str, calendar_user_id: str) -> None:
    """Note that none of a user's channels is needed any more."""
    session.execute(_END_ALL, {"tenant_id": tenant_id, "id": calendar_user_id})


def as_channels(rows: Iterable[PushChannel]) -> Sequence[Channel]:
    """Return the channels of rows."""
    return [channel_of(row) for row in rows]
