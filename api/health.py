"""Whether the process answers, and whether what it depends on does."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.applications import Starlette

from api.dependencies import ApiServices
from meetbot.ops import blocking, ops_app

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> Health:
    """Answer, and ask nothing of any other service."""
    return Health()


def create_ops_app(services: ApiServices) -> Starlette:
    """Return the application of the front's operations port."""
    return ops_app(
        {
            "database": blocking(partial(services.database.check, bound_by_policies=services.settings.is_production)),
            "temporal": blocking(services.orchestrator.check),
            "vault": blocking(services.vault.check),
        }
    )
