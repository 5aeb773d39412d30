"""The sandbox itself: clock, consent, behaviour, faults, request log, reset."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from sandbox import clock
from sandbox.backend.api import advance_jobs
from sandbox.backend.records import JobPace
from sandbox.calendar.join_links import LinkPlatform, made_up_link
from sandbox.faults import ActiveFault, FaultRule
from sandbox.login.records import ConsentSettings
from sandbox.request_log import LoggedRequest, count_requests
from sandbox.running import CurrentSandbox, Sandbox
from sandbox.state import ProviderBehaviour

router = APIRouter(prefix="/control", tags=["Control: the sandbox"])

_TEN_YEARS = 10 * 365 * 86_400


class ClockReading(BaseModel):
    now: datetime
    frozen: bool
    offset_seconds: float


class ClockChange(BaseModel, extra="forbid"):
    """Done in this order: `frozen`, then `set`, `offset_seconds`, `advance_seconds`."""

    frozen: bool | None = None
    set: AwareDatetime | None = None
    offset_seconds: float | None = Field(default=None, ge=-_TEN_YEARS, le=_TEN_YEARS)
    advance_seconds: float | None = Field(default=None, ge=-_TEN_YEARS, le=_TEN_YEARS)


class Reset(BaseModel, extra="forbid"):
    seed: bool = True


@router.get("/clock")
async def get_clock(sandbox: CurrentSandbox) -> ClockReading:
    state = sandbox.state.clock
    return ClockReading(now=sandbox.now(), frozen=state.frozen_at is not None, offset_seconds=state.offset_seconds)


@router.post("/clock")
async def move_clock(body: ClockChange, sandbox: CurrentSandbox) -> ClockReading:
    """Tokens, windows and jobs follow this clock; webhook retries and injected delays follow the real one."""
    state = sandbox.state.clock
    if body.frozen is not None:
        (clock.freeze if body.frozen else clock.unfreeze)(state)
    if body.set is not None:
        clock.set_to(state, body.set)
    if body.offset_seconds is not None:
        clock.set_offset(state, body.offset_seconds)
    if body.advance_seconds is not None:
        clock.advance(state, body.advance_seconds)
    advance_jobs(sandbox, sandbox.now())
    sandbox.wake.set()
    return await get_clock(sandbox)


@router.get("/consent")
async def get_consent(sandbox: CurrentSandbox) -> ConsentSettings:
    return sandbox.state.consent


@router.post("/consent")
async def set_consent(body: ConsentSettings, sandbox: CurrentSandbox) -> ConsentSettings:
    """`{"mode": "auto"}` answers authorization requests without a page; the body replaces all settings."""
    sandbox.state.consent = body
    return body


@router.get("/behaviour")
async def get_behaviour(sandbox: CurrentSandbox) -> ProviderBehaviour:
    return sandbox.state.behaviour


@router.post("/behaviour")
async def set_behaviour(body: ProviderBehaviour, sandbox: CurrentSandbox) -> ProviderBehaviour:
    """Where the real providers are seen to differ: choose. The body replaces all settings."""
    sandbox.state.behaviour = body
    return body


@router.get("/backend/pace")
async def get_job_pace(sandbox: CurrentSandbox) -> JobPace:
    return sandbox.state.pace


@router.post("/backend/pace")
async def set_job_pace(body: JobPace, sandbox: CurrentSandbox) -> JobPace:
    """How long jobs stay in each state, in seconds of the sandbox's clock."""
    sandbox.state.pace = body
    return body


@router.get("/faults")
async def list_faults(sandbox: CurrentSandbox) -> list[ActiveFault]:
    return sandbox.faults


@router.post("/faults", status_code=201)
async def add_fault(body: FaultRule, sandbox: CurrentSandbox) -> ActiveFault:
    """The first matching rule that is not used up acts. The control API itself never meets faults."""
    if len(sandbox.faults) >= 1000:
        raise HTTPException(409, "Too many faults; clear some.")
    fault = ActiveFault(id=f"fault_{secrets.token_hex(6)}", **body.model_dump())
    sandbox.faults.append(fault)
    return fault


@router.delete("/faults", status_code=204)
async def clear_faults(sandbox: CurrentSandbox) -> None:
    sandbox.faults.clear()


@router.delete("/faults/{fault_id}", status_code=204)
async def remove_fault(fault_id: str, sandbox: CurrentSandbox) -> None:
    sandbox.faults[:] = [fault for fault in sandbox.faults if fault.id != fault_id]


@router.get("/requests")
async def list_requests(
    sandbox: CurrentSandbox,
    path: Annotated[str, Query(description="Only paths that begin with this.")] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[LoggedRequest]:
    """The newest last; at most 10,000 are kept."""
    return _matching(sandbox, path)[-limit:]


@router.get("/requests/counts")
async def request_counts(sandbox: CurrentSandbox, path: str = "") -> dict[str, int]:
    return count_requests(_matching(sandbox, path))


@router.delete("/requests", status_code=204)
async def clear_requests(sandbox: CurrentSandbox) -> None:
    sandbox.log.clear()


@router.get("/links/{platform}")
async def make_link(platform: LinkPlatform) -> dict[str, str]:
    """A plausible join link which leads nowhere."""
    return {"platform": platform.value, "url": made_up_link(platform)}


@router.post("/reset", status_code=204)
async def reset(body: Reset, sandbox: CurrentSandbox, http: Request) -> None:
    """Back to the seed, or to nothing: accounts, tokens, jobs, clock, faults, log."""
    sandbox.reset(seed=body.seed)


def _matching(sandbox: Sandbox, path: str) -> list[LoggedRequest]:
    return [entry for entry in sandbox.log if entry.path.startswith(path)]
