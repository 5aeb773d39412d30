"""The public resources as JSON objects, as webhooks carry them. Their shape is that of `meetbot.resources.public`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from meetbot.resources import public
from meetbot.storage.tables import Bot, CalendarUser


def bot_resource(bot: Bot, claims: Sequence[str]) -> dict[str, Any]:
    return public.bot_resource(bot, claims).document()


def calendar_user_resource(user: CalendarUser, *, now: datetime, reconnect_url: str | None = None) -> dict[str, Any]:
    """With the ``sequence`` that tells an older message from a newer one."""
    resource = public.calendar_user_resource(user, now=now, reconnect_url=reconnect_url)
    return resource.document() | {"sequence": user.sequence}
