"""The second half of connecting: from the provider's redirect to a stored calendar user.

In the order that loses nothing: check the state, fetch the data key, use up the state, exchange the code. The code works
once, so nothing that can be waited for may fail after it was spent.

A code that was given to a tenant's own app is sealed and left to the worker, which may open the app's secret.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from api import metrics
from api.connect.authorize import configured_client, redirect_uri
from api.dependencies import ApiServices
from meetbot.calendars.complete_connect import (
    CompletedConnect,
    ConnectContext,
    ReturnedCode,
    complete_connect,
    error_of_exchange,
)
from meetbot.calendars.connect_flow import (
    ConnectError,
    Token,
    browser_hash,
    code_verifier,
    error_from_provider,
    result_url,
)
from meetbot.calendars.sealed_codes import code_binding, seal_code
from meetbot.calendars.turned_away import directory_of_attempt, keep_turned_away
from meetbot.calendars.waiting_users import admin_consent_url, known_link, link_for_page
from meetbot.domain.event import Provider
from meetbot.domain.ids import new_id
from meetbot.errors import ProviderError
from meetbot.storage import connect_attempts
from meetbot.storage.calendar_users import CalendarUserRef
from meetbot.storage.tables import AdminConsent, ConnectAttempt
from meetbot.temporal.messages import CalendarUserSignal
from meetbot.vault.sealing import DataKey

_log = structlog.get_logger(__name__)


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
    """The end of a consent: a calendar user, an approved directory, or an error.

    ``is_pending``: it has none yet, since the worker goes on with the exchange. ``forward`` is the link for an administrator
    that a page shows beside an error.
    """

    attempt: ConnectAttempt
    calendar_user_id: str | None = None
    error: ConnectError | None = None
    is_pending: bool = False
    approved: str | None = None
    forward: str | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query parameters that the customer's redirect URL gets."""
        if self.attempt.admin_consent_id is not None:
            return self._approval()
        customer = [("customer_user_id", self.attempt.customer_user_id)]
        if self.error is not None:
            return [("status", "error"), ("error", self.error), *customer]
        return [("status", "connected"), ("meetbot_calendar_user_id", self.calendar_user_id or ""), *customer]

    def _approval(self) -> list[tuple[str, str]]:
        if self.approved is not None:
            return [("status", "granted"), ("directory", self.approved)]
        return [("status", "error"), ("error", self.error or ConnectError.PROVIDER_ERROR)]

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
    return _counted(_with_link(services, _finish_consent(services, attempt, returned)))


def resume_exchange(services: ApiServices, attempt: ConnectAttempt) -> ConsentResult:
    """Return how an exchange by the worker ended, waiting for its end some seconds more."""
    result = _result_of_exchange(services, attempt)
    if result.is_pending:
        result = _exchange_by_worker(services, attempt)
    if result.is_pending and attempt.expires_at <= services.clock():
        result = ConsentResult(attempt, error=ConnectError.EXPIRED)
    counted = _counted(_with_link(services, result))
    assert counted is not None  # noqa: S101 - for the type checker: a result stays one
    return counted


def _with_link(services: ApiServices, result: ConsentResult | None) -> ConsentResult | None:
    """Keep whoever needs an administrator waiting, and add the link for that administrator."""
    if result is None or result.error is None or result.attempt.admin_consent_id is not None:
        return result
    if result.error is ConnectError.ADMIN_CONSENT_REQUIRED and result.attempt.exchange_id is not None:
        # The worker has done it, and a page that is loaded again must not do it anew.
        link = _known_link(services, result.attempt)
    elif result.error is ConnectError.ADMIN_CONSENT_REQUIRED:
        turned = keep_turned_away(_context(services), result.attempt)
        link = turned.link if turned is not None else None
    elif result.error is ConnectError.ACCESS_DENIED and result.attempt.redirect_url is None:
        # Who goes back from a page that says to ask an administrator comes back so too.
        link = _link_for_page(services, result.attempt)
    else:
        link = None
    return result if link is None else replace(result, forward=admin_consent_url(link, services.settings.public_url))


def _known_link(services: ApiServices, attempt: ConnectAttempt) -> AdminConsent | None:
    if attempt.reconnect_calendar_user_id is not None:
        return _link_for_page(services, attempt)
    with services.database.transaction(attempt.tenant_id) as session:
        return known_link(session, attempt, now=services.clock())


def _link_for_page(services: ApiServices, attempt: ConnectAttempt) -> AdminConsent | None:
    directory = directory_of_attempt(services.providers, attempt)
    with services.database.transaction(attempt.tenant_id) as session:
        return link_for_page(session, attempt, directory=directory, now=services.clock())


def _counted(result: ConsentResult | None) -> ConsentResult | None:
    if result is not None and not result.is_pending and result.attempt.admin_consent_id is None:
        metrics.CONNECTS.labels(result.attempt.provider, result.error or "connected").inc()
    return result


def _finish_consent(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters
) -> ConsentResult | None:
    if attempt.expires_at <= services.clock():
        return ConsentResult(attempt, error=ConnectError.EXPIRED)
    data_key = services.vault.new_data_key(attempt.tenant_id) if returned.code else None
    if data_key is not None and attempt.oauth_client_id is not None:
        return _leave_to_worker(services, attempt, returned, data_key)
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


def _leave_to_worker(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters, data_key: DataKey
) -> ConsentResult | None:
    """Use up the state, keep the code sealed, and wait for the worker to exchange it."""
    exchange_id, tenant_id = new_id("con"), attempt.tenant_id
    binding = code_binding(services.settings.region, tenant_id, exchange_id, attempt.oauth_client_id or "")
    verifier = code_verifier(returned.browser_secret, returned.state)
    with services.database.transaction(tenant_id) as session:
        is_used = connect_attempts.use_state_for_exchange(
            session,
            tenant_id,
            state_hash=returned.state.digest,
            browser_hash=browser_hash(returned.browser_secret),
            exchange_id=exchange_id,
            sealed=seal_code(data_key, returned.code, verifier, binding),
        )
    if not is_used:
        return None
    attempt.exchange_id = exchange_id
    return _exchange_by_worker(services, attempt)


def _exchange_by_worker(services: ApiServices, attempt: ConnectAttempt) -> ConsentResult:
    services.orchestrator.exchange_code(attempt.tenant_id, attempt.exchange_id or "", attempt.provider)
    with services.database.transaction(attempt.tenant_id) as session:
        fresh = connect_attempts.find_by_ticket(session, attempt.tenant_id, attempt.ticket_hash)
    # Erased while the code was exchanged.
    return ConsentResult(attempt, error=ConnectError.EXPIRED) if fresh is None else _result_of_exchange(services, fresh)


def _result_of_exchange(services: ApiServices, attempt: ConnectAttempt) -> ConsentResult:
    if attempt.outcome is None:
        return ConsentResult(attempt, is_pending=True)
    if attempt.outcome == connect_attempts.CONNECTED and attempt.admin_consent_id is not None:
        return ConsentResult(attempt, approved=attempt.directory)
    if attempt.outcome == connect_attempts.CONNECTED:
        return ConsentResult(attempt, calendar_user_id=attempt.connected_user_id)
    return ConsentResult(attempt, error=ConnectError(attempt.outcome))


def _complete(
    services: ApiServices, attempt: ConnectAttempt, returned: CallbackParameters, data_key: DataKey
) -> ConsentResult:
    provider = Provider(attempt.provider)
    client = configured_client(services, provider)
    verifier = code_verifier(returned.browser_secret, returned.state)
    code = ReturnedCode(returned.code, verifier, redirect_uri(services, provider))
    try:
        completed = complete_connect(_context(services), client, attempt, code, data_key)
    except ProviderError as error:
        _log.warning("connect.code_exchange_failed", provider=attempt.provider, code=error.code)
        completed = CompletedConnect(error=error_of_exchange(error))
    if completed.user is None:
        return ConsentResult(attempt, error=completed.error, approved=completed.approved)
    # If this fails, the worker finds the calendar user at its start-up, or the next signal starts the workflow.
    _wake(services, completed.user, is_new=completed.is_new)
    return ConsentResult(attempt, calendar_user_id=completed.user.id)


def _context(services: ApiServices) -> ConnectContext:
    return ConnectContext(
        services.database,
        services.providers,
        services.settings.region,
        services.clock,
        push_is_on=services.settings.push_is_on,
        ours=services.clients,
        public_url=services.settings.public_url,
    )


def _wake(services: ApiServices, user: CalendarUserRef, *, is_new: bool) -> None:
    if is_new:
        services.orchestrator.start_calendar_user(user)
    else:
        services.orchestrator.signal_calendar_user(user, CalendarUserSignal.RECONNECTED)
