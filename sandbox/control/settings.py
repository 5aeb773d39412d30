"""How the sandbox behaves: consent, choices of behaviour, pace of bots; and reset."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from sandbox.backend.records import JobPace
from sandbox.calendar.join_links import LinkPlatform, made_up_link
from sandbox.login.records import ConsentSettings
from sandbox.running import CurrentSandbox
from sandbox.state import ProviderBehaviour

router = APIRouter(prefix="/control", tags=["Control: the sandbox"])


class Reset(BaseModel, extra="forbid"):
    """What a reset leaves: the sample people and meetings (`seed`), or nothing."""

    seed: bool = True


@router.get("/consent")
async def get_consent(sandbox: CurrentSandbox) -> ConsentSettings:
    """Read how consent is given."""
    return sandbox.state.consent


@router.post("/consent")
async def set_consent(body: ConsentSettings, sandbox: CurrentSandbox) -> ConsentSettings:
    """Replace all settings of consent.

    `{"mode": "auto"}` answers authorization requests without a page.
    """
    sandbox.state.consent = body
    return body


@router.get("/behaviour")
async def get_behaviour(sandbox: CurrentSandbox) -> ProviderBehaviour:
    """Read which of the real providers' behaviours is played."""
    return sandbox.state.behaviour


@router.post("/behaviour")
async def set_behaviour(body: ProviderBehaviour, sandbox: CurrentSandbox) -> ProviderBehaviour:
    """Choose between behaviours that real providers have been seen to have.

    The body replaces all settings.
    """
    sandbox.state.behaviour = body
    return body


@router.get("/backend/pace")
async def get_job_pace(sandbox: CurrentSandbox) -> JobPace:
    """Read how long a bot job stays in each state."""
    return sandbox.state.pace


@router.post("/backend/pace")
async def set_job_pace(body: JobPace, sandbox: CurrentSandbox) -> JobPace:
    """Set how long a bot job stays in each state, in seconds of the sandbox's clock."""
    sandbox.state.pace = body
    return body


@router.get("/links/{platform}")
async def make_link(platform: LinkPlatform) -> dict[str, str]:
    """Make up a join link that looks real and leads nowhere."""
    return {"platform": platform.value, "url": made_up_link(platform)}


@router.post("/reset", status_code=204)
async def reset(body: Reset, sandbox: CurrentSandbox) -> None:
    """Forget everything: accounts, tokens, jobs, clock, faults and the request log."""
    sandbox.reset(seed=body.seed)
