"""The steps of erasing a calendar user. Each may be repeated at any time and settles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from activities.services import Services
from meetbot.bots.reconcile import reconcile
from meetbot.calendars.oauth_clients import destroy_retired
from meetbot.calendars.revocation import Revoker
from meetbot.domain.erasure import ErasureState, ErasureStep, Revocation
from meetbot.domain.event import Provider
from meetbot.domain.event_types import WebhookEventType
from meetbot.errors import BackendUnavailable, ProviderError, RetryLater, VaultError, VaultUnavailable
from meetbot.push.keeper import ChannelOwner
from meetbot.storage import bots, erasures, outbox
from meetbot.storage.claims import withdraw_claims
from meetbot.storage.erasure_rows import blank_links, delete_calendar_user
from meetbot.storage.push_channels import channels_of
from meetbot.storage.tables import CalendarUser, Erasure
from meetbot.temporal.messages import ActivityName, ErasureRef, MeetingRef, WithdrawnBots, WithdrawRequest

_MEETINGS_AT_ONCE = 50
# About a minute, with the pauses of the workflow's retries.
_STOP_ATTEMPTS = 6


class ErasingActivities:
    """The activities that an erasure's workflow calls, one after the other."""

    def __init__(self, services: Services, revoker: Revoker) -> None:
        self._services = services
        self._revoker = revoker

    def all(self) -> Sequence[Callable[..., Any]]:
        """Return all activities, for the worker that runs them."""
        return [self.withdraw_bots, self.stop_push, self.revoke_grant, self.delete_rows, self.finish]

    @activity.defn(name=ActivityName.ERASURE_WITHDRAW, no_thread_cancel_exception=True)
    def withdraw_bots(self, request: WithdrawRequest) -> WithdrawnBots:
        """Withdraw the claims on the next meetings; a bot that others claim too is handed over.

        The workflows of the bots are still to look again: what is at the backend already is recalled by them.
        """
        erasure = self._begun(ErasureRef(request.tenant_id, request.erasure_id))
        if erasure is None:
            return WithdrawnBots(())
        self._services.tokens.forget(request.tenant_id, erasure.calendar_user_id)
        with self._services.database.transaction(request.tenant_id) as session:
            erasures.keep_token_for_revocation(session, request.tenant_id, request.erasure_id)
            keys = erasures.meetings_to_release(
                session,
                request.tenant_id,
                erasure.calendar_user_id,
                after=request.after,
                most=_MEETINGS_AT_ONCE,
            )
        to_wake = tuple(key for key in keys if self._release(erasure, key))
        if len(keys) == _MEETINGS_AT_ONCE:
            return WithdrawnBots(to_wake, after=keys[-1])
        self._note(erasure, ErasureStep.BOTS_WITHDRAWN)
        return WithdrawnBots(to_wake)

    @activity.defn(name=ActivityName.ERASURE_STOP_PUSH, no_thread_cancel_exception=True)
    def stop_push(self, ref: ErasureRef) -> None:
        """Close the push channels at the provider.

        While it does not answer, this is tried a few times. Then the rows go all the same: a channel tells us nothing but to
        look, is answered 404 from then on, and ends by itself within a week.
        """
        erasure = self._begun(ref)
        if erasure is None:
            return
        try:
            left = self._close_channels(erasure)
        except (RetryLater, VaultUnavailable):
            if _attempt() < _STOP_ATTEMPTS:
                raise
            left = None
        except (ProviderError, VaultError):
            # The token is dead or does not open: nobody can close them any more.
            left = None
        with self._services.database.transaction(ref.tenant_id) as session:
            erasures.note_unclosed(session, ref.tenant_id, ref.erasure_id, left)
        self._note(erasure, ErasureStep.PUSH_STOPPED)

    def _close_channels(self, erasure: Erasure) -> int:
        """Close all; return how many can be closed by nobody, since their opening was not answered."""
        with self._services.database.transaction(erasure.tenant_id) as session:
            pending = erasures.find_pending(session, erasure.tenant_id, erasure.id)
            has_channels = bool(channels_of(session, erasure.tenant_id, [erasure.calendar_user_id]))
        if pending is None or not has_channels:
            return 0
        token = self._revoker.access_token(pending)
        owner = ChannelOwner(erasure.tenant_id, erasure.calendar_user_id, Provider(erasure.provider))
        return self._services.push.close_all(owner, lambda request: request(token))

    @activity.defn(name=ActivityName.ERASURE_REVOKE, no_thread_cancel_exception=True)
    def revoke_grant(self, ref: ErasureRef) -> None:
        """End the grant at the provider.

        Raises `ProviderError` or `VaultError` if asking again may help.
        """
        with self._services.database.transaction(ref.tenant_id) as session:
            pending = erasures.find_pending(session, ref.tenant_id, ref.erasure_id)
        if pending is not None:
            self._settle(ref, self._revoker.revoke(pending))

    @activity.defn(name=ActivityName.ERASURE_DELETE, no_thread_cancel_exception=True)
    def delete_rows(self, ref: ErasureRef) -> None:
        """Delete all rows of the calendar user, and tell the tenant in the same transaction."""
        now = self._services.clock()
        with self._services.database.transaction(ref.tenant_id) as session:
            erasure = erasures.find_erasure(session, ref.tenant_id, ref.erasure_id)
            if erasure is None or erasure.state is not ErasureState.RUNNING:
                return
            user = session.get(CalendarUser, (ref.tenant_id, erasure.calendar_user_id), with_for_update=True)
            if user is None:
                return
            told = _farewell(erasure, user)
            erasure.counts = erasure.counts | delete_calendar_user(session, ref.tenant_id, user.id)
            session.expunge(user)
            if user.oauth_client_id is not None:
                destroy_retired(session, ref.tenant_id, user.provider, now=now)
            session.add(erasure)
            session.flush()
            erasures.note_step(session, ref.tenant_id, ref.erasure_id, ErasureStep.ROWS_DELETED, now=now)
            outbox.emit(session, ref.tenant_id, WebhookEventType.CALENDAR_USER_DISCONNECTED, told)

    @activity.defn(name=ActivityName.ERASURE_FINISH, no_thread_cancel_exception=True)
    def finish(self, ref: ErasureRef) -> None:
        """Close the certificate.

        A grant that could not be revoked until now is given up, and its token deleted. Raises `BackendUnavailable` while a bot
        must still be recalled by its link: the backend's answer about it was lost.
        """
        self._blank_links(ref)
        self._settle(ref, Revocation.GIVEN_UP)
        with self._services.database.transaction(ref.tenant_id) as session:
            erasures.finish_erasure(session, ref.tenant_id, ref.erasure_id, now=self._services.clock())

    def _blank_links(self, ref: ErasureRef) -> None:
        with self._services.database.transaction(ref.tenant_id) as session:
            erasure = erasures.lock_erasure(session, ref.tenant_id, ref.erasure_id)
            if erasure is None or erasure.state is not ErasureState.RUNNING:
                return
            more, needed = blank_links(session, ref.tenant_id, erasure.calendar_user_id)
            erasure.counts = erasure.counts | {name: erasure.counts.get(name, 0) + more[name] for name in more}
            session.add(erasure)
        if needed:
            raise BackendUnavailable("bot_unanswered", f"{needed} bots are not recalled yet")

    def _begun(self, ref: ErasureRef) -> Erasure | None:
        with self._services.database.transaction(ref.tenant_id) as session:
            erasure = erasures.find_erasure(session, ref.tenant_id, ref.erasure_id)
        return erasure if erasure is not None and erasure.state is ErasureState.RUNNING else None

    def _note(self, erasure: Erasure, step: ErasureStep) -> None:
        with self._services.database.transaction(erasure.tenant_id) as session:
            erasures.note_step(session, erasure.tenant_id, erasure.id, step, now=self._services.clock())

    def _settle(self, ref: ErasureRef, revocation: Revocation) -> None:
        with self._services.database.transaction(ref.tenant_id) as session:
            erasures.settle_revocation(session, ref.tenant_id, ref.erasure_id, revocation, now=self._services.clock())

    def _release(self, erasure: Erasure, meeting_key: str) -> bool:
        """Withdraw the claim and reconcile the bot. Return whether there is one."""
        with self._services.database.transaction(erasure.tenant_id) as session:
            # In the order in which all others lock: the meeting before its claims.
            bots.lock_meeting(session, erasure.tenant_id, meeting_key)
            withdraw_claims(session, erasure.tenant_id, erasure.calendar_user_id, [meeting_key])
            step = reconcile(session, MeetingRef(erasure.tenant_id, meeting_key), self._services.reconcile_context())
            return bool(step.bot_id)


def _attempt() -> int:
    """Return which attempt of its activity this is; the first, outside of one."""
    return activity.info().attempt if activity.in_activity() else 1


def _farewell(erasure: Erasure, user: CalendarUser) -> dict[str, Any]:
    """What the tenant is told: its own id of the user, and no address."""
    return {
        "id": user.id,
        "customer_user_id": user.customer_user_id,
        "provider": user.provider,
        "state": "disconnected",
        "erasure_id": erasure.id,
        "sequence": user.sequence + 1,
    }
