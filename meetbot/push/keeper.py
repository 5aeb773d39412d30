"""Bringing a calendar user's push channels in line with the plan.

A row is written before each opening, so that no channel is unknown to us whatever happens to the answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog
from sqlmodel import Session

from meetbot.domain.event import Provider
from meetbot.domain.push import Channel, ChannelState, PushState, push_health
from meetbot.errors import MeetbotError, ProviderError, ResourceGone, RetryLater, VaultError
from meetbot.providers.channels import (
    ChannelExists,
    ChannelName,
    ChannelProvider,
    ChannelRequest,
    OpenedChannel,
    PushUnsupported,
)
from meetbot.push.plan import UNSUPPORTED_PAUSE, PushPlan, pause_after, plan_push
from meetbot.storage.calendar_user_state import lock_unless_ended
from meetbot.storage.database import Database
from meetbot.storage.push_channels import (
    as_channels,
    channels_of,
    digest_of,
    end_channels,
    forget_channels,
    lock_channel,
    want_channel,
)
from meetbot.storage.tables import PushChannel

# Google's default, and a little less than Microsoft's most (10,080 minutes).
LIVES: Mapping[Provider, timedelta] = {
    Provider.GOOGLE: timedelta(days=7),
    Provider.MICROSOFT: timedelta(minutes=10_000),
}
# Microsoft calls us twice before it answers, and waits ten seconds for each.
_OPEN_SECONDS = 25.0
_OTHER_SECONDS = 10.0
_LAST_ERROR_LENGTH = 100
_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")


class Access(Protocol):
    """Make a request with an access token of the calendar user."""

    def __call__(self, request: Callable[[str], _Answer], /) -> _Answer:
        """Return what the request returns."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelOwner:
    """The calendar user whose channels are kept."""

    tenant_id: str
    id: str
    provider: Provider


@dataclass(frozen=True, slots=True)
class PushKeeper:
    """Keeps push channels: blocking, and safe to use from many threads.

    ``slowest_poll`` is the time between two polls of a calendar whose push is healthy, zero if that changes nothing.
    """

    database: Database
    providers: Mapping[Provider, ChannelProvider]
    clock: Callable[[], datetime]
    public_url: str
    is_on: bool
    slowest_poll: timedelta = timedelta()

    def note_calendars(self, owner: ChannelOwner, channels: Sequence[Channel], calendars: Collection[str]) -> bool:
        """Note which calendars are read, and return whether anything is to be done at the provider.

        ``channels`` are the stored ones. Costs no statement while nothing is due.
        """
        plan = plan_push(channels, calendars if self.is_on else (), provider=owner.provider, now=self.clock())
        return bool(plan) and self._write(owner, plan)

    def wait_seconds(self, channels: Sequence[Channel]) -> int:
        """Return the wait until the next poll in seconds; 0 for the usual one, as without push."""
        now = self.clock()
        health = push_health(channels, now=now, is_on=self.is_on)
        if health.state is not PushState.ACTIVE or health.expires_at is None:
            return 0
        lasts = health.expires_at > now + 2 * self.slowest_poll
        return int(self.slowest_poll.total_seconds()) if lasts else 0

    def ensure(self, owner: ChannelOwner, access: Access) -> None:
        """Close, renew and open what the plan says.

        What fails is noted and done again later: this raises nothing of a provider's.
        """
        # What a first round finds missing, or ends, is opened or closed by the second.
        for _ in range(2):
            plan = plan_push(self._stored(owner), None if self.is_on else (), provider=owner.provider, now=self.clock())
            if not plan or not self._write(owner, plan):
                return
            for channel_id in plan.close:
                self._close(owner, channel_id, access)
            for channel_id in plan.renew:
                self._renew(owner, channel_id, access)
            for channel_id in plan.open:
                self._open(owner, channel_id, access)

    def close_all(self, owner: ChannelOwner, access: Access) -> int:
        """Close all channels of a user who leaves, and return how many could not be closed.

        Raises what the provider answers if asking again may help.
        """
        with self.database.transaction(owner.tenant_id) as session:
            rows = channels_of(session, owner.tenant_id, [owner.id])
            end_channels(session, owner.tenant_id, [row.id for row in rows])
        left = 0
        for row in rows:
            name = _name(row)
            if name.external_id is None and name.resource_id is None:
                left += row.state is ChannelState.OPENING
                continue
            access(_closing(self.providers[owner.provider], name))
            with self.database.transaction(owner.tenant_id) as session:
                closed = lock_channel(session, owner.tenant_id, row.id)
                if closed is not None:
                    closed.external_id = closed.resource_id = None
        return left

    def _stored(self, owner: ChannelOwner) -> Sequence[Channel]:
        with self.database.transaction(owner.tenant_id) as session:
            return as_channels(channels_of(session, owner.tenant_id, [owner.id]))

    def _write(self, owner: ChannelOwner, plan: PushPlan) -> bool:
        """Write the plan's rows, if any. False if the user is being erased, or is gone."""
        if not (plan.want or plan.end or plan.forget):
            return True
        with self.database.transaction(owner.tenant_id) as session:
            if not lock_unless_ended(session, owner.tenant_id, owner.id):
                return False
            end_channels(session, owner.tenant_id, plan.end)
            forget_channels(session, owner.tenant_id, plan.forget)
            for want in plan.want:
                want_channel(
                    session,
                    owner.tenant_id,
                    owner.id,
                    provider=owner.provider,
                    calendar_id=want.calendar_id,
                    failures=want.failures,
                    retry_at=want.retry_at,
                )
        return True

    def _open(self, owner: ChannelOwner, channel_id: str, access: Access) -> None:
        secret = secrets.token_urlsafe(32)
        request = self._begin_opening(owner, channel_id, secret)
        if request is None:
            return
        provider = self.providers[owner.provider]
        try:
            try:
                opened = access(_opening(provider, request))
            except ChannelExists:
                if not self._has_unanswered(owner, request):
                    # It is another connection's of the same account: ending it would only have the two take turns.
                    raise
                self._close_others(owner, request.calendar_id, access)
                opened = access(_opening(provider, request))
        except RetryLater as error:
            # It may be open nevertheless: the row stays, and what it stands for is ended when it is known.
            self._note_failure(owner, channel_id, error)
        except (ProviderError, VaultError) as error:
            self._note_failure(owner, channel_id, error, state=ChannelState.WANTED)
        else:
            self._finish_opening(owner, channel_id, opened, access)

    def _begin_opening(self, owner: ChannelOwner, channel_id: str, secret: str) -> ChannelRequest | None:
        now = self.clock()
        until = now + LIVES[owner.provider]
        with self.database.transaction(owner.tenant_id) as session:
            is_there = lock_unless_ended(session, owner.tenant_id, owner.id)
            row = lock_channel(session, owner.tenant_id, channel_id) if is_there else None
            if row is None or row.state is not ChannelState.WANTED:
                return None
            row.state, row.token_digest = ChannelState.OPENING, digest_of(secret)
            row.opened_at, row.expires_at, row.verified_at = now, until, None
            row.retry_at, row.renew_asked = None, False
            calendar_id = row.calendar_id
        base = f"{self.public_url.rstrip('/')}/v1/notifications/{owner.provider}"
        return ChannelRequest(channel_id, secret, calendar_id, base, f"{base}/lifecycle", until)

    def _has_unanswered(self, owner: ChannelOwner, request: ChannelRequest) -> bool:
        """Whether an earlier opening of the user's for this calendar was never answered."""
        with self.database.transaction(owner.tenant_id) as session:
            rows = channels_of(session, owner.tenant_id, [owner.id])
        return any(
            row.id != request.channel_id
            and row.calendar_id == request.calendar_id
            and row.opened_at is not None
            and row.external_id is None
            for row in rows
        )

    def _close_others(self, owner: ChannelOwner, calendar_id: str, access: Access) -> None:
        with self.database.transaction(owner.tenant_id) as session:
            rows = channels_of(session, owner.tenant_id, [owner.id])
        known = frozenset(row.external_id for row in rows if row.external_id and row.state is ChannelState.ACTIVE)
        provider = self.providers[owner.provider]
        access(lambda token: provider.close_others(token, calendar_id, known=known, timeout_seconds=_OTHER_SECONDS))

    def _finish_opening(self, owner: ChannelOwner, channel_id: str, opened: OpenedChannel, access: Access) -> None:
        now = self.clock()
        with self.database.transaction(owner.tenant_id) as session:
            is_there = lock_unless_ended(session, owner.tenant_id, owner.id)
            row = lock_channel(session, owner.tenant_id, channel_id)
            if row is not None:
                row.external_id, row.resource_id = opened.name.external_id, opened.name.resource_id
                row.expires_at = opened.expires_at
                row.state = ChannelState.ENDING if row.state is ChannelState.ENDING else ChannelState.ACTIVE
                row.failures, row.last_error = 0, None
                row.verified_at = row.verified_at or (now if opened.is_verified else None)
        if row is None or not is_there:
            # The user left meanwhile, and nobody else will know of this channel.
            access(_closing(self.providers[owner.provider], opened.name))

    def _renew(self, owner: ChannelOwner, channel_id: str, access: Access) -> None:
        with self.database.transaction(owner.tenant_id) as session:
            row = lock_channel(session, owner.tenant_id, channel_id)
        if row is None:
            return
        until = self.clock() + LIVES[owner.provider]
        name, provider = _name(row), self.providers[owner.provider]
        try:
            ends = access(
                lambda token: provider.renew_channel(token, name, until=until, timeout_seconds=_OTHER_SECONDS)
            )
        except ResourceGone:
            self._change(owner, channel_id, _is_lost)
        except (ProviderError, VaultError) as error:
            self._note_failure(owner, channel_id, error)
        else:
            now = self.clock()

            def is_renewed(row: PushChannel) -> None:
                row.opened_at, row.expires_at, row.renew_asked = now, ends, False
                row.failures, row.last_error, row.retry_at = 0, None, None

            self._change(owner, channel_id, is_renewed)

    def _close(self, owner: ChannelOwner, channel_id: str, access: Access) -> None:
        with self.database.transaction(owner.tenant_id) as session:
            row = lock_channel(session, owner.tenant_id, channel_id)
        if row is None:
            return
        try:
            access(_closing(self.providers[owner.provider], _name(row)))
        except (ProviderError, VaultError) as error:
            self._note_failure(owner, channel_id, error)
        else:
            with self.database.transaction(owner.tenant_id) as session:
                forget_channels(session, owner.tenant_id, [channel_id])

    def _note_failure(
        self, owner: ChannelOwner, channel_id: str, error: MeetbotError, *, state: ChannelState | None = None
    ) -> None:
        _log.warning("push.channel_failed", tenant_id=owner.tenant_id, calendar_user_id=owner.id, code=error.code)
        now = self.clock()

        def has_failed(row: PushChannel) -> None:
            row.failures += 1
            row.last_error = error.code[:_LAST_ERROR_LENGTH]
            pause = UNSUPPORTED_PAUSE if isinstance(error, PushUnsupported) else pause_after(row.failures)
            asked = error.retry_after if isinstance(error, RetryLater) else None
            row.retry_at = now + max(pause, asked or pause)
            if state is not None and row.state is ChannelState.OPENING:
                row.state = state

        self._change(owner, channel_id, has_failed)

    def _change(self, owner: ChannelOwner, channel_id: str, change: Callable[[PushChannel], None]) -> None:
        with self.database.transaction(owner.tenant_id) as session:
            change_channel(session, owner.tenant_id, channel_id, change)


def change_channel(session: Session, tenant_id: str, channel_id: str, change: Callable[[PushChannel], None]) -> None:
    """Change the row of a channel as it is now; do nothing if there is none."""
    row = lock_channel(session, tenant_id, channel_id)
    if row is not None:
        change(row)
        session.add(row)


def _is_lost(row: PushChannel) -> None:
    """The provider has the channel no more: it is to be opened anew, at once."""
    row.state, row.external_id, row.resource_id = ChannelState.WANTED, None, None
    row.verified_at = row.retry_at = None
    row.renew_asked = False


def _name(row: PushChannel) -> ChannelName:
    return ChannelName(row.id, row.external_id, row.resource_id)


def _opening(provider: ChannelProvider, request: ChannelRequest) -> Callable[[str], OpenedChannel]:
    return lambda token: provider.open_channel(token, request, timeout_seconds=_OPEN_SECONDS)


def _closing(provider: ChannelProvider, name: ChannelName) -> Callable[[str], None]:
    return lambda token: provider.close_channel(token, name, timeout_seconds=_OTHER_SECONDS)
