"""What every calendar provider does for us. `google` and `microsoft` are the two that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from meetbot.domain.event import Event, Provider

RawEvent = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registered OAuth client of ours (or, later, of a tenant)."""

    provider: Provider
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"OAuthClient(provider={self.provider!s}, client_id={self.client_id!r})"


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a token endpoint answered. ``expires_at`` is UTC. ``subject``, ``email`` and ``directory_id`` come from the
    ID token and are None on a refresh without one. ``refresh_token`` is None where the provider kept the old one.
    ``scopes`` is empty where the answer did not repeat them: they are as granted before."""

    access_token: str
    expires_at: datetime
    refresh_token: str | None
    scopes: frozenset[str]
    subject: str | None
    email: str | None
    directory_id: str | None = None

    def __repr__(self) -> str:
        return f"TokenGrant(expires_at={self.expires_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """``body`` is the provider's JSON object, byte for byte as it stood in the listing."""

    calendar_id: str
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """All events of a window. Only `complete_calendars` were read to their last page: absence from one of these means
    gone; a calendar in `failed_calendars` says nothing about what it does not show. A calendar in neither is not one of
    the owner's calendars, or no longer."""

    events: Sequence[ListedEvent]
    complete_calendars: frozenset[str]
    failed_calendars: frozenset[str]


class CalendarProvider(Protocol):
    """One provider's OAuth and calendar calls. All are blocking, bounded by timeouts, and raise `ProviderError`s."""

    name: Provider

    def authorization_url(
        self,
        client: OAuthClient,
        *,
        redirect_uri: str,
        state: str,
        code_challenge: str,
        nonce: str,
        login_hint: str | None,
    ) -> str: ...

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant: ...

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = ...) -> TokenGrant: ...

    def revoke(self, client: OAuthClient, refresh_token: str) -> None: ...

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]: ...

    def list_events(
        self, access_token: str, *, window_start: datetime, window_end: datetime, granted: frozenset[str]
    ) -> Listing: ...

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """One occurrence as the provider holds it now. Raises `ResourceGone` where there is none."""
        ...

    def normalise(self, calendar_id: str, raw: RawEvent, *, owner_email: str) -> Event | None:
        """The event, or None for what is no event (a bare skeleton that names nothing we could hold)."""
        ...
