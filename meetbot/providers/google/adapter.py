"""Google: OAuth and the Calendar API v3, behind `CalendarProvider`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from meetbot.clock import utc_now
from meetbot.domain.event import Event, Provider
from meetbot.errors import ReconnectRequired, ResourceGone, RetryLater
from meetbot.providers.base import Listing, OAuthClient, RawEvent, TokenGrant
from meetbot.providers.google.calendars import (
    EVENT_FIELDS,
    PAGE_SIZE,
    calendar_list_query,
    event_list_query,
    own_calendars,
)
from meetbot.providers.google.errors import google_refusal
from meetbot.providers.google.events import normalise_google
from meetbot.providers.http import Answer, Deadline, bearer, error_object, identified_object, json_object, send
from meetbot.providers.id_token import Claims, read_id_token, read_refreshed_id_token
from meetbot.providers.listing import (
    LISTING_SECONDS,
    CalendarRef,
    Page,
    Source,
    item_list,
    malformed_list,
    next_cursor,
    read_calendar_list,
    read_calendars,
)
from meetbot.providers.oauth import TOKEN_SECONDS, TokenAnswer, post_form, request_token, token_refusal, url_with_query
from meetbot.providers.text import ID_LIMIT, address, exact
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


class _EventsPage(msgspec.Struct, rename={"access_role": "accessRole", "next": "nextPageToken"}):
    items: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    access_role: Any = None
    next: Any = None
    kind: Any = None


_PAGES = PageReader(_EventsPage, Head)


@dataclass(frozen=True, slots=True)
class GoogleAddresses:
    """Where Google is. Each replaces exactly one default of the settings."""

    authorize_url: str
    token_url: str
    revoke_url: str
    api_url: str


class GoogleCalendar:
    """One for the process; safe to use from many threads."""

    name = Provider.GOOGLE

    def __init__(self, addresses: GoogleAddresses, http: httpx.Client, now: Callable[[], datetime] = utc_now) -> None:
        self._addresses = addresses
        self._api = addresses.api_url.rstrip("/")
        self._http = http
        self._now = now

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
        """The consent page. ``prompt=consent`` because Google gives a refresh token only with a fresh consent."""
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(REQUESTED_SCOPES),
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        return url_with_query(self._addresses.authorize_url, query)

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant:
        """Trade the code for tokens. ``subject`` is the account's ``sub``, never its address, which can change."""
        now = self._now()
        answer = self._request_token(
            client,
            now,
            {
                "grant_type": "authorization_code",
                "code": code,
                "code_verifier": code_verifier,
                "redirect_uri": redirect_uri,
            },
        )
        claims = read_id_token(
            answer.id_token,
            provider=Provider.GOOGLE,
            client_id=client.client_id,
            nonce=nonce,
            now=now,
            issuer_is_right=self._issuer_is_right,
        )
        return _grant(answer, claims, asked=frozenset(REQUESTED_SCOPES))

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = TOKEN_SECONDS) -> TokenGrant:
        """A new access token. Empty ``scopes`` mean unchanged; ``refresh_token`` is None unless Google replaced it."""
        now = self._now()
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._request_token(client, now, form, timeout_seconds=timeout_seconds)
        claims = read_refreshed_id_token(
            answer.id_token,
            provider=Provider.GOOGLE,
            client_id=client.client_id,
            now=now,
            issuer_is_right=self._issuer_is_right,
        )
        return _grant(answer, claims, asked=frozenset())

    def revoke(self, client: OAuthClient, refresh_token: str) -> None:
        """End the account's whole grant to this client, other connections of the same account included."""
        answer = post_form(self._http, self._addresses.revoke_url, {"token": refresh_token}, provider=Provider.GOOGLE)
        if answer.ok or (answer.status == 400 and error_object(answer).get("error") == "invalid_token"):
            return
        raise token_refusal(answer, Provider.GOOGLE, self._now())

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        """What must still be granted; a person can untick any scope but ``openid``. Broader scopes count."""
        missing = set()
        if "openid" not in granted:
            missing.add("openid")
        if granted.isdisjoint(_READS_EVENTS):
            missing.add(EVENTS_SCOPE)
        return frozenset(missing)

    def list_events(
        self, access_token: str, *, window_start: datetime, window_end: datetime, granted: frozenset[str]
    ) -> Listing:
        """Occurrences of the person's own calendars (`own_calendars`), or of the primary one alone where the list of
        calendars may not be read. A calendar in neither set of the answer is none of theirs (any more)."""
        deadline = Deadline(LISTING_SECONDS)
        calendars = self._calendars(access_token, granted, deadline)

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
        return read_calendars(source, calendars, deadline)

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """The occurrence as it is now. A deleted one may also answer with ``status`` cancelled."""
        path = f"/calendars/{quote(calendar_id, safe='')}/events/{quote(provider_event_id, safe='')}"
        answer = self._get(access_token, path, [("fields", EVENT_FIELDS)], Deadline(timeout_seconds))
        return identified_object(answer, Provider.GOOGLE)

    def normalise(self, calendar_id: str, raw: RawEvent, *, owner_email: str) -> Event | None:
        return normalise_google(calendar_id, raw, owner_email=owner_email)

    def _calendars(self, access_token: str, granted: frozenset[str], deadline: Deadline) -> list[CalendarRef]:
        if granted.isdisjoint(_READS_CALENDAR_LIST):
            return own_calendars(())

        def fetch(cursor: str | None) -> tuple[list[object], str | None]:
            answer = self._get(access_token, "/users/me/calendarList", calendar_list_query(cursor), deadline)
            body = json_object(answer, Provider.GOOGLE)
            return _items(body), next_cursor(body.get("nextPageToken"), Provider.GOOGLE)

        try:
            return own_calendars(read_calendar_list(fetch, Provider.GOOGLE))
        except ReconnectRequired as refusal:
            if refusal.code != "scope_missing":
                raise
            # The permission is optional and can be taken back on its own; the primary calendar needs none.
            return own_calendars(())

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
        if not answer.ok:
            raise google_refusal(answer, self._now())
        return answer

    def _request_token(
        self, client: OAuthClient, now: datetime, form: dict[str, str], *, timeout_seconds: float = TOKEN_SECONDS
    ) -> TokenAnswer:
        credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
        return request_token(
            self._http,
            self._addresses.token_url,
            {**credentials, **form},
            provider=Provider.GOOGLE,
            now=now,
            timeout_seconds=timeout_seconds,
        )

    def _issuer_is_right(self, claims: Claims) -> bool:
        """Google's own name for itself; with another address configured, whatever that one calls itself."""
        if urlsplit(self._addresses.authorize_url).hostname == _LOGIN_HOST:
            return claims.get("iss") in _ISSUERS
        return bool(claims.get("iss"))


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
        intact=len(items) == len(bodies),
    )


def _items(body: dict[str, Any]) -> list[object]:
    """Google leaves ``items`` out of a page without any, but never all of the page's other fields."""
    if "items" not in body and not body.keys() & {"accessRole", "nextPageToken", "kind"}:
        raise RetryLater("malformed_answer", f"{Provider.GOOGLE}: a list answer without items")
    return item_list(body.get("items", []), Provider.GOOGLE)


def _grant(answer: TokenAnswer, claims: Claims, *, asked: frozenset[str]) -> TokenGrant:
    return TokenGrant(
        access_token=answer.access_token,
        expires_at=answer.expires_at,
        refresh_token=answer.refresh_token,
        scopes=answer.granted(asked),
        subject=exact(claims.get("sub"), ID_LIMIT),
        email=address(claims.get("email")),
    )
