"""A wait for a whole application holds for that application alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from meetbot.calendars.provider_waits import ProviderWaits
from meetbot.domain.event import Provider
from meetbot.errors import RetryLater
from meetbot.storage import calendar_user_state
from meetbot.storage.calendar_user_context import CalendarUserContext
from meetbot.storage.database import Database

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


@dataclass
class User:
    oauth_client_id: str | None
    tenant_id: str = "ten_1"
    id: str = "cu_1"
    provider: Provider = Provider.GOOGLE
    not_before: datetime | None = None
    asked_at: datetime | None = None


class NoDatabase:
    def transaction(self, tenant_id: str) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> ProviderWaits:
    monkeypatch.setattr(calendar_user_state, "note_wait", lambda *_, **__: None)
    return ProviderWaits(cast(Database, NoDatabase()), lambda: NOW)


def user(oauth_client_id: str | None) -> CalendarUserContext:
    return cast(CalendarUserContext, User(oauth_client_id))


THROTTLED = RetryLater("rate_limited", "all of it", retry_after=timedelta(minutes=5), whole_application=True)


@pytest.mark.parametrize("throttled", [None, "acme"])
def test_users_of_the_throttled_application_wait(waits: ProviderWaits, throttled: str | None) -> None:
    waits.note(user(throttled), THROTTLED)
    with pytest.raises(RetryLater, match="asked to wait"):
        waits.check(user(throttled))


@pytest.mark.parametrize(("throttled", "other"), [("acme", None), (None, "acme"), ("acme", "globex")])
def test_users_of_another_application_go_on(waits: ProviderWaits, throttled: str | None, other: str | None) -> None:
    waits.note(user(throttled), THROTTLED)
    waits.check(user(other))
