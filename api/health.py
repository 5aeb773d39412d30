"""Whether what we depend on answers. Each check is bounded, and all run at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.container import Services
from meetbot.errors import VaultError

_CHECK_SECONDS = 3.0
router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str = "ok"


@router.get("/healthz", summary="Whether the process answers")
def healthz() -> Health:
    return Health()


async def readiness(services: Services) -> JSONResponse:
    """200 where everything answers, else 503; which of them does not stands in the body."""
    checks: dict[str, Callable[[], bool]] = {
        "database": lambda: _database(services),
        "temporal": services.orchestrator.check,
        "vault": lambda: _vault(services),
    }
    good = await asyncio.gather(*(_bounded(check) for check in checks.values()))
    ready = all(good)
    results = {name: "ok" if passed else "failed" for name, passed in zip(checks, good, strict=True)}
    return JSONResponse(
        {"status": "ready" if ready else "not_ready", "checks": results}, status_code=200 if ready else 503
    )


async def _bounded(check: Callable[[], bool]) -> bool:
    try:
        return await asyncio.wait_for(asyncio.to_thread(check), _CHECK_SECONDS)
    except TimeoutError:
        return False


def _database(services: Services) -> bool:
    try:
        services.database.check()
    except SQLAlchemyError:
        return False
    return True


def _vault(services: Services) -> bool:
    try:
        services.vault.check()
    except VaultError:
        return False
    return True
