"""The development stack as a new user starts it: `meetbot dev` as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

Found = TypeVar("Found")

START_SECONDS = 90
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Stack:
    """Addresses and credentials as the command printed them."""

    process: subprocess.Popen[str]
    state: Path
    output: str
    api: httpx.Client
    sandbox: httpx.Client

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables by which other commands or a second worker reach this stack."""
        return dict(json.loads((self.state / "dev.json").read_text())["environment"])

    def connect(self, email: str, provider: str = "google", customer_user_id: str | None = None) -> str:
        """Connect a calendar through the API and the sandbox's consent; return the `cu_` id."""
        self.sandbox.post("/control/consent", json={"mode": "auto"}).raise_for_status()
        answer = self.api.post(
            f"/v1/calendar/connect/{provider}",
            json={"customer_user_id": customer_user_id or email, "login_hint": email},
        )
        assert answer.status_code == 201, answer.text
        with httpx.Client(follow_redirects=True, trust_env=False, timeout=30) as browser:
            page = browser.get(answer.json()["authorization_url"])
        assert page.status_code == 200, page.text
        users = self.api.get("/v1/calendar/users", params={"customer_user_id": customer_user_id or email}).json()
        return str(users["data"][0]["id"])

    def put_event(self, email: str, **fields: Any) -> dict[str, Any]:
        body = {"title": "Demo call", "platform": "google_meet", "duration_minutes": 30} | fields
        answer = self.sandbox.post(f"/control/accounts/{email}/events", json=body)
        answer.raise_for_status()
        return dict(answer.json())

    def jobs(self) -> list[dict[str, Any]]:
        return list(self.sandbox.get("/control/backend/jobs").raise_for_status().json())


@contextmanager
def running_stack(state: Path, **environment: str) -> Iterator[Stack]:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("meetbot")), "dev", "--state", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**_clean_environment(), **environment},
    )
    try:
        output = _output_until_ready(process)
        headers = {"Authorization": f"Bearer {printed_after(output, 'API key')}"}
        api_url = printed_after(output, "API docs").removesuffix("/docs")
        sandbox_url = printed_after(output, "Sandbox calendar")
        with (
            httpx.Client(base_url=api_url, headers=headers, trust_env=False, timeout=30) as api,
            httpx.Client(base_url=sandbox_url, trust_env=False, timeout=30) as sandbox,
        ):
            yield Stack(process, state, output, api, sandbox)
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> str:
    """Send Ctrl-C and return what the command still prints."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        rest, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        rest, _ = process.communicate()
        raise AssertionError(f"meetbot dev did not stop: {rest}") from None
    return rest


def eventually(look: Callable[[], Found | None], *, seconds: float, what: str) -> Found:
    """Poll until something is there. The bound is generous, for slow machines."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"not within {seconds} s: {what}")


def _clean_environment() -> dict[str, str]:
    ours = ("MEETBOT_", "DATABASE_URL", "TEMPORAL_", "VAULT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _output_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("  curl "):
            return "".join(lines)
    raise AssertionError("meetbot dev ended before it was ready:\n" + "".join(lines))


def printed_after(output: str, label: str) -> str:
    match = re.search(rf"^\s*{re.escape(label)}\s+(\S+)(?: +\(.*\))?\s*$", output, re.MULTILINE)
    assert match is not None, output
    return match[1]
