"""Google Calendar's error answers, told apart by status and ``reason``, never by message.

Source: developers.google.com/workspace/calendar/api/guides/errors and …/guides/quota.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from meetbot.domain.event import Provider
from meetbot.errors import OperatorRequired, ProviderError, ReconnectRequired
from meetbot.providers.errors import error_detail, error_for_status, rate_limited, safe_code
from meetbot.providers.http import Answer, error_object

_RATE_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "concurrentLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
    }
)
# Of the whole project, not of one account.
_PROJECT_REASONS = frozenset({"dailyLimitExceeded"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})


def google_error(answer: Answer, now: datetime) -> ProviderError:
    """Return the error that an answer outside 2xx stands for."""
    reasons = reasons_of(answer)
    first = reasons[0] if reasons else "unstated"
    if answer.status in (403, 429):
        if not _RATE_REASONS.isdisjoint(reasons):
            whole = not _PROJECT_REASONS.isdisjoint(reasons)
            return rate_limited(Provider.GOOGLE, answer, first, now, whole_application=whole)
        known = _forbidden(frozenset(reasons), error_detail(Provider.GOOGLE, answer, first))
        if known is not None:
            return known
    return error_for_status(Provider.GOOGLE, answer, first, now)


def reasons_of(answer: Answer) -> tuple[str, ...]:
    """Return all reasons that an error answer states."""
    return tuple(_reasons(error_object(answer)))


def _forbidden(reasons: frozenset[str], detail: str) -> ProviderError | None:
    if not _API_OFF_REASONS.isdisjoint(reasons):
        return OperatorRequired(
            "api_not_enabled", detail, next_step="Enable the Google Calendar API in the OAuth client's project."
        )
    if not _SCOPE_REASONS.isdisjoint(reasons):
        return ReconnectRequired(
            "scope_missing", detail, next_step="Connect again and leave the calendar permission ticked."
        )
    if "notACalendarUser" in reasons:
        return OperatorRequired(
            "calendar_service_off",
            detail,
            next_step="Ask the Workspace administrator to turn Google Calendar on for this account.",
        )
    if "domainPolicy" in reasons:
        return OperatorRequired(
            "domain_policy", detail, next_step="Ask the Workspace administrator to allow this application."
        )
    return None


def _reasons(body: dict[str, Any]) -> Iterator[str]:
    """Return the reasons from both of Google's places for them.

    These are the API's ``errors`` and the front end's ``details``.
    """
    error = body.get("error")
    if not isinstance(error, dict):
        return
    for place in ("errors", "details"):
        entries = error.get(place)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and "reason" in entry:
                yield safe_code(entry["reason"])
