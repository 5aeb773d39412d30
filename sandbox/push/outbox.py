"""Notifications on their way: sent in the background, tried again as the providers do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox.calendar.records import Provider

_TIMEOUT = httpx.Timeout(5.0)
_RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
# Google gives up at once on any other failure (developers.google.com/workspace/calendar/api/guides/push).
_GOOGLE_RETRIES = frozenset({500, 502, 503, 504})
_AT_ONCE = 32
_KEPT = 2000
_log = logging.getLogger("sandbox")


@dataclass(slots=True)
class Notice:
    """One request to a client. ``status`` is None until there was an answer."""

    provider: Provider
    channels: list[str]
    kind: str
    url: str
    headers: dict[str, str]
    body: Any = None
    attempts: int = 0
    due: float = field(default_factory=time.monotonic)
    status: int | None = None


class Outbox:
    """What is to be sent, and what was. It lives in the sandbox's event loop."""

    def __init__(self) -> None:
        self.waiting: list[Notice] = []
        self.sent: deque[Notice] = deque(maxlen=_KEPT)
        self.filled = asyncio.Event()

    def put(self, notice: Notice) -> None:
        """Queue a notification."""
        self.waiting.append(notice)
        self.filled.set()

    def clear(self) -> None:
        """Forget everything."""
        self.waiting.clear()
        self.sent.clear()

    async def run(self, client: httpx.AsyncClient) -> None:
        """Send until cancelled."""
        while True:
            now = time.monotonic()
            due = [notice for notice in self.waiting if notice.due <= now][:_AT_ONCE]
            if not due:
                self.filled.clear()
                pause = min([0.5, *(max(notice.due - now, 0.01) for notice in self.waiting)])
                try:
                    await asyncio.wait_for(self.filled.wait(), pause)
                except TimeoutError:
                    continue
                continue
            self.waiting = [notice for notice in self.waiting if notice not in due]
            try:
                await asyncio.gather(*(self.send(client, notice) for notice in due))
            except Exception:
                _log.exception("sandbox.push_failed")

    async def send(self, client: httpx.AsyncClient, notice: Notice) -> None:
        """Send one notification; queue it again if it is to be tried again."""
        notice.attempts += 1
        try:
            answer = await client.post(
                notice.url, headers=notice.headers, json=notice.body, timeout=_TIMEOUT, follow_redirects=False
            )
            notice.status = answer.status_code
        except httpx.HTTPError:
            notice.status = 0
        if self._is_to_be_tried_again(notice):
            notice.due = time.monotonic() + _RETRY_SECONDS[notice.attempts - 1]
            self.waiting.append(notice)
        else:
            self.sent.append(notice)

    def _is_to_be_tried_again(self, notice: Notice) -> bool:
        status = notice.status or 0
        if 200 <= status < 300 or notice.attempts > len(_RETRY_SECONDS):
            return False
        return status == 0 or notice.provider is Provider.MICROSOFT or status in _GOOGLE_RETRIES
