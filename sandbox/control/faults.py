"""Faults to inject, and the log of what clients asked for."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from sandbox.faults import ActiveFault, FaultRule
from sandbox.request_log import LoggedRequest, count_requests
from sandbox.running import CurrentSandbox, Sandbox

router = APIRouter(prefix="/control", tags=["Control: the sandbox"])

_MAX_FAULTS = 1000


@router.get("/faults")
async def list_faults(sandbox: CurrentSandbox) -> list[ActiveFault]:
    """List the fault rules with how often each has acted."""
    return sandbox.faults


@router.post("/faults", status_code=201)
async def add_fault(body: FaultRule, sandbox: CurrentSandbox) -> ActiveFault:
    """Add a fault rule.

    The first rule that matches a request and is not used up acts. Requests to the control API never meet faults.
    """
    if len(sandbox.faults) >= _MAX_FAULTS:
        raise HTTPException(409, "Too many faults; clear some.")
    fault = ActiveFault(id=f"fault_{secrets.token_hex(6)}", **body.model_dump())
    sandbox.faults.append(fault)
    return fault


@router.delete("/faults", status_code=204)
async def clear_faults(sandbox: CurrentSandbox) -> None:
    """Delete all fault rules."""
    sandbox.faults.clear()


@router.delete("/faults/{fault_id}", status_code=204)
async def remove_fault(fault_id: str, sandbox: CurrentSandbox) -> None:
    """Delete one fault rule; an unknown one is no error."""
    sandbox.faults[:] = [fault for fault in sandbox.faults if fault.id != fault_id]


@router.get("/requests")
async def list_requests(
    sandbox: CurrentSandbox,
    path: Annotated[str, Query(description="Only paths that begin with this.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[LoggedRequest]:
    """List logged requests, the newest last; at most 10,000 are kept."""
    return _requests_to(sandbox, path)[-limit:]


@router.get("/requests/counts")
async def request_counts(sandbox: CurrentSandbox, path: str = "") -> dict[str, int]:
    """Count logged requests by method, path and status."""
    return count_requests(_requests_to(sandbox, path))


@router.delete("/requests", status_code=204)
async def clear_requests(sandbox: CurrentSandbox) -> None:
    """Empty the request log."""
    sandbox.log.clear()


def _requests_to(sandbox: Sandbox, path: str) -> list[LoggedRequest]:
    return [entry for entry in sandbox.log if entry.path.startswith(path)]
