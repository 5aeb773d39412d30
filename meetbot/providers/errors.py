"""What the error answers of both providers have in common.

`google.errors` and `microsoft.errors` read what only the one provider says, and fall back to this.
"""

from __future__ import annotations

import re
from datetime import datetime

from meetbot.domain.event import Provider
from meetbot.errors import AccessTokenRejected, OperatorRequired, ProviderError, ResourceGone, RetryLater
from meetbot.providers.http import Answer, requested_wait

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_TRANSIENT_CLIENT_STATUSES = frozenset({408, 421, 425})


def safe_code(value: object) -> str:
    """Return a machine-readable code, or "unstated" for what looks like prose or data."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else "unstated"


def error_detail(provider: Provider, answer: Answer, reason: str) -> str:
    """Return an error's text for operators: the provider, the status and the reason."""
    return f"{provider}: status {answer.status}, {reason}"


def rate_limited(
    provider: Provider, answer: Answer, reason: str, now: datetime, *, whole_application: bool = False
) -> RetryLater:
    """Return the error of a throttled request, with the wait that the provider asks for."""
    return RetryLater(
        "rate_limited",
        error_detail(provider, answer, reason),
        retry_after=requested_wait(answer, now),
        whole_application=whole_application,
    )


def error_for_status(provider: Provider, answer: Answer, reason: str, now: datetime) -> ProviderError:
    """Return the error for a status alone, for answers without a code that says more."""
    status, detail = answer.status, error_detail(provider, answer, reason)
    if status == 401:
        return AccessTokenRejected("access_token_rejected", detail)
    if status in (404, 410):
        return ResourceGone("not_found", detail)
    if status == 429:
        return rate_limited(provider, answer, reason, now)
    if status == 403:
        # Without a reason it may be anything, an outage included: nobody is disconnected for it.
        return RetryLater("forbidden", detail, retry_after=requested_wait(answer, now))
    if status >= 500 or status in _TRANSIENT_CLIENT_STATUSES:
        return RetryLater("provider_unavailable", detail, retry_after=requested_wait(answer, now))
    if status >= 400:
        return OperatorRequired("request_refused", detail, next_step="Report this; the request itself is refused.")
    return RetryLater("unexpected_status", detail)
