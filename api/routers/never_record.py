"""Whom and what a tenant never wants recorded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from api.audit import record
from api.auth import Caller, Scope, requires
from api.dependencies import InjectedServices
from api.orchestrator import signal_rules_changed
from api.problems import COMMON, not_found
from api.routers.tenant import Domain
from api.schemas import Body
from meetbot.domain.addresses import is_domain, parse_address
from meetbot.storage.tenants import change_tenant, find_tenant

router = APIRouter(prefix="/calendar/never-record", tags=["rules"])
_MOST = 500
_LONGEST_MARK = 200


def _email(value: str) -> str:
    identity, domain = parse_address(value)
    if not is_domain(domain) or identity.startswith("@"):
        raise PydanticCustomError("invalid_email", "must be an address such as ada@example.com")
    return identity


def _mark(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("invalid_text", "must not be empty: every title would have it")
    return value


Email = Annotated[str, Field(min_length=3, max_length=320), AfterValidator(_email)]
Mark = Annotated[str, Field(min_length=1, max_length=_LONGEST_MARK), AfterValidator(_mark)]


class NeverRecordList(Body):
    """The whole list; what is not in it is taken off."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"domains": ["lawfirm.com"], "emails": ["doctor@clinic.org"], "title_markers": ["[private]"]}]
        }
    )

    domains: Annotated[list[Domain], Field(max_length=_MOST)] = Field(
        default=[], description="With all domains below them."
    )
    emails: Annotated[list[Email], Field(max_length=_MOST)] = Field(
        default=[], description="Letter case and `+tag` make no difference."
    )
    title_markers: Annotated[list[Mark], Field(max_length=_MOST)] = Field(
        default=[], description="Texts that may stand anywhere in a title, in any letter case."
    )


class NeverRecordAnswer(BaseModel):
    """Whom and what the tenant never wants recorded."""

    domains: list[str] = []
    emails: list[str] = []
    title_markers: list[str] = []


@router.get("", responses=COMMON, summary="Get the never-record list")
def get_never_record(
    caller: Annotated[Caller, Depends(requires(Scope.RULES_READ))], services: InjectedServices
) -> NeverRecordAnswer:
    """Return the tenant's list, empty if none was put."""
    with services.database.transaction(caller.tenant_id) as session:
        tenant = find_tenant(session, caller.tenant_id)
        if tenant is None:
            raise not_found("tenant")
        return NeverRecordAnswer.model_validate(tenant.never_record)


@router.put("", responses=COMMON, summary="Put the never-record list")
def put_never_record(
    body: NeverRecordList, caller: Annotated[Caller, Depends(requires(Scope.RULES_WRITE))], services: InjectedServices
) -> NeverRecordAnswer:
    """Replace the tenant's list, and decide all stored events anew.

    An event with such an organiser or attendee, whatever they answered, or such a mark in its title is skipped as
    `never_record`, whatever the rules say; only an override with `record` beats it. In doubt it is skipped: if guests are
    hidden and people are listed, or the title was cut and marks are listed. A bot that is in a meeting already stays.
    """
    listed = {name: list(dict.fromkeys(values)) for name, values in body.model_dump().items()}
    with services.database.transaction(caller.tenant_id) as session:
        change_tenant(session, caller.tenant_id, {"never_record": listed})
        # Counts only: the list itself is about people.
        record(session, caller, caller.tenant_id, {name: len(values) for name, values in listed.items()})
    signal_rules_changed(services.orchestrator, services.database, caller.tenant_id)
    return NeverRecordAnswer.model_validate(listed)
