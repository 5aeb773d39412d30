"""From an authorization code to a stored calendar user.

The API and the worker share it. The API exchanges codes that were given to our own client. Those given to a tenant's app are
exchanged by the worker, since only it may open the app's secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlmodel import Session

from meetbot.calendars.approved_directories import ProvenDirectory, record_approval
from meetbot.calendars.connect_flow import ConnectError
from meetbot.calendars.oauth_clients import destroy_retired
from meetbot.calendars.waiting_users import follow_sequence, take_over, tell_gone
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.decision import Layer
from meetbot.domain.event import Provider
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.ids import new_id
from meetbot.domain.push import push_health
from meetbot.errors import ProviderError
from meetbot.providers.base import CalendarProvider, OAuthClient, TokenGrant
from meetbot.resources.calendar_user import calendar_user_document
from meetbot.storage import connect_attempts, outbox
from meetbot.storage.account_calendars import default_mode
from meetbot.storage.audit_log import append
from meetbot.storage.calendar_users import (
    AccountKey,
    CalendarUserRef,
    GivenConsent,
    add_calendar_user,
    find_calendar_user,
    lock_identity,
    renew_calendar_user,
)
from meetbot.storage.database import Database
from meetbot.storage.earlier_grants import set_earlier_token_aside
from meetbot.storage.erasures import is_connected_anywhere
from meetbot.storage.oauth_apps import find_app, lock_apps
from meetbot.storage.push_channels import as_channels, channels_of, end_all_channels
from meetbot.storage.rule_sets import add_version
from meetbot.storage.tables import CalendarUser, ConnectAttempt, WaitingUser
from meetbot.vault.sealing import DataKey, SealedSecret, TokenOwner, refresh_token_binding, seal_refresh_token

_log = structlog.get_logger(__name__)
_CREATED_BY_CONNECT = "connect"
# The end-user waits for the page meanwhile.
_REVOKE_SECONDS = 5.0
_ADMINISTRATORS_MATTERS = ("admin_consent_required", "admin_policy_enforced", "application_not_in_directory")


@dataclass(frozen=True, slots=True)
class ConnectContext:
    """What completing a connection works with.

    ``clock`` gives the present in UTC; ``public_url`` is where browsers reach the API.
    """

    database: Database
    providers: Mapping[Provider, CalendarProvider]
    region: str
    clock: Callable[[], datetime]
    push_is_on: bool
    ours: Mapping[Provider, OAuthClient]
    public_url: str


@dataclass(frozen=True, slots=True)
class ReturnedCode:
    """An authorization code as a browser brought it, with what proves that it may be used."""

    code: str
    code_verifier: str
    redirect_uri: str

    def __repr__(self) -> str:
        return "ReturnedCode()"


@dataclass(frozen=True, slots=True)
class CompletedConnect:
    """How it ended: with a calendar user, an approved directory, or an error.

    ``is_new``: it was never connected before.
    """

    user: CalendarUserRef | None = None
    is_new: bool = False
    error: ConnectError | None = None
    approved: str | None = None


def complete_connect(
    context: ConnectContext, client: OAuthClient, attempt: ConnectAttempt, returned: ReturnedCode, data_key: DataKey
) -> CompletedConnect:
    """Exchange the code and store the calendar user.

    The code works once, so that all that can be waited for was done before. Raises `ProviderError` if the exchange fails.
    """
    provider = context.providers[Provider(attempt.provider)]
    if attempt.directory is not None:
        client = replace(client, directory=attempt.directory)
    grant = provider.exchange_code(
        client,
        code=returned.code,
        code_verifier=returned.code_verifier,
        redirect_uri=returned.redirect_uri,
        nonce=attempt.nonce or "",
    )
    if provider.missing_scopes(grant.scopes):
        completed = CompletedConnect(error=ConnectError.SCOPE_MISSING)
    elif attempt.admin_consent_id is not None:
        completed = _approve(context, client, attempt, grant)
    else:
        completed = _store(context, attempt, grant, data_key)
    if completed.error is not None:
        _revoke_refused(context, client, attempt, grant)
    return completed


def error_of_exchange(error: ProviderError) -> ConnectError:
    """Return what the customer is told if the exchange failed."""
    needs_admin = error.code in _ADMINISTRATORS_MATTERS
    return ConnectError.ADMIN_CONSENT_REQUIRED if needs_admin else ConnectError.PROVIDER_ERROR


def _approve(
    context: ConnectContext, client: OAuthClient, attempt: ConnectAttempt, grant: TokenGrant
) -> CompletedConnect:
    """Take the sign-in of an administrator as the proof of what the provider's redirect claimed.

    The ID token names the directory, and the granted scopes show that the client may be used there. The tokens are dropped.
    """
    directory = (grant.directory_id or "").lower()
    if not directory or directory != attempt.directory:
        return CompletedConnect(error=ConnectError.ACCOUNT_MISMATCH)
    proven = ProvenDirectory(directory, client.client_id, attempt.oauth_client_id)
    with context.database.transaction(attempt.tenant_id) as session:
        error = record_approval(session, attempt, proven, public_url=context.public_url, now=context.clock())
        if error is None and attempt.exchange_id is not None:
            connect_attempts.note_outcome(session, attempt)
    return CompletedConnect(error=error, approved=directory if error is None else None)


def _revoke_refused(context: ConnectContext, client: OAuthClient, attempt: ConnectAttempt, grant: TokenGrant) -> None:
    """End a grant that nothing of ours uses.

    If the account is connected already, its connection needs the grant, and it stays.
    """
    if grant.subject is None:
        return
    ours = context.ours.get(client.provider)
    ours_id = ours.client_id if ours is not None else None
    with context.database.subject_lookup(grant.subject) as session:
        if is_connected_anywhere(session, attempt.provider, grant.subject, attempt.oauth_client_id, ours=ours_id):
            return
    try:
        context.providers[client.provider].revoke(
            client, grant.refresh_token or grant.access_token, timeout_seconds=_REVOKE_SECONDS
        )
    except ProviderError as error:
        # The token is stored nowhere, so that it ends with this request.
        _log.warning("connect.revocation_failed", provider=attempt.provider, code=error.code)


@dataclass(frozen=True, slots=True)
class _Consent:
    """A consent that was given: the attempt, the account, and what the provider granted."""

    attempt: ConnectAttempt
    identity: AccountKey
    grant: TokenGrant
    data_key: DataKey


def _store(context: ConnectContext, attempt: ConnectAttempt, grant: TokenGrant, data_key: DataKey) -> CompletedConnect:
    if grant.subject is None or grant.email is None:
        _log.warning("connect.identity_missing", provider=attempt.provider)
        return CompletedConnect(error=ConnectError.PROVIDER_ERROR)
    identity = AccountKey(attempt.tenant_id, attempt.provider, grant.subject, attempt.customer_user_id)
    with context.database.transaction(attempt.tenant_id) as session:
        stored = _connect(session, context, _Consent(attempt, identity, grant, data_key))
        if isinstance(stored, ConnectError):
            return CompletedConnect(error=stored)
        if attempt.exchange_id is not None:
            connect_attempts.note_outcome(session, attempt, connected_user_id=stored.id)
    reference = CalendarUserRef(stored.tenant_id, stored.id, stored.provider)
    return CompletedConnect(reference, is_new=stored.token_version == 1)


def _connect(session: Session, context: ConnectContext, consent: _Consent) -> CalendarUser | ConnectError:
    """Return the calendar user of this consent, new or renewed, or why it cannot be."""
    known = lock_identity(session, consent.identity)
    if not connect_attempts.hold_attempt(session, consent.attempt):
        # Erased while the code was exchanged: an older wish to connect brings nobody back.
        return ConnectError.EXPIRED
    refusal = _refusal(session, consent.attempt, known, consent.grant) or _refusal_of_app(session, consent, known)
    if refusal is not None:
        return refusal
    now = context.clock()
    waiting = take_over(session, consent.attempt, (consent.grant.email or "", *consent.grant.aliases))
    calendar_user_id = _id_of(known, waiting)
    version = known.token_version + 1 if known is not None else 1
    account = consent.identity
    owner = TokenOwner(
        account.tenant_id,
        calendar_user_id,
        account.provider,
        account.subject,
        version,
        consent.attempt.oauth_client_id,
    )
    sealed = _sealed(consent, context.region, owner)
    left = known.oauth_client_id if known is not None else None
    if known is not None:
        if sealed is not None and left != consent.attempt.oauth_client_id:
            set_earlier_token_aside(session, known.tenant_id, known.id)
            # Opened by the earlier grant, they end with it, and the provider does not say so.
            end_all_channels(session, known.tenant_id, known.id)
        user = _renew(session, consent, known, sealed, now)
        if waiting is not None:
            tell_gone(session, waiting)
    else:
        user = _add(session, _following(consent, waiting), calendar_user_id, sealed, now)
        if waiting is not None:
            follow_sequence(session, user, waiting)
    channels = as_channels(channels_of(session, user.tenant_id, [user.id]))
    push = push_health(channels, now=now, is_on=context.push_is_on)
    mode = default_mode(session, user.tenant_id)
    told = calendar_user_document(user, now=now, default_mode=mode, push=push)
    outbox.emit(session, user.tenant_id, WebhookEventType.CALENDAR_USER_CONNECTED, told)
    detail: dict[str, DetailValue] = {"provider": user.provider, "again": known is not None}
    append(session, user.tenant_id, AuditFact(now, "browser", "calendar_user.connected", user.id, detail=detail))
    if left is not None and left != user.oauth_client_id:
        destroy_retired(session, user.tenant_id, user.provider, now=now)
    return user


def _id_of(known: CalendarUser | None, waiting: WaitingUser | None) -> str:
    if known is not None:
        return known.id
    return waiting.id if waiting is not None else new_id("cu")


def _following(consent: _Consent, waiting: WaitingUser | None) -> _Consent:
    """The consent with what was asked for before, unless it was asked for anew."""
    attempt = consent.attempt
    if waiting is not None:
        attempt.attributes = waiting.attributes if attempt.attributes is None else attempt.attributes
        attempt.rules = waiting.rules if attempt.rules is None else attempt.rules
    return consent


def _refusal_of_app(session: Session, consent: _Consent, known: CalendarUser | None) -> ConnectError | None:
    """Lock the tenant's apps if one of them takes part.

    The one that was asked for may be gone by now.
    """
    asked = consent.attempt.oauth_client_id
    if asked is None and (known is None or known.oauth_client_id is None):
        return None
    account = consent.identity
    lock_apps(session, account.tenant_id, account.provider)
    if asked is not None and find_app(session, account.tenant_id, account.provider, asked) is None:
        _log.warning("connect.app_gone", provider=account.provider)
        return ConnectError.PROVIDER_ERROR
    return None


def _refusal(
    session: Session, attempt: ConnectAttempt, known: CalendarUser | None, grant: TokenGrant
) -> ConnectError | None:
    if attempt.reconnect_calendar_user_id is not None:
        wanted = find_calendar_user(session, attempt.tenant_id, attempt.reconnect_calendar_user_id)
        if wanted is None:
            return ConnectError.EXPIRED
        if wanted.subject != grant.subject or wanted.provider != attempt.provider:
            return ConnectError.ACCOUNT_MISMATCH
    if known is not None and known.state == CalendarUserStatus.DISCONNECTING:
        return ConnectError.PROVIDER_ERROR
    if grant.refresh_token is None and not _can_keep_token(known, attempt):
        _log.warning("connect.refresh_token_missing", provider=attempt.provider)
        # Google gives one with every consent, Microsoft only if `offline_access` was granted.
        without_scope = attempt.provider == Provider.MICROSOFT
        return ConnectError.SCOPE_MISSING if without_scope else ConnectError.PROVIDER_ERROR
    return None


def _can_keep_token(known: CalendarUser | None, attempt: ConnectAttempt) -> bool:
    """Whether the stored refresh token still does. One that another client got does not."""
    return (
        known is not None
        and known.state != CalendarUserStatus.NEEDS_RECONNECT
        and known.oauth_client_id == attempt.oauth_client_id
    )


def _sealed(consent: _Consent, region: str, owner: TokenOwner) -> SealedSecret | None:
    if consent.grant.refresh_token is None:
        return None
    binding = refresh_token_binding(region, owner)
    return seal_refresh_token(consent.data_key, consent.grant.refresh_token, binding)


def _add(
    session: Session, consent: _Consent, calendar_user_id: str, sealed: SealedSecret | None, now: datetime
) -> CalendarUser:
    attempt, grant = consent.attempt, consent.grant
    user = add_calendar_user(
        session,
        consent.identity,
        calendar_user_id=calendar_user_id,
        consent=GivenConsent(grant.email or "", sorted(grant.scopes), sealed, attempt.oauth_client_id, grant.aliases),
        attributes=attempt.attributes or {},
        now=now,
    )
    if attempt.rules is not None:
        _add_rules(session, user, attempt.rules)
    return user


def _add_rules(session: Session, user: CalendarUser, rules: Mapping[str, object]) -> None:
    add_version(session, user.tenant_id, user.id, Layer.USER, body=dict(rules), created_by=_CREATED_BY_CONNECT)


def _renew(
    session: Session, consent: _Consent, known: CalendarUser, sealed: SealedSecret | None, now: datetime
) -> CalendarUser:
    return renew_calendar_user(
        session,
        known,
        consent=GivenConsent(
            consent.grant.email or known.email,
            sorted(consent.grant.scopes),
            sealed,
            consent.attempt.oauth_client_id,
            consent.grant.aliases,
        ),
        attributes=consent.attempt.attributes,
        now=now,
    )
