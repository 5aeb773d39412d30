"""Read and move the sandbox's clock."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from sandbox import clock
from sandbox.backend.api import advance_jobs
from sandbox.running import CurrentSandbox

router = APIRouter(prefix="/control/clock", tags=["Control: the sandbox"])

_TEN_YEARS = 10 * 365 * 86_400


class ClockReading(BaseModel):
    """The sandbox's time, and how it differs from real time."""

    now: datetime
    frozen: bool
    offset_seconds: float


class ClockChange(BaseModel, extra="forbid"):
    """Changes that are made in this order: `frozen`, `set`, `offset_seconds`, `advance_seconds`."""

    frozen: bool | None = None
    set: AwareDatetime | None = None
    offset_seconds: float | None = Field(default=None, ge=-_TEN_YEARS, le=_TEN_YEARS)
    advance_seconds: float | None = Field(default=None, ge=-_TEN_YEARS, le=_TEN_YEARS)


@router.get("")
async def get_clock(sandbox: CurrentSandbox) -> ClockReading:
    """Read the sandbox's clock."""
    state = sandbox.state.clock
    return ClockReading(now=sandbox.now(), frozen=state.frozen_at is not None, offset_seconds=state.offset_seconds)


@router.post("")
async def move_clock(body: ClockChange, sandbox: CurrentSandbox) -> ClockReading:
    """Freeze, release, set or advance the clock.

    Tokens, calendars and jobs follow this clock; webhook retries and injected delays follow the real one.
    """
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
    sandbox.reports_due.set()
    return await get_clock(sandbox)
