"""The tenant's own settings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.orchestrator import signal_rules_changed
from api.problems import COMMON, Problem, not_found
from api.schemas import Body, ShortText
from meetbot.calendars.connect_flow import check_origin
from meetbot.domain.account_calendar import TENANT_MODES, CalendarsMode
from meetbot.domain.addresses import rule_domain
from meetbot.resources.base import OneOf
from meetbot.storage.claims import claim_again
from meetbot.storage.tables import Tenant
from meetbot.storage.tenants import change_tenant, find_tenant

router = APIRouter(prefix="/tenant", tags=["tenant"])


class Retention(BaseModel):
    """For how many days things are kept; then a nightly run deletes them for good."""

    event_days: int = Field(description="Calendar events, after their end.")
    bot_days: int = Field(description="Bots, after their meeting's end; usage goes with them.")
    delivery_days: int = Field(description="Webhook deliveries that are not under way.")
    audit_days: int = Field(description="Audit entries and uses of secrets.")


class RetentionChanges(Body):
    """The days to change. What is not named stays."""

    event_days: Annotated[int, Field(strict=True, ge=2, le=3650)] | None = None
    bot_days: Annotated[int, Field(strict=True, ge=30, le=3650)] | None = None
    delivery_days: Annotated[int, Field(strict=True, ge=1, le=365)] | None = None
    audit_days: Annotated[int, Field(strict=True, ge=30, le=3650)] | None = None


TenantCalendarsMode = Annotated[str, OneOf(TENANT_MODES)]


class TenantAnswer(BaseModel):
    """The tenant's settings."""

    id: str
    name: str
    region: str
    internal_domains: list[str]
    redirect_origins: list[str]
    join_lead_seconds: int = Field(description="How long before the start a bot is asked for.")
    revoked_grace_hours: int
    bot_display_name: str
    max_bots_per_day: int
    calendars_mode: TenantCalendarsMode
    retention: Retention
    created_at: datetime


def _domain(value: str) -> str:
    domain = rule_domain(value)
    if domain is None:
        raise PydanticCustomError("invalid_domain", "must be a domain such as example.com")
    return domain


Domain = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_domain)]
Origin = Annotated[str, Field(min_length=1, max_length=300)]


class TenantChanges(Body):
    """The settings to change. What is not named stays."""

    name: ShortText | None = None
    internal_domains: Annotated[list[Domain], Field(max_length=200)] | None = Field(
        default=None, description="Whose people are internal; with none set, those of each calendar's owner."
    )
    redirect_origins: Annotated[list[Origin], Field(max_length=50)] | None = Field(
        default=None, description="Where redirect URLs may lead, such as `https://app.example.com`; none set: anywhere."
    )
    join_lead_seconds: Annotated[int, Field(ge=0, le=900)] | None = Field(
        default=None, description="Null goes back to the service's default."
    )
    revoked_grace_hours: Annotated[int, Field(ge=0, le=720)] | None = Field(
        default=None,
        description="How long bots still go on the last known state after access was lost; 0 cancels at once.",
    )
    bot_display_name: Annotated[ShortText, Field(max_length=100)] | None = None
    max_bots_per_day: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = Field(
        default=None,
        description="Per calendar user and day (UTC, by the meeting's start). What goes beyond is skipped as `daily_limit`, "
        "unless an override says `record`, and told once a day as `bot.limit_reached`.",
    )
    calendars_mode: TenantCalendarsMode | None = Field(
        default=None,
        description="Which calendars of an account are read for which nothing else is said: its own (`primary`), or also those "
        "that it made itself (`owned`, the default). The others' events leave at once.",
    )
    retention: RetentionChanges | None = Field(default=None, description="Defaults: 90, 365, 30 and 365 days.")


@router.get("", responses=COMMON, summary="Get the tenant's settings")
def get_tenant(
    caller: Annotated[Caller, Depends(requires(Scope.TENANT_READ))], services: InjectedServices
) -> TenantAnswer:
    """Return the tenant's settings."""
    with services.database.transaction(caller.tenant_id) as session:
        tenant = find_tenant(session, caller.tenant_id)
    return _view(tenant, services.settings.join_lead_seconds)


@router.patch("", responses=COMMON, summary="Change the tenant's settings")
def patch_tenant(
    body: TenantChanges, caller: Annotated[Caller, Depends(requires(Scope.TENANT_WRITE))], services: InjectedServices
) -> TenantAnswer:
    """Change the tenant's settings.

    A change of `internal_domains` is applied to all stored events at once, one of `join_lead_seconds` to all scheduled bots.
    Calendars that `calendars_mode` adds are read at each calendar's next sync.
    """
    changes = _changes(body)
    for origin in body.redirect_origins or ():
        check_origin(origin, allowed_networks=services.settings.outbound_allow_cidrs)
    with services.database.transaction(caller.tenant_id) as session:
        before = find_tenant(session, caller.tenant_id)
        known = list(before.internal_domains) if before is not None else []
        tenant = change_tenant(session, caller.tenant_id, changes)
        if "join_lead_seconds" in changes:
            claim_again(session, caller.tenant_id)
        record(session, caller, caller.tenant_id, {"changed": sorted(changes)})
    moved_domains = changes.get("internal_domains", known) != known
    if moved_domains or changes.keys() & {"join_lead_seconds", "max_bots_per_day", "calendars_mode"}:
        signal_rules_changed(services.orchestrator, services.database, caller.tenant_id)
    return _view(tenant, services.settings.join_lead_seconds)


def _changes(body: TenantChanges) -> dict[str, Any]:
    changes = body.model_dump(exclude_unset=True)
    if changes.get("retention") is not None:
        changes |= changes.pop("retention")
    empty = [name for name, value in changes.items() if value is None and name != "join_lead_seconds"]
    if empty:
        raise Problem(422, "invalid_input", f"{empty[0]}: must not be null")
    if "calendars_mode" in changes:
        changes["calendars_mode"] = CalendarsMode(changes["calendars_mode"])
    return changes


def _view(tenant: Tenant | None, default_lead: int) -> TenantAnswer:
    if tenant is None:
        raise not_found("tenant")
    shown = tenant.model_dump()
    lead = tenant.join_lead_seconds
    more = {"join_lead_seconds": default_lead if lead is None else lead, "retention": shown}
    return TenantAnswer.model_validate(shown | more)
