"""The tenant's own rule layers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.idempotency import Creation
from api.orchestrator import signal_rules_changed
from api.paging import Page
from api.problems import COMMON, described, not_found
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
)
from meetbot.rules.policy import TENANT_OWNER
from meetbot.storage.rule_sets import active_rule_set, add_version, withdraw

router = APIRouter(prefix="/calendar/rules/{layer}", tags=["rules"])

Reader = Annotated[Caller, Depends(requires(Scope.RULES_READ))]
Writer = Annotated[Caller, Depends(requires(Scope.RULES_WRITE))]


class Layer(StrEnum):
    AHEAD = "ahead"
    DEFAULT = "default"
    BEHIND = "behind"


LayerName = Annotated[
    str,
    Path(
        description="`ahead` is asked before every calendar user's rules and `behind` after them; `default` where a calendar "
        "user has none of its own.",
        json_schema_extra={"enum": list(Layer)},
    ),
]


@router.get("", responses=COMMON | described(404), summary="Get a layer of the tenant's rules")
def get_layer(layer: LayerName, caller: Reader, services: InjectedServices) -> RuleSetAnswer:
    with services.database.transaction(caller.tenant_id) as session:
        row = active_rule_set(session, caller.tenant_id, TENANT_OWNER, _layer(layer))
    return rule_set_answer(row) if row is not None else NO_RULES


@router.put("", responses=COMMON | described(404), summary="Put a layer of the tenant's rules")
def put_layer(layer: LayerName, caller: Writer, body: SentRuleSet, services: InjectedServices) -> RuleSetAnswer:
    """Applied to all calendar users of the tenant: at once to the first thousand, to the others at their next sync."""
    with services.database.transaction(caller.tenant_id) as session:
        row = add_version(
            session, caller.tenant_id, TENANT_OWNER, _layer(layer), body=body.document(), created_by=caller.key_id
        )
    signal_rules_changed(services.orchestrator, services.database, caller.tenant_id)
    return rule_set_answer(row)


@router.delete("", status_code=204, responses=COMMON | described(404), summary="Remove a layer of the tenant's rules")
def delete_layer(layer: LayerName, caller: Writer, services: InjectedServices) -> Response:
    """The versions stay in the history."""
    with services.database.transaction(caller.tenant_id) as session:
        withdraw(session, caller.tenant_id, TENANT_OWNER, _layer(layer))
    signal_rules_changed(services.orchestrator, services.database, caller.tenant_id)
    return Response(status_code=204)


@router.get("/versions", responses=COMMON | described(404), summary="List a layer's versions")
def list_layer_versions(
    layer: LayerName, query: Annotated[VersionsQuery, Query()], caller: Reader, services: InjectedServices
) -> Page[RuleSetVersion]:
    """The newest first."""
    with services.database.transaction(caller.tenant_id) as session:
        return versions_page(session, caller.tenant_id, TENANT_OWNER, _layer(layer), query)


@router.post(
    "/rollback",
    status_code=201,
    response_model=RuleSetAnswer,
    responses=COMMON | described(404, 409),
    summary="Put an earlier version of a layer again",
)
def roll_back_layer(
    layer: LayerName, body: RollbackRequest, caller: Writer, services: InjectedServices, creation: Creation
) -> Response:
    wanted = _layer(layer)
    answer: Response = creation.answer(
        201,
        caller,
        lambda session: roll_back(
            session, caller.tenant_id, TENANT_OWNER, wanted, version=body.version, by=caller.key_id
        ),
    )
    signal_rules_changed(services.orchestrator, services.database, caller.tenant_id)
    return answer


def _layer(name: str) -> Layer:
    try:
        return Layer(name)
    except ValueError:
        raise not_found("rule_layer") from None
