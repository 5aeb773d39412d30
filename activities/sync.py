"""The sync activity: list the provider's window, store what changed, decide, and say what is to be recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session
from temporalio import activity

from activities.services import Services
from meetbot.calendars.ingest import decided_events, redecide
from meetbot.calendars.listing_diff import ChangedEvent, Comparison, Window, compare, fingerprint_of, window_at
from meetbot.domain.plan import Candidate, choose_candidates, plan_digest
from meetbot.errors import AccessTokenRejected, ProviderError, ReconnectRequired, ResourceGone
from meetbot.providers.base import Listing
from meetbot.storage import sync_marks
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.claims import candidates_of, replace_claims, withdraw_all
from meetbot.storage.events import StoredEvent, bury_events, stored_events, write_events
from meetbot.storage.refresh_tokens import mark_needs_reconnect
from meetbot.storage.successors import carry_over
from meetbot.temporal.messages import ActivityName, SyncRequest, SyncResult, SyncScope

# Each one missing from a complete listing is asked for by itself, to tell "moved far away" from "gone". Beyond this many (a
# series was cut short, say) they count as gone where all of these are, and else wait for the next sync.
_MAX_LOOKED_UP = 25
_LOOK_UP_TIMEOUT_SECONDS = 5.0
# A provider that refreshes tokens and then rejects them has an incident. After so long it is about this one account.
_REJECTED_FOR = timedelta(hours=6)

GONE = "gone"


class SyncActivities:
    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name=ActivityName.CALENDAR_SYNC, no_thread_cancel_exception=True)
    def sync(self, request: SyncRequest) -> SyncResult:
        """One sync of one calendar user. Raises the provider's `RetryLater` and `OperatorRequired` after noting them."""
        started = self._services.clock()
        user = self._load(request)
        if user is None or user.state == "disconnecting":
            self._withdraw_claims(request)
            return SyncResult(state=GONE, plan_digest="", plan=())
        listing, window = None, window_at(started, self._services.window_days)
        if request.scope is SyncScope.CALENDAR and user.is_connected:
            try:
                listing = self._list(user, window)
            except ReconnectRequired as error:
                user = self._lose_access(user, error.code, started)
            except AccessTokenRejected as error:
                if started < _last_good(user) + _REJECTED_FOR:
                    self._note_error(user, error.code)
                    raise
                # Read again: the refresh just before may have brought another refresh token.
                user = self._lose_access(self._load(request) or user, error.code, started)
            except ProviderError as error:
                self._note_error(user, error.code)
                raise
        return self._store(request, user, listing, window, started)

    def _load(self, request: SyncRequest) -> CalendarUserContext | None:
        with self._services.database.transaction(request.tenant_id) as session:
            return load_context(session, request.tenant_id, request.calendar_user_id)

    def _withdraw_claims(self, request: SyncRequest) -> None:
        with self._services.database.transaction(request.tenant_id) as session:
            withdraw_all(session, request.tenant_id, request.calendar_user_id)

    def _list(self, user: CalendarUserContext, window: Window) -> Listing:
        provider = self._services.providers[user.provider]
        return self._services.tokens.call(
            user,
            lambda token: provider.list_events(
                token, window_start=window.start, window_end=window.end, granted=user.scopes
            ),
        )

    def _store(
        self,
        request: SyncRequest,
        user: CalendarUserContext,
        listing: Listing | None,
        window: Window,
        started: datetime,
    ) -> SyncResult:
        missing: Sequence[StoredEvent] = ()
        with self._services.database.transaction(user.tenant_id) as session:
            stored = stored_events(session, user.tenant_id, user.id, since=window.start)
            comparison = compare(stored, listing, window) if listing else Comparison((), ())
            missing = comparison.missing
            if not missing:
                return self._write(session, request, user, stored, comparison, (), listing is not None, started)
        found, gone = self._look_up(user, missing)
        with self._services.database.transaction(user.tenant_id) as session:
            stored = stored_events(session, user.tenant_id, user.id, since=window.start)
            comparison = compare(stored, listing, window) if listing else comparison
            comparison = replace(comparison, changed=(*comparison.changed, *found))
            return self._write(session, request, user, stored, comparison, gone, True, started)

    def _look_up(
        self, user: CalendarUserContext, missing: Sequence[StoredEvent]
    ) -> tuple[list[ChangedEvent], list[str]]:
        """Where the missing events are now; those we get no answer about are left for the next sync."""
        provider = self._services.providers[user.provider]
        now = self._services.clock()
        soonest = sorted(missing, key=lambda event: _urgency(event, now))
        found: list[ChangedEvent] = []
        gone: list[str] = []
        unchanged = 0
        for event in soonest[:_MAX_LOOKED_UP]:
            try:
                now_there = self._look_up_one(user, event)
            except ResourceGone:
                gone.append(event.id)
            except ProviderError:
                return found, gone
            else:
                # What is no event any more, as a meeting that has become the master of a series, is gone too.
                if provider.normalise(event.calendar_id, now_there.raw, owner_email=user.email) is None:
                    gone.append(event.id)
                elif now_there.fingerprint == event.fingerprint:
                    unchanged += 1
                else:
                    found.append(now_there)
        if not found and not unchanged:
            # All that were asked for are gone, so the listing is to be believed about the others too.
            # Those without a usable start may never have been in it.
            gone += [event.id for event in soonest[_MAX_LOOKED_UP:] if event.start_at is not None]
        return found, gone

    def _look_up_one(self, user: CalendarUserContext, event: StoredEvent) -> ChangedEvent:
        provider = self._services.providers[user.provider]
        raw = self._services.tokens.call(
            user,
            lambda token: provider.get_event(
                token,
                calendar_id=event.calendar_id,
                provider_event_id=event.provider_event_id,
                timeout_seconds=_LOOK_UP_TIMEOUT_SECONDS,
            ),
        )
        return ChangedEvent(event.calendar_id, raw, fingerprint_of(raw), event)

    def _write(
        self,
        session: Session,
        request: SyncRequest,
        user: CalendarUserContext,
        stored: Sequence[StoredEvent],
        comparison: Comparison,
        gone: Sequence[str],
        listed: bool,
        started: datetime,
    ) -> SyncResult:
        now = self._services.clock()
        records = decided_events(user, self._services.providers[user.provider], comparison.changed, now=now)
        write_events(session, records)
        bury_events(session, user.tenant_id, gone, now=now)
        changed = len(records) + len(gone)
        heard = self._with_what_was_said(session, user, stored, records, now)
        decided = [record["id"] for record in records] if heard is user else []
        user = heard
        changed += self._decide_again(session, user, stored, decided, now)
        if changed:
            session.flush()
            stored = stored_events(session, user.tenant_id, user.id, since=window_at(started, 1).start)
            sync_marks.announce_changes(session, user)
        wanted = {} if user.grace_is_over(now) else self._wanted(stored, now)
        plan = replace_claims(session, user.tenant_id, user.id, stored, wanted, now=now)
        if listed:
            sync_marks.mark_synced(session, user, at=started)
        digest = plan_digest(plan)
        return SyncResult(
            state="active" if user.is_connected else user.state,
            plan_digest=digest,
            plan=None if digest == request.plan_digest else plan,
            changed=changed,
            error=user.error_code or "" if not user.is_connected else "",
        )

    def _with_what_was_said(
        self,
        session: Session,
        user: CalendarUserContext,
        stored: Sequence[StoredEvent],
        records: Sequence[Mapping[str, Any]],
        now: datetime,
    ) -> CalendarUserContext:
        """Where a series was moved, its occurrences keep what was said about them; the policy is then another one."""
        known = {event.id for event in stored}
        appeared = [record["id"] for record in records if record["id"] not in known and record["recurring"]]
        if not stored or not carry_over(session, user, appeared, now=now):
            return user
        changed = load_context(session, user.tenant_id, user.id)
        return replace(user, policy=changed.policy) if changed is not None else user

    def _wanted(self, stored: Sequence[StoredEvent], now: datetime) -> dict[str, Candidate]:
        horizon = self._services.horizon
        candidates = candidates_of(stored, ends_after=now, starts_by=now + horizon)
        claimed = {event.meeting_key for event in stored if event.claimed_digest is not None}
        return choose_candidates(candidates, now=now, horizon=horizon, claimed=claimed)

    def _decide_again(
        self,
        session: Session,
        user: CalendarUserContext,
        stored: Sequence[StoredEvent],
        just_decided: Sequence[str],
        now: datetime,
    ) -> int:
        """By a policy other than the one that the stored decisions were made with; ``stored`` is from before the writing."""
        if user.grace_is_over(now):
            return sync_marks.give_up_decisions(session, user, now=now)
        if user.decided_policy == user.policy.digest:
            return 0
        undecided = {event.id for event in stored if not event.deleted and event.end_at and event.end_at > now}
        changed = 0
        if not undecided.issubset(just_decided):
            changed = redecide(session, user, now=now, except_ids=just_decided)
        sync_marks.mark_decided(session, user)
        return changed

    def _lose_access(self, user: CalendarUserContext, code: str, now: datetime) -> CalendarUserContext:
        """Only the provider's word that the grant is gone comes here; an outage of anybody's never does."""
        self._services.tokens.forget(user.tenant_id, user.id)
        with self._services.database.transaction(user.tenant_id) as session:
            lost = mark_needs_reconnect(
                session, user.tenant_id, user.id, token_version=user.token_version, code=code, now=now
            )
            if lost:
                sync_marks.announce_lost_access(session, user, public_url=self._services.public_url, now=now)
        return replace(user, state="needs_reconnect", state_changed_at=now, error_code=code) if lost else user

    def _note_error(self, user: CalendarUserContext, code: str) -> None:
        with self._services.database.transaction(user.tenant_id) as session:
            sync_marks.note_error(session, user, code=code)


def _urgency(event: StoredEvent, now: datetime) -> tuple[bool, bool, datetime, str]:
    """The soonest first; then those without a usable start, which no bot waits for; then those that are over."""
    return _is_over(event, now), event.start_at is None, event.start_at or now, event.id


def _is_over(event: StoredEvent, now: datetime) -> bool:
    return event.end_at is not None and event.end_at <= now


def _last_good(user: CalendarUserContext) -> datetime:
    """When the calendar was last known to be readable: its last sync, or its last connecting."""
    return max(user.last_synced_at or user.state_changed_at, user.state_changed_at)
