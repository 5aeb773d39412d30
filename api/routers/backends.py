"""Reports that bot backends send us."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Request
from pydantic import BaseModel

from api.dependencies import ApiServices, InjectedServices
from api.problems import Problem, described
from meetbot.bots.report_age import is_fresh
from meetbot.bots.reports import apply_report

router = APIRouter(prefix="/backends", tags=["bot backends"])
_SIGNATURE_PREFIX = "sha256="
_CLOCK_SKEW = timedelta(minutes=5)
# People and tests move the sandbox's clock.
_SANDBOX_CLOCK_SKEW = timedelta(days=7)


class ReportAnswer(BaseModel):
    """Whether the report was `taken`, or `ignored` because it is not about a bot of ours."""

    status: str


async def _raw_body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/meetbot/events", responses=described(400, 401, 413, 415, 422, 503), summary="Take a report of the meetbot backend"
)
def take_report(
    services: InjectedServices,
    raw: Annotated[bytes, Depends(_raw_body)],
    document: Annotated[dict[str, Any], Body(description="The envelope of the meetbot backend's own webhooks.")],
    x_meetbot_signature: Annotated[str, Header(description="`sha256=` and the HMAC-SHA256 of the raw body.")] = "",
) -> ReportAnswer:
    """Take a report about a bot.

    Repeated reports change nothing; reports about jobs that are not ours are ignored. `emittedAt` must be an instant of the
    last four days, over which the backend repeats a report that we did not take; what is older is refused as `stale_report`.
    """
    if not _is_signed(services, raw, x_meetbot_signature):
        raise Problem(401, "invalid_signature", "the signature does not fit the body")
    skew = _CLOCK_SKEW if services.settings.is_production else _SANDBOX_CLOCK_SKEW
    if not is_fresh(document.get("emittedAt"), services.clock(), clock_skew=skew):
        raise Problem(401, "stale_report", "`emittedAt` must be an instant of the last four days")
    outcome = apply_report(services.database, document, services.clock())
    if outcome is None:
        return ReportAnswer(status="ignored")
    if outcome.wakes:
        services.orchestrator.backend_reported(outcome.tenant_id, outcome.meeting_key)
    return ReportAnswer(status="taken")


def _is_signed(services: ApiServices, raw: bytes, signature: str) -> bool:
    secret = services.settings.backend_webhook_secret
    if secret is None or not secret.get_secret_value():
        return False
    expected = hmac.new(secret.get_secret_value().encode("utf-8"), raw, hashlib.sha256).hexdigest()
    return hmac.compare_digest((_SIGNATURE_PREFIX + expected).encode(), signature.encode("utf-8", "replace"))
