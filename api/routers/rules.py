"""The rule sets of a calendar user and of the tenant."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import TypeAdapter
from sqlmodel import Session

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import ApiServices, InjectedServices
from api.idempotency import CreatingRequest, Creation
from api.orchestrator import signal_rules_changed
from api.paging import Page, PlaceNumber, decode_cursor, encode_cursor
from api.problems import COMMON, described, not_found
from api.routers.rule_schemas import (
    NO_RULES,
    TENANT_LAYERS,
    LayerName,
    RollbackRequest,
    RuleSetAnswer,
    RuleSetVersion,
    SentRuleSet,
    UserRules,
    VersionsQuery,
    rule_set_answer,
    rule_set_version,
)
from api.routers.users import reference
from api.simulation import LayerSimulation, Simulation, simulate, simulate_layer
from meetbot.domain.decision import Layer
from meetbot.rules import RuleSetBody
from meetbot.rules.policy import TENANT_OWNER
from meetbot.storage.calendar_users import CalendarUserRef, find_calendar_user
from meetbot.storage.rule_sets import active_rule_set, add_version, find_version, list_versions, withdraw
from meetbot.temporal.messages import CalendarUserSignal

router = APIRouter(prefix="/calendar", tags=["rules"])

_OF_USER = "/users/{calendar_user_id}/rules"
_OF_TENANT = "/rules/{layer}"

Reader = Annotated[Caller, Depends(requires(Scope.RULES_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.RULES_WRITE))]
EventReader = Annotated[Caller, Depends(requires(Scope.RULES_READ, Scope.CALENDARS_READ))]


class RuleSetKey(NamedTuple):
    """Names one rule set. ``owner`` is a calendar user's id, or `TENANT_OWNER`."""

    tenant_id: str
    owner: str
    layer: Layer


# --- of a calendar user -----------------------------------------------------------------------------------------------


@router.get(_OF_USER, responses=COMMON | described(404), summary="Get the rules in force")
def get_rules(calendar_user_id: str, caller: Reader, services: InjectedServices) -> UserRules:
    """The calendar user's own rules, or else the tenant's default.

    The tenant's locked layers come on top of either."""
    key = _key_of_user(caller, calendar_user_id)
    with services.database.transaction(caller.tenant_id) as session:
        _find_user(session, key)
        own = active_rule_set(session, *key)
        default = active_rule_set(session, caller.tenant_id, TENANT_OWNER, Layer.DEFAULT) if own is None else None
    shown = own or default
    source = "user" if own is not None else "tenant_default" if default is not None else "none"
    answer = rule_set_answer(shown) if shown is not None else NO_RULES
    return UserRules.model_validate(answer.model_dump() | {"source": source})


@router.put(_OF_USER, responses=COMMON | described(404), summary="Put a rule set")
def put_rules(calendar_user_id: str, caller: Writer, body: SentRuleSet, services: InjectedServices) -> RuleSetAnswer:
    """Store a new version and apply it at once.

    It decides about all stored events that are not over, and about all bots that are not dispatched yet."""
    return _put(services, caller, _key_of_user(caller, calendar_user_id), body)


@router.delete(_OF_USER, status_code=204, responses=COMMON | described(404), summary="Go back to the tenant's default")
def delete_rules(calendar_user_id: str, caller: Writer, services: InjectedServices) -> Response:
    """The versions stay in the history."""
    return _withdraw(services, caller, _key_of_user(caller, calendar_user_id))


@router.get(f"{_OF_USER}/versions", responses=COMMON | described(404), summary="List the versions")
def list_rule_versions(
    calendar_user_id: str, query: Annotated[VersionsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[RuleSetVersion]:
    """The newest first."""
    return _versions(services, _key_of_user(caller, calendar_user_id), query)


@router.post(
    f"{_OF_USER}/rollback",
    status_code=201,
    response_model=RuleSetAnswer,
    responses=COMMON | described(404, 409),
    summary="Put an earlier version again",
)
def roll_back_rules(
    calendar_user_id: str, body: RollbackRequest, caller: Writer, services: InjectedServices, creation: Creation
) -> Response:
    """Put the rules of an earlier version again, as the newest one; the history only grows."""
    return _roll_back(services, caller, creation, _key_of_user(caller, calendar_user_id), body.version)


@router.post(f"{_OF_USER}/simulate", responses=COMMON | described(404), summary="See what a rule set would change")
def simulate_rules(
    calendar_user_id: str, caller: EventReader, body: SentRuleSet, services: InjectedServices
) -> Simulation:
    """Decide about the stored events that are not over as if this were the user's rule set.

    The tenant's locked layers and all overrides count. Stores nothing. It shows events, so the API key needs
    `calendars:read` too."""
    with services.database.transaction(caller.tenant_id) as session:
        simulation = simulate(session, caller.tenant_id, calendar_user_id, body, now=services.clock())
    if simulation is None:
        raise not_found("calendar_user")
    return simulation


# --- of the tenant ----------------------------------------------------------------------------------------------------


@router.get(_OF_TENANT, responses=COMMON | described(404), summary="Get a layer of the tenant's rules")
def get_layer(layer: LayerName, caller: Reader, services: InjectedServices) -> RuleSetAnswer:
    """Without rules and with a null version if none are in force."""
    key = _key_of_layer(caller, layer)
    with services.database.transaction(caller.tenant_id) as session:
        row = active_rule_set(session, *key)
    return rule_set_answer(row) if row is not None else NO_RULES


@router.put(_OF_TENANT, responses=COMMON | described(404), summary="Put a layer of the tenant's rules")
def put_layer(layer: LayerName, caller: Writer, body: SentRuleSet, services: InjectedServices) -> RuleSetAnswer:
    """Store a new version and apply it to all calendar users of the tenant.

    It applies at once to the first thousand, and to the others at their next sync."""
    return _put(services, caller, _key_of_layer(caller, layer), body)


@router.delete(
    _OF_TENANT, status_code=204, responses=COMMON | described(404), summary="Remove a layer of the tenant's rules"
)
def delete_layer(layer: LayerName, caller: Writer, services: InjectedServices) -> Response:
    """The versions stay in the history."""
    return _withdraw(services, caller, _key_of_layer(caller, layer))


@router.get(f"{_OF_TENANT}/versions", responses=COMMON | described(404), summary="List a layer's versions")
def list_layer_versions(
    layer: LayerName, query: Annotated[VersionsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[RuleSetVersion]:
    """The newest first."""
    return _versions(services, _key_of_layer(caller, layer), query)


@router.post(f"{_OF_TENANT}/simulate", responses=COMMON | described(404), summary="See what a layer would change")
def simulate_layer_rules(
    layer: LayerName, caller: EventReader, body: SentRuleSet, services: InjectedServices
) -> LayerSimulation:
    """Decide about events of the tenant's calendar users as if this were the layer.

    Each user's own rules, the other layers and all overrides count. Stores nothing. It shows events, so the API key needs
    `calendars:read` too."""
    key = _key_of_layer(caller, layer)
    with services.database.transaction(caller.tenant_id) as session:
        return simulate_layer(session, caller.tenant_id, key.layer, body, now=services.clock())


@router.post(
    f"{_OF_TENANT}/rollback",
    status_code=201,
    response_model=RuleSetAnswer,
    responses=COMMON | described(404, 409),
    summary="Put an earlier version of a layer again",
)
def roll_back_layer(
    layer: LayerName, body: RollbackRequest, caller: Writer, services: InjectedServices, creation: Creation
) -> Response:
    """Put the rules of an earlier version again, as the newest one; the history only grows."""
    return _roll_back(services, caller, creation, _key_of_layer(caller, layer), body.version)


# --- of either --------------------------------------------------------------------------------------------------------


def _key_of_user(caller: Caller, calendar_user_id: str) -> RuleSetKey:
    return RuleSetKey(caller.tenant_id, calendar_user_id, Layer.USER)


def _key_of_layer(caller: Caller, name: str) -> RuleSetKey:
    if name not in TENANT_LAYERS:
        raise not_found("rule_layer")
    return RuleSetKey(caller.tenant_id, TENANT_OWNER, Layer(name))


def _put(services: ApiServices, caller: Caller, key: RuleSetKey, body: RuleSetBody) -> RuleSetAnswer:
    with services.database.transaction(key.tenant_id) as session:
        user = _find_user(session, key, for_update=True)
        row = add_version(session, *key, body=body.document(), created_by=caller.key_id)
        record(session, caller, key.owner, {"layer": key.layer, "version": row.version})
    _notify(services, key, user)
    return rule_set_answer(row)


def _withdraw(services: ApiServices, caller: Caller, key: RuleSetKey) -> Response:
    with services.database.transaction(key.tenant_id) as session:
        user = _find_user(session, key, for_update=True)
        withdraw(session, *key)
        record(session, caller, key.owner, {"layer": key.layer})
    _notify(services, key, user)
    return Response(status_code=204)


_PLACE: TypeAdapter[tuple[int]] = TypeAdapter(tuple[PlaceNumber])


def _versions(services: ApiServices, key: RuleSetKey, query: VersionsQuery) -> Page[RuleSetVersion]:
    with services.database.transaction(key.tenant_id) as session:
        _find_user(session, key)
        asked = f"versions {key.tenant_id} {key.owner} {key.layer} {query.question()}"
        place = decode_cursor(query.cursor, asked=asked, shape=_PLACE)
        before = place[0] if place is not None else None
        rows = list_versions(session, *key, before=before, limit=query.limit + 1)
        shown = [rule_set_version(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return Page(data=shown, next_cursor=encode_cursor([shown[-1].version], asked=asked) if more else None)


def _roll_back(
    services: ApiServices, caller: Caller, creation: CreatingRequest, key: RuleSetKey, version: int
) -> Response:
    """Put an earlier version again, as a new one: history is only ever added to."""

    def create(session: Session) -> RuleSetAnswer:
        _find_user(session, key, for_update=True)
        row = find_version(session, *key, version)
        if row is None:
            raise not_found("rule_set_version")
        added = add_version(session, *key, body=row.body, created_by=caller.key_id)
        record(session, caller, key.owner, {"layer": key.layer, "version": added.version, "as_of": version})
        return rule_set_answer(added)

    answer: Response = creation.answer(201, caller, create)
    # Not inside of `create`, which does not run if the request is a repeated one.
    with services.database.transaction(key.tenant_id) as session:
        user = _find_user(session, key)
    _notify(services, key, user)
    return answer


def _find_user(session: Session, key: RuleSetKey, *, for_update: bool = False) -> CalendarUserRef | None:
    """The calendar user who owns the rule set; None if the tenant does."""
    if key.layer is not Layer.USER:
        return None
    user = find_calendar_user(session, key.tenant_id, key.owner, for_update=for_update)
    if user is None:
        raise not_found("calendar_user")
    return reference(user)


def _notify(services: ApiServices, key: RuleSetKey, user: CalendarUserRef | None) -> None:
    """Wake the workflows that decide by the rule set.

    After the commit: they must find what was written.
    """
    if user is None:
        signal_rules_changed(services.orchestrator, services.database, key.tenant_id)
    else:
        services.orchestrator.signal_calendar_user(user, CalendarUserSignal.RULES_CHANGED)
