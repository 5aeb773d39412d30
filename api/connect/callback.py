"""The second half of connecting: from the provider's redirect to a stored calendar user.

In the order that loses nothing: check the state, fetch the data key, use up the state, exchange the code. The code works
once, so nothing that can be waited for may fail after it was spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlmodel import Session

from api import metrics
from api.connect.authorize import configured_client, redirect_uri
from api.dependencies import ApiServices
from meetbot.calendars.connect_flow import (
    ConnectError,
    Token,
    browser_hash,
    code_verifier,
    error_from_provider,
    result_url,
)
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.decision import Layer
from meetbot.domain.event import Provider
from meetbot.domain.event_types import WebhookEventType
from meetbot.domain.ids import new_id
from meetbot.errors import ProviderError
from meetbot.providers.base import TokenGrant
from meetbot.resources.calendar_user import calendar_user_document
from meetbot.storage import connect_attempts, outbox
from meetbot.storage.audit_log import append
from meetbot.storage.calendar_users import (
    AccountKey,
    CalendarUserRef,
    add_calendar_user,
    find_calendar_user,
    lock_identity,
    renew_calendar_user,
)
from meetbot.storage.erasures import is_connected_anywhere
from meetbot.storage.rule_sets import add_version
from meetbot.storage.tables import CalendarUser, ConnectAttempt
from meetbot.temporal.messages import CalendarUserSignal
from meetbot.vault.sealing import DataKey, SealedSecret, TokenOwner, refresh_token_binding, seal_refresh_token

_log = structlog.get_logger(__name__)
_CREATED_BY_CONNECT = "connect"
# The end-user waits for the page meanwhile.
_REVOKE_SECONDS = 5.0
_ADMINISTRATORS_MATTERS = ("admin_consent_required", "admin_policy_enforced", "application_not_in_directory")


@dataclass(frozen=True, slots=True)
class CallbackParameters:
    """What a browser brings back from the provider: state, cookie, and code or error."""

    state: Token
    browser_secret: str
    code: str
    error: str
    error_description: str


@dataclass(frozen=True, slots=True)
class ConsentResult:
    """The end of a consent: with a calendar user's id, or with an error."""

    attempt: ConnectAttempt
    calendar_user_id: str | None = None
    error: ConnectError | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters that the customer's redirect URL gets."""
        customer = [("customer_user_id", self.attempt.customer_user_id)]
        if self.error is not None:
            return [("status", "error"), ("error", self.error), *customer]
        return [("status", "connected"), ("meetbot_calendar_user_id", self.calendar_user_id or ""), *customer]

    def url(self) -> str | None:
        """Return the customer's redirect URL with the result, None if the customer gave none."""
        if self.attempt.redirect_url is None:
            return None
        return result_url(self.attempt.redirect_url, self.parameters())


def finish_consent(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters
) -> ConsentResult | None:
    """Exchange the code and store the calendar user.

    None if the state was used meanwhile. Raises `VaultError`, and then neither state nor code is spent.
    """
    result = _finish_consent(services, attempt, returned)
    if result is not None:
        metrics.CONNECTS.labels(attempt.provider, result.error or "connected").inc()
    return result


def _finish_consent(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters
) -> ConsentResult | None:
    if attempt.expires_at <= services.clock():
        return ConsentResult(attempt, error=ConnectError.EXPIRED)
    data_key = services.vault.new_data_key(attempt.tenant_id) if returned.code else None
    if not _use_state(services, attempt, returned):
        return None
    if data_key is None:
        error = error_from_provider(returned.error, returned.error_description)
        _log.info("connect.consent_refused", provider=attempt.provider, error=error)
        return ConsentResult(attempt, error=error)
    return _complete(services, attempt, returned, data_key)


def _use_state(services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters) -> bool:
    with services.database.transaction(attempt.tenant_id) as session:
        return connect_attempts.use_state(
            session,
            attempt.tenant_id,
            state_hash=returned.state.digest,
            browser_hash=browser_hash(returned.browser_secret),
        )


def _complete(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters, data_key: DataKey
) -> ConsentResult:
    provider = Provider(attempt.provider)
    try:
        grant = services.providers[provider].exchange_code(
            configured_client(services, provider),
            code=returned.code,
            code_verifier=code_verifier(returned.browser_secret, returned.state),
            redirect_uri=redirect_uri(services, provider),
            nonce=attempt.nonce or "",
        )
    except ProviderError as error:
        _log.warning("connect.code_exchange_failed", provider=attempt.provider, code=error.code)
        needs_admin = error.code in _ADMINISTRATORS_MATTERS
        return ConsentResult(
            attempt, error=ConnectError.ADMIN_CONSENT_REQUIRED if needs_admin else ConnectError.PROVIDER_ERROR
        )
    if services.providers[provider].missing_scopes(grant.scopes):
        result = ConsentResult(attempt, error=ConnectError.SCOPE_MISSING)
    else:
        result = _store(services, attempt, grant, data_key)
    if result.error is not None:
        _revoke_refused(services, provider, grant)
    return result


def _revoke_refused(services: ApiServices, provider: Provider, grant: TokenGrant) -> None:
    """End a grant that nothing of ours uses.

    If the account is connected already, its connection needs the grant, and it stays.
    """
    if grant.subject is None:
        return
    with services.database.subject_lookup(grant.subject) as session:
        if is_connected_anywhere(session, provider, grant.subject):
            return
    try:
        services.providers[provider].revoke(
            configured_client(services, provider),
            grant.refresh_token or grant.access_token,
            timeout_seconds=_REVOKE_SECONDS,
        )
    except ProviderError as error:
        # The token is stored nowhere, so that it ends with this request.
        _log.warning("connect.revocation_failed", provider=str(provider), code=error.code)


@dataclass(frozen=True, slots=True)
class _Consent:
    """A consent that was given: the attempt, the account, and what the provider granted."""

    attempt: ConnectAttempt
    identity: AccountKey
    grant: TokenGrant
    data_key: DataKey


def _store(services: ApiServices, attempt: ConnectAttempt, grant: TokenGrant, data_key: DataKey) -> ConsentResult:
    if grant.subject is None or grant.email is None:
        _log.warning("connect.identity_missing", provider=attempt.provider)
        return ConsentResult(attempt, error=ConnectError.PROVIDER_ERROR)
    identity = AccountKey(attempt.tenant_id, attempt.provider, grant.subject, attempt.customer_user_id)
    with services.database.transaction(attempt.tenant_id) as session:
        stored = _connect(session, services, _Consent(attempt, identity, grant, data_key))
    if isinstance(stored, ConnectError):
        return ConsentResult(attempt, error=stored)
    reference = CalendarUserRef(stored.tenant_id, stored.id, stored.provider)
    # If this fails, the worker finds the calendar user at its start-up, or the next signal starts the workflow.
    _wake(services, reference, is_new=stored.token_version == 1)
    return ConsentResult(attempt, calendar_user_id=stored.id)


def _connect(session: Session, services: ApiServices, consent: _Consent) -> CalendarUser | ConnectError:
    """Return the calendar user of this consent, new or renewed, or why it cannot be."""
    known = lock_identity(session, consent.identity)
    if not connect_attempts.hold_attempt(session, consent.attempt):
        # Erased while the code was exchanged: an older wish to connect brings nobody back.
        return ConnectError.EXPIRED
    refusal = _refusal(session, consent.attempt, known, consent.grant)
    if refusal is not None:
        return refusal
    now = services.clock()
    calendar_user_id = known.id if known is not None else new_id("cu")
    version = known.token_version + 1 if known is not None else 1
    account = consent.identity
    owner = TokenOwner(account.tenant_id, calendar_user_id, account.provider, account.subject, version)
    sealed = _sealed(consent, services.settings.region, owner)
    if known is not None:
        user = _renew(session, consent, known, sealed, now)
    else:
        assert sealed is not None  # noqa: S101 - `_refusal` lets no new user without a refresh token pass
        user = _add(session, consent, calendar_user_id, sealed, now)
    outbox.emit(
        session, user.tenant_id, WebhookEventType.CALENDAR_USER_CONNECTED, calendar_user_document(user, now=now)
    )
    detail: dict[str, DetailValue] = {"provider": user.provider, "again": known is not None}
    append(session, user.tenant_id, AuditFact(now, "browser", "calendar_user.connected", user.id, detail=detail))
    return user


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
    if grant.refresh_token is None and (known is None or known.state == CalendarUserStatus.NEEDS_RECONNECT):
        _log.warning("connect.refresh_token_missing", provider=attempt.provider)
        # Google gives one with every consent, Microsoft only if `offline_access` was granted.
        without_scope = attempt.provider == Provider.MICROSOFT
        return ConnectError.SCOPE_MISSING if without_scope else ConnectError.PROVIDER_ERROR
    return None


def _sealed(consent: _Consent, region: str, owner: TokenOwner) -> SealedSecret | None:
    if consent.grant.refresh_token is None:
        return None
    binding = refresh_token_binding(region, owner)
    return seal_refresh_token(consent.data_key, consent.grant.refresh_token, binding)


def _add(
    session: Session, consent: _Consent, calendar_user_id: str, sealed: SealedSecret, now: datetime
) -> CalendarUser:
    attempt, grant = consent.attempt, consent.grant
    user = add_calendar_user(
        session,
        consent.identity,
        calendar_user_id=calendar_user_id,
        email=grant.email or "",
        email_aliases=grant.aliases,
        scopes=sorted(grant.scopes),
        attributes=attempt.attributes or {},
        sealed=sealed,
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
        email=consent.grant.email or known.email,
        email_aliases=consent.grant.aliases,
        scopes=sorted(consent.grant.scopes),
        attributes=consent.attempt.attributes,
        sealed=sealed,
        now=now,
    )


def _wake(services: ApiServices, user: CalendarUserRef, *, is_new: bool) -> None:
    if is_new:
        services.orchestrator.start_calendar_user(user)
    else:
        services.orchestrator.signal_calendar_user(user, CalendarUserSignal.RECONNECTED)
