"""The interface of a calendar provider; `google` and `microsoft` implement it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Event, Provider
from meetbot.errors import RetryLater
from meetbot.outbound.call import Answer, Call

RawEvent = Mapping[str, Any]

PRIMARY = "primary"
"""Our id for an account's own calendar, at both providers.

It stays when the account's address changes, and is the same whether or not the list of calendars may be read. Google
takes it as an alias in its paths.
"""

MAX_CALENDARS = 25


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registered OAuth client, ours or a tenant's. Its text form leaves the secret out.

    ``client_secret`` is empty if this process may not know it, and has only to name the client. ``directory`` is that of an
    application which Microsoft knows in one directory alone.
    """

    provider: Provider
    client_id: str
    client_secret: str
    directory: str | None = None

    def __repr__(self) -> str:
        return f"OAuthClient(provider={self.provider!s}, client_id={self.client_id!r})"


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The tokens that a provider granted, and the account that granted them.

    ``expires_at`` is UTC. ``subject``, ``email`` and ``directory_id`` come from the ID token and are None on a refresh
    without one. ``refresh_token`` is None if the provider kept the old one. ``scopes`` is empty if a refresh did not
    repeat them: they are as granted before. ``aliases`` are the account's other addresses. Its text form holds no token.
    """

    access_token: str
    expires_at: datetime
    refresh_token: str | None
    scopes: frozenset[str]
    subject: str | None
    email: str | None
    directory_id: str | None = None
    aliases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"TokenGrant(expires_at={self.expires_at.isoformat()})"


@dataclass(frozen=True, slots=True)
class CalendarRef:
    """A calendar to read: the id we know it by, and the one that stands in the provider's paths."""

    id: str
    path_id: str


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """One event of a listing; ``body`` is the provider's JSON object, byte for byte."""

    calendar_id: str
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """All events of a window, and which calendars they were read from.

    An event that is missing from one of ``complete_calendars``, which were read to their last page, is gone. One that
    is missing from ``failed_calendars`` may still be there. A calendar in neither set is not one of the user's
    calendars, or no longer. ``faults`` says why a calendar could not be read, by its id; ``skipped`` how many entries
    were no events that can be read. ``refusal`` is the one after which other calendars were no longer asked for.
    """

    events: Sequence[ListedEvent]
    complete_calendars: frozenset[str]
    failed_calendars: frozenset[str]
    faults: Mapping[str, str] = field(default_factory=dict)
    skipped: int = 0
    refusal: RetryLater | None = None

    @property
    def shortfall(self) -> str | None:
        """Return why the account's own calendar was not read to its end; None if it was."""
        return self.faults.get(PRIMARY)


class CalendarProvider(Protocol):
    """One provider's OAuth and calendar calls.

    All that ask the provider block, are bounded by timeouts, and raise `ProviderError`s.
    """

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
    ) -> str:
        """Return the address of the provider's consent page.

        ``state``, ``nonce`` and ``code_challenge`` bind the later callback to this request (RFC 9700, RFC 7636).
        ``login_hint`` is the address of the account to offer, if it is known.
        """
        ...

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant:
        """Exchange the authorization code of a callback for tokens.

        Raises `ReconnectRequired` for a refused code or ID token.
        """
        ...

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = ...) -> TokenGrant:
        """Return a new access token.

        If a new refresh token comes with it, store that before using the access token. Raises `ReconnectRequired` if the
        grant has ended.
        """
        ...

    def revoke(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = ...) -> Revocation:
        """End the grant behind a refresh token at the provider, if the provider can.

        Return `REVOKED`, `ALREADY_ENDED` or `UNSUPPORTED`.
        """
        ...

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        """Return the scopes that the service needs and the user has not granted."""
        ...

    def list_events(
        self, access_token: str, *, window_start: datetime, window_end: datetime, granted: frozenset[str]
    ) -> Listing:
        """List the occurrences in a window on the user's own calendars.

        `granted` are the scopes of the access token; the window is in UTC.
        """
        ...

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """Return one occurrence as the provider has it now. Raises `ResourceGone` if it is gone."""
        ...

    @property
    def api_url(self) -> str:
        """Return the address under which events are read."""
        ...

    def event_call(self, access_token: str, *, calendar_id: str, provider_event_id: str) -> Call:
        """Return the request that `get_event` makes, for a client of the caller's."""
        ...

    def event_in(self, answer: Answer) -> RawEvent:
        """Return the occurrence that `event_call` was answered with.

        It is as `get_event` returns it, as far as that is known without asking for more. Raises `ProviderError`s.
        """
        ...

    def normalise(
        self, calendar_id: str, raw: RawEvent, *, owner_email: str, owner_aliases: Collection[str] = ()
    ) -> Event | None:
        """Return the event of the provider's JSON, or None.

        ``owner_aliases`` are the account's other addresses. None for the master of a series, and for what has no usable id.
        """
        ...
