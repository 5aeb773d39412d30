"""What a provider's notification does: nothing but note that a calendar is to be looked at.

A notification is believed if it names one of our channels and has its secret. All else in it is not read, except to learn of
a channel whose opening was not answered.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meetbot.domain.ids import new_id
from meetbot.domain.push import ChannelState
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.storage.database import Database
from meetbot.storage.push_channels import digest_of, find_channels, find_orphan, lock_channel
from meetbot.storage.tables import PushChannel

# A notification in a burst changes nothing that is not noted already.
_NOTED_EVERY = timedelta(seconds=30)
_LONGEST_LIFE = timedelta(days=31)


class NoticeKind(StrEnum):
    """What a notification is about.

    `OPENED`: the channel is open, and nothing has changed. `CHANGED`: the calendar. `MISSED`: notifications were lost, which
    leads to the same look. `RENEW`: the channel is to be authorised again. `REMOVED`: it is no more.
    """

    OPENED = "opened"
    CHANGED = "changed"
    MISSED = "missed"
    RENEW = "renew"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification.

    ``external_id`` and ``resource_id`` are the provider's names for the channel and for what is watched.
    """

    provider: str
    channel_id: str
    secret: str
    kind: NoticeKind
    external_id: str | None = None
    resource_id: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Notice({self.channel_id!r}, {self.kind})"


class Belief(StrEnum):
    """What a notification was taken for."""

    GOOD = "good"
    FORGED = "forged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of notifications: whom to look at, and what each notification was taken for."""

    to_sync: tuple[CalendarUserRef, ...]
    beliefs: tuple[Belief, ...]


def take_notices(database: Database, notices: Sequence[Notice], now: datetime) -> Taken:
    """Check notifications against our channels and note what they say. One look-up for all."""
    wanted = {notice.channel_id for notice in notices}
    with database.channel_lookup(sorted(wanted)) as session:
        rows = {row.id: row for row in find_channels(session, wanted)}
    to_sync: dict[str, CalendarUserRef] = {}
    beliefs = []
    for notice in notices:
        row = rows.get(notice.channel_id)
        belief = _belief(row, notice)
        beliefs.append(belief)
        if row is None or belief is not Belief.GOOD:
            continue
        if _says_news(row, notice, now):
            _note(database, row, notice, now)
        if row.state is not ChannelState.ENDING and notice.kind is not NoticeKind.OPENED:
            to_sync[row.calendar_user_id] = CalendarUserRef(row.tenant_id, row.calendar_user_id, row.provider)
    return Taken(tuple(to_sync.values()), tuple(beliefs))


def _belief(row: PushChannel | None, notice: Notice) -> Belief:
    if row is None or row.token_digest is None or row.provider != notice.provider:
        return Belief.UNKNOWN
    if not hmac.compare_digest(bytes(row.token_digest), digest_of(notice.secret)):
        return Belief.FORGED
    if row.resource_id is not None and row.resource_id != notice.resource_id:
        return Belief.UNKNOWN
    return Belief.GOOD


def _says_news(row: PushChannel, notice: Notice, now: datetime) -> bool:
    """Whether the row is to be changed, which nearly no notification of a burst has done."""
    if notice.kind in (NoticeKind.RENEW, NoticeKind.REMOVED) or row.verified_at is None:
        return True
    if row.state in (ChannelState.OPENING, ChannelState.WANTED) or _is_orphans(row, notice):
        return True
    return row.last_notified_at is None or now >= row.last_notified_at + _NOTED_EVERY


def _is_orphans(row: PushChannel, notice: Notice) -> bool:
    """Whether the provider has another channel with the row's secret, opened without an answer."""
    return row.external_id is not None and notice.external_id is not None and row.external_id != notice.external_id


def _note(database: Database, found: PushChannel, notice: Notice, now: datetime) -> None:
    with database.transaction(found.tenant_id) as session:
        row = lock_channel(session, found.tenant_id, found.id)
        if row is None:
            return
        if _is_orphans(row, notice):
            if find_orphan(session, row.tenant_id, row.calendar_user_id, str(notice.external_id)) is None:
                session.add(_orphan(row, notice, now))
            return
        _learn(row, notice, now)
        row.last_notified_at = now
        row.verified_at = row.verified_at or now
        if notice.kind is NoticeKind.RENEW:
            row.renew_asked, row.retry_at = True, None
        elif notice.kind is NoticeKind.REMOVED and row.state is not ChannelState.ENDING:
            row.state, row.external_id, row.verified_at = ChannelState.WANTED, None, None
            row.renew_asked, row.retry_at = False, None
        session.add(row)


def _learn(row: PushChannel, notice: Notice, now: datetime) -> None:
    """Take from a notification what the answer to the opening would have said, had it come."""
    if row.external_id is None and row.resource_id is None:
        row.external_id, row.resource_id = notice.external_id, notice.resource_id
        if notice.expires_at is not None:
            row.expires_at = min(notice.expires_at, now + _LONGEST_LIFE)
    if row.state in (ChannelState.OPENING, ChannelState.WANTED) and (row.external_id or row.resource_id):
        row.state, row.failures, row.last_error = ChannelState.ACTIVE, 0, None
        row.opened_at, row.retry_at = row.opened_at or now, None


def _orphan(row: PushChannel, notice: Notice, now: datetime) -> PushChannel:
    return PushChannel(
        tenant_id=row.tenant_id,
        id=new_id("psh"),
        calendar_user_id=row.calendar_user_id,
        provider=row.provider,
        calendar_id=row.calendar_id,
        state=ChannelState.ENDING,
        external_id=notice.external_id,
        opened_at=now,
        expires_at=min(notice.expires_at or now + _LONGEST_LIFE, now + _LONGEST_LIFE),
    )
