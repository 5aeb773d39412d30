"""Microsoft's own SDK reads the sandbox's calendars."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.event import Event
from msgraph.generated.models.event_type import EventType
from msgraph.generated.models.online_meeting_provider_type import OnlineMeetingProviderType
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]

from tests.sandbox.driver import Driver

with warnings.catch_warnings():  # the SDK warns about its own base library at import
    warnings.simplefilter("ignore", DeprecationWarning)
    from msgraph.generated.users.item.calendar_view.calendar_view_request_builder import CalendarViewRequestBuilder

# Its generated modules, imported when first touched, warn about their own classes.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GRACE = "grace@acme.test"


class _FixedToken(AccessTokenProvider):
    def __init__(self, token: str) -> None:
        self._token = token

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        return self._token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator([])


@contextlib.asynccontextmanager
async def _client(sandbox: Driver, token: str) -> AsyncIterator[GraphServiceClient]:
    # The SDK's own transport never closes the one below it, so that one is ours.
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        plain = httpx.AsyncClient(transport=transport, timeout=10, trust_env=False)
        http = GraphClientFactory.create_with_default_middleware(client=plain, options=options)
        adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(_FixedToken(token)), http)
        adapter.base_url = f"{sandbox.base}/microsoft/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


def _view() -> RequestConfiguration[Any]:
    query = CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(
        start_date_time="2026-01-05T00:00:00Z", end_date_time="2026-01-12T00:00:00Z", top=3
    )
    return RequestConfiguration(query_parameters=query)


def test_microsofts_own_sdk_pages_through_a_view(sandbox: Driver) -> None:
    token = sandbox.connect("microsoft", GRACE)["access_token"]
    sandbox.event(
        GRACE, start="2026-01-05T09:00:00Z", recurrence=["RRULE:FREQ=DAILY;COUNT=5"], platform="microsoft_teams"
    )

    async def read() -> list[Event]:
        seen: list[Event] = []
        async with _client(sandbox, token) as client:
            page = await client.me.calendar_view.get(_view())
            while page is not None:
                seen += page.value or []
                link = page.odata_next_link
                page = await client.me.calendar_view.with_url(link).get() if link else None
        return seen

    events = asyncio.run(read())
    assert [event.start.date_time for event in events if event.start] == [
        f"2026-01-{day:02d}T09:00:00.0000000" for day in range(5, 10)
    ]
    assert {event.type for event in events} == {EventType.Occurrence}
    assert {event.online_meeting_provider for event in events} == {OnlineMeetingProviderType.TeamsForBusiness}
    # What the SDK does not know it keeps apart; `uid` is newer than the SDK.
    assert {name for event in events for name in event.additional_data} <= {"uid", "@odata.etag", "@odata.context"}


def test_microsofts_own_sdk_understands_a_refusal(sandbox: Driver) -> None:
    async def read() -> None:
        async with _client(sandbox, "unknown") as client:
            await client.me.calendar_view.get(_view())

    with pytest.raises(APIError) as refused:
        asyncio.run(read())
    error: Any = refused.value
    assert (error.response_status_code, error.error.code) == (401, "InvalidAuthenticationToken")
