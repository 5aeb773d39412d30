"""One running sandbox: configuration, state, clock, fault rules and request log.

It lives in one event loop, so it needs no locks.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from sandbox import clock
from sandbox.calendar.sample_data import add_sample_data
from sandbox.config import SandboxConfig
from sandbox.faults import ActiveFault
from sandbox.push.outbox import Outbox
from sandbox.request_log import LoggedRequest
from sandbox.state import State

_MAX_LOG = 10_000


class Sandbox:
    """Everything that belongs to one running sandbox.

    ``reports_due`` is set when a report may have become due. ``delivery_lock`` is held while reports are sent. ``outbox`` has
    the push notifications, about all edits up to ``notified_change``.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.state = _load(config)
        self.faults: list[ActiveFault] = []
        self.log: deque[LoggedRequest] = deque(maxlen=_MAX_LOG)
        self.reports_due = asyncio.Event()
        self.delivery_lock = asyncio.Lock()
        self.outbox = Outbox()
        self.notified_change = self.state.change
        self.notified_copies = set(self.state.copies)

    def now(self) -> datetime:
        """Return the sandbox's time, UTC."""
        return clock.read(self.state.clock)

    def reset(self, *, seed: bool) -> None:
        """Forget everything, and begin with the sample data (``seed``) or empty."""
        self.state = add_sample_data(State()) if seed else State()
        self.notified_change, self.notified_copies = self.state.change, set(self.state.copies)
        self.outbox.clear()
        self.faults.clear()
        self.log.clear()

    def save(self) -> None:
        """Write the state file in one step; do nothing if none is configured."""
        if self.config.state_file is not None:
            _write_atomically(self.config.state_file, self.state.model_dump_json().encode())


def sandbox_of(request: Request) -> Sandbox:
    """Return the sandbox that serves a request."""
    sandbox = request.app.state.sandbox
    assert isinstance(sandbox, Sandbox)  # noqa: S101 - for the type checker: create_app has put it there
    return sandbox


CurrentSandbox = Annotated[Sandbox, Depends(sandbox_of)]


def base_url(sandbox: Sandbox, request: Request) -> str:
    """Return the address under which the caller reaches the sandbox, without a final slash."""
    return (sandbox.config.public_url or str(request.base_url)).rstrip("/")


def _load(config: SandboxConfig) -> State:
    if config.state_file is not None and config.state_file.exists():
        return State.model_validate_json(config.state_file.read_bytes())
    return add_sample_data(State()) if config.seed else State()


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
