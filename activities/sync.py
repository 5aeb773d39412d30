"""The sync activity: load, list the calendar, look up missing events, decide, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session
from temporalio import activity

from activities.ask_leaders import LeaderInquiry
from activities.load_claimants import load_claimants
from activities.services import Services
from meetbot.calendars.calendar_listing import CalendarListing
from meetbot.calendars.decide_stored import load_events
from meetbot.calendars.decide_sync import (
    CalendarChanges,
    CalendarSnapshot,
    SyncOutcome,
    decide_sync,
    read_changes,
    what_is_needed,
)
from meetbot.calendars.listing_diff import ChangedEvent, Difference, Window, window_at
from meetbot.calendars.lost_access import lose_access, tell_again
from meetbot.calendars.missing_events import LookedUp, look_up_missing
from meetbot.calendars.provider_waits import HELD
from meetbot.calendars.settle_keys import settle
from meetbot.calendars.store_sync import DisconnectedMeanwhile, Seen, load_background, load_snapshot, store
from meetbot.calendars.sync_start import begin
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.event import Event
from meetbot.domain.grant_checks import proof_for_poll
from meetbot.domain.leadership import Copy
from meetbot.domain.plan import plan_digest
from meetbot.domain.stored_event import StoredEvent
from meetbot.domain.sync_run import ended
from meetbot.errors import AccessTokenRejected, ProviderError, ReconnectRequired, VaultError
from meetbot.providers.base import Listing, RawEvent
from meetbot.push.keeper import ChannelOwner
from meetbot.storage import calendar_user_state
from meetbot.storage.bots import ClaimCopy
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.claims import withdraw_all
from meetbot.storage.sync_runs import add_run
from meetbot.temporal.messages import ActivityName, SyncRequest, SyncResult, SyncScope

_LOOK_UP_TIMEOUT_SECONDS = 5.0
# A provider that refreshes tokens and then rejects them usually has an incident. If an account's tokens are still rejected
# after this time, the account itself has lost access.
_REJECTED_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class _Dispute:
    """The leading copies with which some of this calendar's disagree; all claims by event id."""

    contradicted: Sequence[Copy]
    claims: Mapping[str, ClaimCopy]


_NO_DISPUTE = _Dispute(contradicted=(), claims={})
_NOT_MISSING = LookedUp(found=(), gone=())


class SyncActivities:
    """The activity that a calendar user's workflow calls at each of its slots."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name=ActivityName.CALENDAR_SYNC, no_thread_cancel_exception=True)
    def sync(self, request: SyncRequest) -> SyncResult:
        """Sync one calendar user once.

        Raises the provider's `RetryLater` and `OperatorRequired` after noting them.
        """
        began_at = self._services.clock()
        user = self._load(request)
        if user is None or user.state is CalendarUserStatus.DISCONNECTING:
            return self._gone(request)
        try:
            listed = self._read(request, self._without_deselected(request, user, began_at), began_at)
            outcome, outdated = self._take_in(listed)
        except DisconnectedMeanwhile:
            return self._gone(request)
        result = replace(
            _result(request, listed.user, outcome),
            to_sync=outdated,
            push_due=self._is_push_due(listed),
            wait_seconds=self._services.push.wait_seconds(listed.user.channels) if listed.user.is_connected else 0,
        )
        if listed.is_held:
            return replace(result, error=listed.user.error_code or HELD)
        shortfall = listed.listing.shortfall if listed.listing is not None else None
        return result if shortfall is None else replace(result, error=shortfall)

    def _without_deselected(
        self, request: SyncRequest, user: CalendarUserContext, began_at: datetime
    ) -> CalendarUserContext:
        """Have the meetings of deselected calendars leave.

        That comes before the provider is asked, which may not answer.
        """
        stored = CalendarListing(user, None, window_at(began_at, self._services.window_days), began_at)
        if request.scope is not SyncScope.CALENDAR or not stored.changes:
            return user
        self._take_in(stored)
        return self._load(request) or user

    def _is_push_due(self, listed: CalendarListing) -> bool:
        """Note which calendars were read; return whether their push channels are to be seen to."""
        user = listed.user
        if listed.listing is None:
            return False
        owner = ChannelOwner(user.tenant_id, user.id, user.provider)
        return self._services.push.note_calendars(owner, user.channels, listed.reported_on(self._services.clock()))

    def _load(self, request: SyncRequest) -> CalendarUserContext | None:
        with self._services.database.transaction(request.tenant_id) as session:
            return load_context(session, request.tenant_id, request.calendar_user_id)

    def _gone(self, request: SyncRequest) -> SyncResult:
        """End the workflow of a calendar user that is being erased, or was."""
        self._services.tokens.forget(request.tenant_id, request.calendar_user_id)
        with self._services.database.transaction(request.tenant_id) as session:
            withdraw_all(session, request.tenant_id, request.calendar_user_id)
        return SyncResult(state=CalendarUserStatus.GONE, plan_digest="", plan=())

    def _read(self, request: SyncRequest, user: CalendarUserContext, began_at: datetime) -> CalendarListing:
        """List the calendar, unless only decisions are asked for or we have no access to it."""
        window, listing = window_at(began_at, self._services.window_days), None
        tell_again(
            self._services.database,
            user,
            public_url=self._services.public_url,
            start=begin(user, began_at),
            now=self._services.clock(),
        )
        if request.scope is SyncScope.CALENDAR and user.is_connected:
            try:
                listing = self._list(user, window)
            except ReconnectRequired as error:
                # A refresh just before may have brought another refresh token: it is lost with the one that was used.
                lost_with = user if error.token_version is None else replace(user, token_version=error.token_version)
                user = self._lose_access(lost_with, error.code, began_at)
            except AccessTokenRejected as error:
                if began_at < _last_good(user) + _REJECTED_FOR:
                    self._note_error(user, error.code, began_at)
                    raise
                # Read again: the refresh just before may have brought another refresh token.
                user = self._lose_access(self._load(request) or user, error.code, began_at)
            except (ProviderError, VaultError) as error:
                if error.code == HELD:
                    return CalendarListing(user, None, window, began_at, is_held=True)
                self._note_error(user, error.code, began_at)
                raise
            except Exception:
                self._note_error(user, "internal_error", began_at)
                raise
        return CalendarListing(user, listing, window, began_at)

    def _list(self, user: CalendarUserContext, window: Window) -> Listing:
        provider = self._services.providers[user.provider]
        listing = self._services.tokens.call(
            user,
            lambda token: provider.list_events(
                token,
                window_start=window.start,
                window_end=window.end,
                granted=user.scopes,
                choice=user.choice,
            ),
            given_within=proof_for_poll(user.provider),
        )
        if listing.refusal is not None:
            self._services.waits.note(user, listing.refusal)
        return listing

    def _lose_access(self, user: CalendarUserContext, code: str, began_at: datetime) -> CalendarUserContext:
        self._services.tokens.forget(user.tenant_id, user.id)
        services = self._services
        start = begin(user, began_at)
        return lose_access(
            services.database, user, code, public_url=services.public_url, start=start, now=services.clock()
        )

    def _note_error(self, user: CalendarUserContext, code: str, began_at: datetime) -> None:
        run = ended(begin(user, began_at), self._services.clock(), code=code)
        with self._services.database.transaction(user.tenant_id) as session:
            calendar_user_state.note_error(session, user.tenant_id, user.id, code=code)
            add_run(session, user.tenant_id, user.id, run)

    def _take_in(self, listed: CalendarListing) -> tuple[SyncOutcome, tuple[str, ...]]:
        """Decide and store in the transaction that reads what is stored.

        There are more only if events are missing from the listing, or copies disagree with others': asking providers about
        them must hold none open. Return what was stored, and the calendar users whose copies turned out to be outdated.
        """
        looked_up: LookedUp | None = None
        inquiry = LeaderInquiry(self._services, listed.user.tenant_id)
        while True:
            with self._services.database.transaction(listed.user.tenant_id) as session:
                snapshot = self._snapshot(session, listed)
                difference = listed.difference(snapshot, self._services.clock())
                dispute = _NO_DISPUTE
                if looked_up is not None or not difference.missing:
                    changes, dispute = self._settle(session, listed, snapshot, difference, looked_up or _NOT_MISSING)
                    # After an answer another copy may lead, and is asked too.
                    if not inquiry.unasked(dispute.contradicted):
                        return self._decide_and_store(session, listed, snapshot, changes), inquiry.outdated
            if looked_up is None and difference.missing:
                looked_up = self._look_up(listed.user, difference.missing)
            inquiry.ask(inquiry.unasked(dispute.contradicted), dispute.claims)

    def _settle(
        self,
        session: Session,
        listed: CalendarListing,
        snapshot: CalendarSnapshot,
        difference: Difference,
        looked_up: LookedUp,
    ) -> tuple[CalendarChanges, _Dispute]:
        """Return what has changed, and the leading copies that it contradicts.

        Each changed copy has the key of the meeting that it is of by now.
        """
        user, now = listed.user, self._services.clock()
        changed = (*difference.changed, *looked_up.found)
        news = read_changes(snapshot, changed, lambda change: self._normalise(user, change))
        read = list(news.read)
        gone = (*looked_up.gone, *difference.left)
        unreadable = listed.unreadable(snapshot, now)
        touched = {one.identity.event_id for one in read}.union(gone, unreadable)
        unsettled = [event.id for event in snapshot.stored if event.is_unsettled and event.id not in touched]
        if unsettled:
            read += load_events(session, user, unsettled)
        loaded = load_claimants(session, user, read, (*gone, *unreadable), now=now)
        settlement = settle(read, loaded.surroundings, now=now)
        changes = CalendarChanges(read=settlement.read, gone=gone, skipped=news.skipped, unreadable=unreadable)
        return changes, _Dispute(settlement.contradicted, loaded.by_event)

    def _snapshot(self, session: Session, listed: CalendarListing) -> CalendarSnapshot:
        return load_snapshot(session, listed.user, since=listed.window.start, now=self._services.clock())

    def _look_up(self, user: CalendarUserContext, missing: Sequence[StoredEvent]) -> LookedUp:
        return look_up_missing(
            missing,
            lambda event: self._get_event(user, event),
            lambda answer: self._normalise(user, answer),
            now=self._services.clock(),
        )

    def _get_event(self, user: CalendarUserContext, event: StoredEvent) -> RawEvent:
        provider = self._services.providers[user.provider]
        return self._services.tokens.call(
            user,
            lambda token: provider.get_event(
                token,
                calendar_id=event.calendar_id,
                provider_event_id=event.provider_event_id,
                timeout_seconds=_LOOK_UP_TIMEOUT_SECONDS,
            ),
        )

    def _normalise(self, user: CalendarUserContext, change: ChangedEvent) -> Event | None:
        provider = self._services.providers[user.provider]
        return provider.normalise(
            change.calendar_id, change.raw, owner_email=user.email, owner_aliases=user.email_aliases
        )

    def _decide_and_store(
        self, session: Session, listed: CalendarListing, snapshot: CalendarSnapshot, changes: CalendarChanges
    ) -> SyncOutcome:
        user, now = listed.user, self._services.clock()
        background = load_background(session, user, what_is_needed(snapshot, changes, now=now), now=now)
        outcome = decide_sync(snapshot, changes, background, now=now, horizon=self._services.horizon)
        seen = Seen(listed.began_at if listed.is_whole else None, listed.left_out(changes), listed.changes)
        store(session, user, outcome, now=now, seen=seen, start=listed.start)
        return outcome


def _result(request: SyncRequest, user: CalendarUserContext, outcome: SyncOutcome) -> SyncResult:
    plan = outcome.claims.plan
    digest = plan_digest(plan)
    return SyncResult(
        state=CalendarUserStatus.ACTIVE if user.is_connected else user.state,
        plan_digest=digest,
        plan=None if digest == request.plan_digest else plan,
        changed=outcome.changed,
        error=user.error_code or "" if not user.is_connected else "",
    )


def _last_good(user: CalendarUserContext) -> datetime:
    """When the calendar was last known to be readable: its last sync, or its last connecting."""
    return max(user.last_synced_at or user.state_changed_at, user.state_changed_at)
