"""Google: OAuth and the Calendar API v3, behind `CalendarProvider`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from meetbot.clock import utc_now
from meetbot.domain.account_calendar import OWN_CALENDARS, CalendarChoice
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Event, Provider
from meetbot.errors import ReconnectRequired, ResourceGone, RetryLater
from meetbot.providers.base import PRIMARY, CalendarRef, Listing, OAuthClient, RawEvent
from meetbot.providers.google.calendars import (
    EVENT_FIELDS,
    PAGE_SIZE,
    calendar_list_query,
    event_list_query,
    listed_calendars,
)
from meetbot.providers.google.errors import google_error
from meetbot.providers.google.events import normalise_google
from meetbot.providers.http import (
    Answer,
    Call,
    Deadline,
    bearer,
    error_object,
    get_call,
    identified_object,
    json_object,
    send,
)
from meetbot.providers.id_token import Claims
from meetbot.providers.listed_calendars import ListedCalendar, calendars_to_read
from meetbot.providers.listing import (
    FREE_BUSY_ONLY,
    LISTING_SECONDS,
    Page,
    Source,
    item_list,
    malformed_list,
    next_cursor,
    read_calendar_list,
    read_calendars,
)
from meetbot.providers.oauth import Account, OAuthEndpoint, OAuthProvider
from meetbot.providers.storable_text import ID_LIMIT, address, exact
from meetbot.providers.token_endpoint import TOKEN_SECONDS, post_form, token_error
from meetbot.providers.wire_json import Head, PageReader

EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events.readonly"
CALENDAR_LIST_SCOPE = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
REQUESTED_SCOPES = ("openid", "email", EVENTS_SCOPE, CALENDAR_LIST_SCOPE)

_WHOLE_CALENDAR = frozenset(
    {"https://www.googleapis.com/auth/calendar", "https://www.googleapis.com/auth/calendar.readonly"}
)
_READS_EVENTS = _WHOLE_CALENDAR | {EVENTS_SCOPE, "https://www.googleapis.com/auth/calendar.events"}
_READS_CALENDAR_LIST = _WHOLE_CALENDAR | {
    CALENDAR_LIST_SCOPE,
    "https://www.googleapis.com/auth/calendar.calendarlist",
}
_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
_LOGIN_HOST = "accounts.google.com"
_EVENT_QUERY = (("fields", EVENT_FIELDS),)


class _EventsPage(msgspec.Struct, rename={"access_role": "accessRole", "next": "nextPageToken"}):
    items: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    access_role: Any = None
    next: Any = None
    kind: Any = None


_PAGES = PageReader(_EventsPage, Head)


@dataclass(frozen=True, slots=True)
class GoogleAddresses:
    """The addresses of Google's endpoints. Each replaces exactly one default of the settings."""

    authorize_url: str
    token_url: str
    revoke_url: str
    api_url: str


class GoogleCalendar(OAuthProvider):
    """`CalendarProvider` for Google. One for the process; safe to use from many threads."""

    name = Provider.GOOGLE

    def __init__(self, addresses: GoogleAddresses, http: httpx.Client, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__(_endpoint(addresses), http, now)
        self._revoke_url = addresses.revoke_url
        self._api = addresses.api_url.rstrip("/")

    def revoke(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = TOKEN_SECONDS) -> Revocation:
        """End the account's whole grant to this client.

        This also ends other connections of the same account.
        """
        form = {"token": refresh_token}
        answer = post_form(
            self._http, self._revoke_url, form, provider=Provider.GOOGLE, timeout_seconds=timeout_seconds
        )
        if answer.ok:
            return Revocation.REVOKED
        if answer.status == 400 and error_object(answer).get("error") == "invalid_token":
            return Revocation.ALREADY_ENDED
        raise token_error(answer, Provider.GOOGLE, self._now())

    def admin_consent_url(
        self, client: OAuthClient, *, directory: str | None, redirect_uri: str, state: str
    ) -> str | None:
        """Return None: administrators trust a client by its id, in their console."""
        return None

    def directory_of(self, address: str | None, *, timeout_seconds: float) -> str | None:
        """Return None: nothing depends on an account's organisation."""
        return None

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        """Return the scopes that must still be granted; broader scopes count.

        On Google's consent page a person can untick any scope but ``openid``.
        """
        missing = set()
        if "openid" not in granted:
            missing.add("openid")
        if granted.isdisjoint(_READS_EVENTS):
            missing.add(EVENTS_SCOPE)
        return frozenset(missing)

    def list_events(
        self,
        access_token: str,
        *,
        window_start: datetime,
        window_end: datetime,
        granted: frozenset[str],
        choice: CalendarChoice = OWN_CALENDARS,
    ) -> Listing:
        """List the occurrences of the chosen calendars.

        If the list of calendars may not be read, there is only the account's own calendar.
        """
        deadline = Deadline(LISTING_SECONDS)
        to_read = calendars_to_read(self._calendars(access_token, granted, deadline), choice, own_path=PRIMARY)

        def fetch(calendar: CalendarRef, cursor: str | None, page_size: int) -> Page:
            answer = self._get(
                access_token,
                f"/calendars/{quote(calendar.path_id, safe='')}/events",
                event_list_query(window_start, window_end, cursor, page_size),
                deadline,
            )
            return _page(answer)

        def is_gone(calendar: CalendarRef) -> bool:
            path = f"/users/me/calendarList/{quote(calendar.path_id, safe='')}"
            return self._is_gone(access_token, path, deadline)

        source = Source(Provider.GOOGLE, fetch, is_gone, PAGE_SIZE)
        return read_calendars(source, to_read, deadline)

    def check_access(self, access_token: str, *, timeout_seconds: float) -> None:
        """Ask for no more than the kind of a list of one event."""
        query = [("maxResults", "1"), ("fields", "kind")]
        self._get(access_token, f"/calendars/{PRIMARY}/events", query, Deadline(timeout_seconds))

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """Return the occurrence as it is now.

        Raises `ResourceGone` for one that was deleted, or returns it with the ``status`` cancelled.
        """
        path = _event_path(calendar_id, provider_event_id)
        answer = self._get(access_token, path, list(_EVENT_QUERY), Deadline(timeout_seconds))
        raw = identified_object(answer, Provider.GOOGLE)
        if calendar_id != PRIMARY and _is_withheld(raw):
            # The calendar's owner shows no details any more. What becomes of the meeting is for the next listing to say.
            raise RetryLater(FREE_BUSY_ONLY, f"{Provider.GOOGLE}: an event without its details")
        return raw

    @property
    def api_url(self) -> str:
        """Return the address of the Calendar API."""
        return self._api

    def event_call(self, access_token: str, *, calendar_id: str, provider_event_id: str) -> Call:
        """Return the request that `get_event` makes."""
        return get_call(self._api + _event_path(calendar_id, provider_event_id), _EVENT_QUERY, bearer(access_token))

    def event_in(self, answer: Answer) -> RawEvent:
        """Return the occurrence in an answer, as `get_event` does."""
        return identified_object(self._accepted(answer), Provider.GOOGLE)

    def normalise(
        self, calendar_id: str, raw: RawEvent, *, owner_email: str, owner_aliases: Collection[str] = ()
    ) -> Event | None:
        """Return the event of Google's JSON. See `normalise_google`."""
        return normalise_google(calendar_id, raw, owner_email=owner_email, owner_aliases=owner_aliases)

    def _calendars(self, access_token: str, granted: frozenset[str], deadline: Deadline) -> list[ListedCalendar] | None:
        """Return the account's calendars; None if it does not let us read their list."""
        if granted.isdisjoint(_READS_CALENDAR_LIST):
            return None

        def fetch(cursor: str | None) -> tuple[list[object], str | None]:
            answer = self._get(access_token, "/users/me/calendarList", calendar_list_query(cursor), deadline)
            body = json_object(answer, Provider.GOOGLE)
            return _items(body), next_cursor(body.get("nextPageToken"), Provider.GOOGLE)

        try:
            return listed_calendars(read_calendar_list(fetch, Provider.GOOGLE))
        except ReconnectRequired as refusal:
            if refusal.code != "scope_missing":
                raise
            # The permission is optional and can be taken back on its own; the primary calendar needs none.
            return None

    def _is_gone(self, access_token: str, path: str, deadline: Deadline) -> bool:
        try:
            self._get(access_token, path, [("fields", "id")], deadline)
        except ResourceGone:
            return True
        return False

    def _get(self, access_token: str, path: str, query: list[tuple[str, str]], deadline: Deadline) -> Answer:
        answer = send(
            self._http,
            "GET",
            self._api + path,
            provider=Provider.GOOGLE,
            deadline=deadline,
            headers=bearer(access_token),
            params=query,
        )
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Answer:
        if not answer.ok:
            raise google_error(answer, self._now())
        return answer


def _event_path(calendar_id: str, provider_event_id: str) -> str:
    return f"/calendars/{quote(calendar_id, safe='')}/events/{quote(provider_event_id, safe='')}"


def _is_withheld(raw: RawEvent) -> bool:
    """Return whether this is all that a person sees who may see only free and busy."""
    return (
        raw.get("visibility") == "private"
        and raw.get("status") != "cancelled"
        and not raw.keys()
        & {
            "summary",
            "organizer",
            "attendees",
        }
    )


def _page(answer: Answer) -> Page:
    page = _PAGES.page(answer.body)
    if page is None or (page.items is msgspec.UNSET and not (page.access_role or page.next or page.kind)):
        raise malformed_list(answer, Provider.GOOGLE)
    bodies = [] if page.items is msgspec.UNSET else page.items
    items = _PAGES.items(bodies)
    return Page(
        items,
        next_cursor(page.next, Provider.GOOGLE),
        len(answer.body),
        readable=page.access_role not in ("none", "freeBusyReader"),
        skipped=len(bodies) - len(items),
    )


def _items(body: dict[str, Any]) -> list[object]:
    """The items of a page.

    Google leaves ``items`` out if there are none, but never all of the page's other fields.
    """
    if "items" not in body and not body.keys() & {"accessRole", "nextPageToken", "kind"}:
        raise RetryLater("malformed_answer", f"{Provider.GOOGLE}: a list answer without items")
    return item_list(body.get("items", []), Provider.GOOGLE)


def _endpoint(addresses: GoogleAddresses) -> OAuthEndpoint:
    is_google = urlsplit(addresses.authorize_url).hostname == _LOGIN_HOST

    def is_issuer(claims: Claims) -> bool:
        """Return whether Google issued the token; any issuer is right for another address."""
        return claims.get("iss") in _ISSUERS if is_google else bool(claims.get("iss"))

    return OAuthEndpoint(
        provider=Provider.GOOGLE,
        authorize_url=addresses.authorize_url,
        token_url=addresses.token_url,
        scopes=REQUESTED_SCOPES,
        is_issuer=is_issuer,
        account=_account,
        # Google gives a refresh token only for offline access, and only with a fresh consent.
        consent_parameters={"access_type": "offline", "prompt": "consent"},
    )


def _account(claims: Claims) -> Account:
    return Account(subject=exact(claims.get("sub"), ID_LIMIT), email=address(claims.get("email")))
