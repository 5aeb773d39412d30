"""What a sandbox is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Settings of one sandbox.

    ``public_url`` None: links point to the address of each request. ``redirect_uris`` empty: any http(s) address counts as
    registered. ``state_file`` None: everything is lost at exit. ``retry_seconds``: the pauses before each new attempt to
    deliver a report.
    """

    public_url: str | None = None
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"  # noqa: S105 - a published default that opens nothing
    api_key: str = "sandbox-backend-key"
    webhook_secret: str = "whsec_sandbox"  # noqa: S105 - as above
    state_file: Path | None = None
    redirect_uris: tuple[str, ...] = ()
    seed: bool = True
    retry_seconds: tuple[float, ...] = (1, 2, 5, 15, 30)
