"""The activity that keeps a calendar user's push channels."""

from __future__ import annotations

from functools import partial

from temporalio import activity

from activities.services import Services
from meetbot.push.keeper import ChannelOwner
from meetbot.storage.calendar_user_context import load_context
from meetbot.temporal.calendar_messages import PushRequest
from meetbot.temporal.messages import (
    ActivityName,
)


class PushActivity:
    """The activity that a calendar user's workflow calls if a sync says that push is due."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @activity.defn(name=ActivityName.CALENDAR_ENSURE_PUSH, no_thread_cancel_exception=True)
    def ensure(self, request: PushRequest) -> None:
        """Open, renew and close channels; what fails is due again at a later sync."""
        with self._services.database.transaction(request.tenant_id) as session:
            user = load_context(session, request.tenant_id, request.calendar_user_id)
        if user is not None and user.is_connected:
            owner = ChannelOwner(user.tenant_id, user.id, user.provider)
            self._services.push.ensure(owner, partial(self._services.tokens.call, user))
