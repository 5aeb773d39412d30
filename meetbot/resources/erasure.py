"""The certificate of an erasure, as customers see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from meetbot.domain.erasure import EXCEPTIONS, ErasureState, ErasureStep, Revocation
from meetbot.domain.event import Provider
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.tables import Erasure


class ErasureStepResource(Resource):
    """A step that is done, and when."""

    step: Annotated[str, OneOf(ErasureStep)]
    at: datetime


class ErasureExceptionResource(Resource):
    """Something that could not be done, and why."""

    code: Annotated[str, OneOf(tuple(EXCEPTIONS))]
    detail: str


class ErasureResource(Resource):
    """What an erasure did: ids, instants, counts and codes, no personal data."""

    id: str = Field(examples=["era_mzxw6ytboi4dsmrqgezdgnbvgy"])
    calendar_user_id: str
    provider: Annotated[str, OneOf(Provider)]
    state: Annotated[str, OneOf(ErasureState)]
    revocation: Annotated[str, OneOf(Revocation)] = Field(
        description="What became of the grant at the provider. `in_use`: another connection of the same account needs it."
    )
    requested_at: datetime
    finished_at: datetime | None
    steps: list[ErasureStepResource]
    deleted: dict[str, int] = Field(
        description="Deleted rows by table; `bot.meeting_url` counts bots that stay without their link, "
        "`push_channel.unclosed` push channels that the provider could not be told to end: they end by themselves within "
        "a week, and what they report is refused."
    )
    exceptions: list[ErasureExceptionResource]


def erasure_resource(row: Erasure) -> ErasureResource:
    """Return the certificate of a row."""
    return ErasureResource.model_validate(
        {
            "id": row.id,
            "calendar_user_id": row.calendar_user_id,
            "provider": row.provider,
            "state": str(row.state),
            "revocation": str(row.revocation),
            "requested_at": row.requested_at,
            "finished_at": row.finished_at,
            "steps": [{"step": str(step), "at": row.steps[step]} for step in ErasureStep if step in row.steps],
            "deleted": row.counts,
            "exceptions": [
                {"code": str(code), "detail": detail} for code, detail in EXCEPTIONS.items() if code == row.revocation
            ],
        }
    )
