"""A calendar user's own rule set."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field
from sqlmodel import Session

from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.idempotency import Creation
from api.paging import Page
from api.problems import COMMON, described, not_found
from api.routers.users import reference
from api.rule_views import (
    NO_RULES,
    RollbackRequest,
    RuleSetAnswer,
    RuleSetVersion,
    SentRuleSet,
    VersionsQuery,
    roll_back,
    rule_set_answer,
    versions_page,
    with_events,
)
from api.simulation import Simulation, simulate
from meetbot.rules.policy import TENANT_OWNER
from meetbot.storage.calendar_users import CalendarUserRef, find_calendar_user
from meetbot.storage.rule_sets import USER_LAYER, active_rule_set, add_version, withdraw
from meetbot.temporal.messages import CalendarUserSignal

router = APIRouter(prefix="/calendar/users/{calendar_user_id}/rules", tags=["rules"])

Reader = Annotated[Caller, Depends(requires(Scope.RULES_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.RULES_WRITE))]


def _event_reader(caller: Reader) -> Caller:
    return with_events(caller)


EventReader = Annotated[Caller, Depends(_event_reader)]


class UserRules(RuleSetAnswer):
    source: Literal["user", "tenant_default", "none"] = Field(description="Whose rules these are.")


@router.get("", responses=COMMON | described(404), summary="Get the rules in force")
def get_rules(calendar_user_id: str, caller: Reader, services: InjectedServices) -> UserRules:
    """The calendar user's own, or else the tenant's default. The tenant's locked layers come on top of either."""
    with services.database.transaction(caller.tenant_id) as session:
        _reference(session, caller, calendar_user_id)
        own = active_rule_set(session, caller.tenant_id, calendar_user_id, USER_LAYER)
        default = active_rule_set(session, caller.tenant_id, TENANT_OWNER, "default") if own is None else None
    shown = own or default
    source = "user" if own is not None else "tenant_default" if default is not None else "none"
    answer = rule_set_answer(shown) if shown is not None else NO_RULES
    return UserRules.model_validate(answer.model_dump() | {"source": source})


@router.put("", responses=COMMON | described(404), summary="Put a rule set")
def put_rules(calendar_user_id: str, caller: Writer, body: SentRuleSet, services: InjectedServices) -> RuleSetAnswer:
    """Stores a new version and applies it at once to all stored events, and to all bots that are not dispatched yet."""
    with services.database.transaction(caller.tenant_id) as session:
        user = _reference(session, caller, calendar_user_id)
        row = add_version(
            session, caller.tenant_id, calendar_user_id, USER_LAYER, body=body.document(), created_by=caller.key_id
        )
    _rules_changed(services, user)
    return rule_set_answer(row)


@router.delete("", status_code=204, responses=COMMON | described(404), summary="Go back to the tenant's default")
def delete_rules(calendar_user_id: str, caller: Writer, services: InjectedServices) -> Response:
    """The versions stay in the history."""
    with services.database.transaction(caller.tenant_id) as session:
        user = _reference(session, caller, calendar_user_id)
        withdraw(session, caller.tenant_id, calendar_user_id, USER_LAYER)
    _rules_changed(services, user)
    return Response(status_code=204)


@router.get("/versions", responses=COMMON | described(404), summary="List the versions")
def list_rule_versions(
    calendar_user_id: str, query: Annotated[VersionsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[RuleSetVersion]:
    """The newest first."""
    with services.database.transaction(caller.tenant_id) as session:
        _reference(session, caller, calendar_user_id)
        return versions_page(session, caller.tenant_id, calendar_user_id, USER_LAYER, query)


@router.post(
    "/rollback",
    status_code=201,
    response_model=RuleSetAnswer,
    responses=COMMON | described(404, 409),
    summary="Put an earlier version again",
)
def roll_back_rules(
    calendar_user_id: str, body: RollbackRequest, caller: Writer, services: InjectedServices, creation: Creation
) -> Response:
    def create(session: Session) -> RuleSetAnswer:
        _reference(session, caller, calendar_user_id)
        return roll_back(
            session, caller.tenant_id, calendar_user_id, USER_LAYER, version=body.version, by=caller.key_id
        )

    answer: Response = creation.answer(201, caller, create)
    with services.database.transaction(caller.tenant_id) as session:
        user = _reference(session, caller, calendar_user_id)
    _rules_changed(services, user)
    return answer


@router.post("/simulate", responses=COMMON | described(404), summary="See what a rule set would change")
def simulate_rules(
    calendar_user_id: str, caller: EventReader, body: SentRuleSet, services: InjectedServices
) -> Simulation:
    """Decides over the stored events that are not over as if this were the calendar user's rule set; the tenant's locked
    layers and all overrides count. Stores nothing. It shows events, so the API key needs `calendars:read` too."""
    with services.database.transaction(caller.tenant_id) as session:
        simulation = simulate(session, caller.tenant_id, calendar_user_id, body, now=services.clock())
    if simulation is None:
        raise not_found("calendar_user")
    return simulation


def _reference(session: Session, caller: Caller, calendar_user_id: str) -> CalendarUserRef:
    user = find_calendar_user(session, caller.tenant_id, calendar_user_id)
    if user is None:
        raise not_found("calendar_user")
    return reference(user)


def _rules_changed(services: ApiServices, user: CalendarUserRef) -> None:
    """After the commit: the workflow must find what was written."""
    services.orchestrator.signal_calendar_user(user, CalendarUserSignal.RULES_CHANGED)
