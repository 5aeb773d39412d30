"""What is wrong with a connection, whose matter that is, and what a person does next. Pure.

The code of an error is noted on the calendar user; this table gives each code its class and a sentence for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from meetbot.domain.calendar_user import CalendarUserStatus


class ErrorClass(StrEnum):
    """Who can mend an error.

    `RECONNECT`: the end-user, by connecting again. `OPERATOR`: we, the tenant or the account's administrator; nobody is
    disconnected. `RETRY`: nobody has to, it passes.
    """

    RECONNECT = "reconnect"
    OPERATOR = "operator"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong. ``detail`` is class and code, such as ``retry:rate_limited``."""

    error_class: ErrorClass
    code: str
    next_step: str

    @property
    def detail(self) -> str:
        """Return class and code in one text."""
        return f"{self.error_class}:{self.code}"


TESTING_CODE: Final = "oauth_client_in_testing"
"""The code of a grant that Google has ended after seven days, because the client's registration is in testing."""

_RECONNECT: Final = "Have the person open the reconnect_url and give access again."
_ADMINISTRATOR: Final = (
    "Have the administrator of the account's directory allow this application, then have the person open the "
    "reconnect_url."
)
_PUBLISH: Final = (
    "This OAuth client is in testing mode, in which Google ends every grant after seven days. Publish the app (Google Auth "
    "Platform, Audience, Publish app), then have the person open the reconnect_url."
)
_OTHER_MAILBOX: Final = (
    "This mailbox is inactive or hosted on premises: have the person connect one that is in Exchange Online."
)
_OWN_APP: Final = (
    "Check your OAuth app's client id, its secret and the secret's expiry at the provider, then PUT the app again."
)
_CLIENT: Final = (
    "Check the OAuth client at the provider: its id, its secret and the secret's expiry, redirect address and scopes. "
    "Syncs go on by themselves afterwards."
)
_WAIT: Final = "Nothing to do: it is tried again by itself."
_REPORT: Final = "Report this code to the operator of the service. It is tried again by itself."

_RECONNECT_STEPS: Final[Mapping[str, str]] = {
    TESTING_CODE: _PUBLISH,
    "access_denied": _RECONNECT,
    "access_token_rejected": "Have the person check that the account still has its calendar, then open the reconnect_url.",
    "admin_consent_required": _ADMINISTRATOR,
    "admin_policy_enforced": _ADMINISTRATOR,
    "consent_required": _RECONNECT,
    "interaction_required": _RECONNECT,
    "invalid_grant": _RECONNECT,
    "login_required": _RECONNECT,
    "mailbox_unsupported": _OTHER_MAILBOX,
    "scope_missing": "Have the person open the reconnect_url and leave the calendar permission ticked.",
}
_OPERATOR_STEPS: Final[Mapping[str, str]] = {
    "access_denied": "Ask the Microsoft 365 administrator whether this application may read the mailbox.",
    "api_not_enabled": "Enable the Google Calendar API in the OAuth client's project.",
    "application_not_in_directory": "Ask the administrator of the account's directory to install or enable this application.",
    "calendar_service_off": "Ask the Workspace administrator to turn Google Calendar on for this account.",
    "deleted_client": _CLIENT,
    "disabled_client": _CLIENT,
    "domain_policy": "Ask the Workspace administrator to allow this application.",
    "internal_error": _REPORT,
    "invalid_client": _CLIENT,
    "invalid_request": _CLIENT,
    "invalid_resource": _CLIENT,
    "invalid_scope": _CLIENT,
    "oauth_app_missing": "The tenant's OAuth app is gone: have the person connect again.",
    "oauth_app_refused": _OWN_APP,
    "org_internal": _CLIENT,
    "provider_not_configured": _REPORT,
    "redirect_uri_mismatch": _CLIENT,
    "request_refused": _REPORT,
    "secret_unreadable": _REPORT,
    "unauthorized_client": _CLIENT,
    "unsupported_grant_type": _REPORT,
    "unsupported_response_type": _REPORT,
}
# Not errors of the connection: they say what a sync left out, and the calendar is read.
_NOTES: Final = frozenset({"calendars_incomplete", "events_skipped"})


def health_of(state: CalendarUserStatus, error_code: str | None) -> Health | None:
    """Return what is wrong with a calendar user's connection; None while all is well.

    The state tells the class where one code may mean either: a token that is rejected for minutes, or for hours.
    """
    if state is CalendarUserStatus.NEEDS_RECONNECT:
        code = error_code or "invalid_grant"
        return Health(ErrorClass.RECONNECT, code, _RECONNECT_STEPS.get(code, _RECONNECT))
    if error_code is None or error_code in _NOTES:
        return None
    if error_code in _OPERATOR_STEPS:
        return Health(ErrorClass.OPERATOR, error_code, _OPERATOR_STEPS[error_code])
    return Health(ErrorClass.RETRY, error_code, _WAIT)
