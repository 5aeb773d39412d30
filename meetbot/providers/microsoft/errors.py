"""Microsoft Graph's error answers, told apart by status and code, never by message.

Source: learn.microsoft.com/graph/errors and /graph/throttling.
"""

from __future__ import annotations

from datetime import datetime

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired, ResourceGone
from meetbot.providers.errors import error_detail, error_for_status, rate_limited, safe_code
from meetbot.providers.http import Answer, error_object

_THROTTLE_CODES = frozenset(
    {"ApplicationThrottled", "MailboxConcurrency", "TooManyRequests", "ErrorServerBusy", "activityLimitReached"}
)
_NO_MAILBOX_CODES = frozenset({"MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI"})
_GONE_CODES = frozenset({"ErrorItemNotFound", "ErrorInvalidIdMalformed", "ErrorInvalidMailboxItemId"})


def microsoft_error(answer: Answer, now: datetime) -> ProviderError:
    """Return the error that an answer outside 2xx stands for."""
    error = error_object(answer).get("error")
    code = safe_code(error.get("code")) if isinstance(error, dict) else "unstated"
    detail = error_detail(Provider.MICROSOFT, answer, code)
    if code in _THROTTLE_CODES:
        return rate_limited(Provider.MICROSOFT, answer, code, now, whole_application=code == "ApplicationThrottled")
    if code in _NO_MAILBOX_CODES:
        return ReconnectRequired(
            "mailbox_unsupported",
            detail,
            next_step="This mailbox is inactive or hosted on premises; connect one that is in Exchange Online.",
        )
    if code in _GONE_CODES and answer.status in (400, 404):
        return ResourceGone("not_found", detail)
    if answer.status == 403:
        known = _forbidden(code, detail)
        if known is not None:
            return known
    return error_for_status(Provider.MICROSOFT, answer, code, now)


def _forbidden(code: str, detail: str) -> ProviderError | None:
    if code == "Authorization_RequestDenied":
        return ReconnectRequired("scope_missing", detail, next_step="Connect again and accept the calendar permission.")
    if code in ("ErrorAccessDenied", "AccessDenied"):
        # Outlook answers so for a blocked application as well as for a missing permission. A missing permission also
        # shows in the scopes of the next refresh, so this alone disconnects nobody.
        return OperatorRequired(
            "access_denied",
            detail,
            next_step="Ask the Microsoft 365 administrator whether this application may read the mailbox.",
        )
    return None
