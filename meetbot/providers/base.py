"""The interface of a calendar provider; `google` and `microsoft` implement it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from meetbot.domain.account_calendar import MAX_CALENDARS as MAX_CALENDARS
from meetbot.domain.account_calendar import OWN_CALENDARS, AccountCalendar, CalendarChoice
from meetbot.domain.account_calendar import PRIMARY as PRIMARY
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Event, Provider
from meetbot.errors import RetryLater
from meetbot.outbound.call import Answer, Call

RawEvent = Mapping[str, Any]


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
    is missing from ``failed_calendars`` may still be there. A calendar in neither set is not to be read, or no longer.
    ``gone_calendars`` are those among them that the provider has said not to have any more. ``faults`` says why a
    calendar could not be read, by its id; for ``refused_calendars`` asking again does not help. ``skipped`` is how many
    entries were no events that can be read. ``refusal`` is the one after which other calendars were no longer asked for.
    ``calendars`` is the account's whole list, None if that may not be read.
    """

    events: Sequence[ListedEvent]
    complete_calendars: frozenset[str]
    failed_calendars: frozenset[str]
    faults: Mapping[str, str] = field(default_factory=dict)
    skipped: int = 0
    refusal: RetryLater | None = None
    refused_calendars: frozenset[str] = frozenset()
    gone_calendars: frozenset[str] = frozenset()
    calendars: tuple[AccountCalendar, ...] | None = None

    @property
    def read_calendars(self) -> frozenset[str]:
        """Return the calendars that are to be read, whether or not they could be."""
        return self.complete_calendars | self.failed_calendars

    @property
    def shortfall(self) -> str | None:
        """Return why the account's own calendar was not read to its end.

        None if it was, or was not to be.

        Without that calendar, the reason why none was read.
        """
        if PRIMARY in self.faults or self.complete_calendars or not self.faults:
            return self.faults.get(PRIMARY)
        return self.faults[min(self.faults)]


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

    def admin_consent_url(
        self, client: OAuthClient, *, directory: str | None, redirect_uri: str, state: str
    ) -> str | None:
        """Return the page on which an administrator approves the client for their directory.

        ``directory`` is an id or a domain; None: that of whoever signs in. None if the provider has no such page.
        """
        ...

    def directory_of(self, address: str | None, *, timeout_seconds: float) -> str | None:
        """Return the id of the directory that an address belongs to, if the provider tells.

        Raises `RetryLater`.
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
        self,
        access_token: str,
        *,
        window_start: datetime,
        window_end: datetime,
        granted: frozenset[str],
        choice: CalendarChoice = OWN_CALENDARS,
    ) -> Listing:
        """List the occurrences in a window on the chosen calendars of the account.

        `granted` are the scopes of the access token; the window is in UTC.
        """
        ...

    def check_access(self, access_token: str, *, timeout_seconds: float) -> None:
        """Make the smallest request that needs the access token. Raises `ProviderError`s."""
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
