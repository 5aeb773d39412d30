"""Microsoft: OAuth with Entra ID and the calendar of Microsoft Graph, behind `CalendarProvider`."""

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
from meetbot.errors import ResourceGone, RetryLater
from meetbot.providers.base import Listing, OAuthClient, RawEvent, TokenGrant
from meetbot.providers.http import Answer, Deadline, bearer, identified_object, json_object, send
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
from meetbot.providers.microsoft.calendars import (
    PAGE_SIZE,
    PREFER,
    calendar_list_query,
    event_query,
    is_under,
    own_calendars,
    view_query,
)
from meetbot.providers.microsoft.errors import microsoft_refusal
from meetbot.providers.microsoft.events import normalise_microsoft
from meetbot.providers.oauth import TOKEN_SECONDS, TokenAnswer, request_token, url_with_query
from meetbot.providers.text import ID_LIMIT, address, exact
from meetbot.providers.wire_json import Head, PageReader

CALENDARS_SCOPE = "Calendars.Read"
REQUESTED_SCOPES = ("openid", "profile", "email", "offline_access", CALENDARS_SCOPE)

_READS_EVENTS = frozenset({"calendars.read", "calendars.readwrite"})
_LOGIN_HOSTS = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")


class _EventsPage(msgspec.Struct, rename={"items": "value", "next": "@odata.nextLink"}):
    items: list[msgspec.Raw]
    next: Any = None


class _EventHead(Head):
    updated: Any = msgspec.field(default=None, name="lastModifiedDateTime")


_PAGES = PageReader(_EventsPage, _EventHead)


@dataclass(frozen=True, slots=True)
class MicrosoftAddresses:
    """Where Microsoft is. ``directory`` is ``common``, ``organizations``, ``consumers`` or one directory's id."""

    login_url: str
    directory: str
    graph_url: str


class MicrosoftCalendar:
    """One for the process; safe to use from many threads."""

    name = Provider.MICROSOFT

    def __init__(
        self, addresses: MicrosoftAddresses, http: httpx.Client, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._oauth = f"{addresses.login_url.rstrip('/')}/{quote(addresses.directory, safe='')}/oauth2/v2.0"
        self._login_host = urlsplit(addresses.login_url).hostname
        self._graph = addresses.graph_url.rstrip("/")
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
        """The sign-in page. ``prompt=select_account`` so that nobody connects the account they happen to be in."""
        query = {
            "response_type": "code",
            "response_mode": "query",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(REQUESTED_SCOPES),
            "prompt": "select_account",
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        return url_with_query(f"{self._oauth}/authorize", query)

    def exchange_code(
        self, client: OAuthClient, *, code: str, code_verifier: str, redirect_uri: str, nonce: str
    ) -> TokenGrant:
        """Trade the code for tokens. ``subject`` is directory and object id, never an address, which can change."""
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
            provider=Provider.MICROSOFT,
            client_id=client.client_id,
            nonce=nonce,
            now=now,
            issuer_is_right=self._issuer_is_right,
        )
        return _grant(answer, claims, asked=frozenset(REQUESTED_SCOPES))

    def refresh(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = TOKEN_SECONDS) -> TokenGrant:
        """A new access token, and a new refresh token to store before the access token is used.

        Empty ``scopes`` mean unchanged. The old refresh token stays valid, so two refreshes at once both succeed.
        """
        now = self._now()
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._request_token(client, now, form, timeout_seconds=timeout_seconds)
        claims = read_refreshed_id_token(
            answer.id_token,
            provider=Provider.MICROSOFT,
            client_id=client.client_id,
            now=now,
            issuer_is_right=self._issuer_is_right,
        )
        return _grant(answer, claims, asked=frozenset())

    def revoke(self, client: OAuthClient, refresh_token: str) -> None:
        """Nothing: Microsoft has no revocation of one application's token. Forgetting the token is what remains."""

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        """What must still be granted. Graph's scopes are compared without case and without their resource prefix."""
        names = {scope.rsplit("/", 1)[-1].lower() for scope in granted}
        return frozenset({CALENDARS_SCOPE}) if names.isdisjoint(_READS_EVENTS) else frozenset()

    def list_events(
        self, access_token: str, *, window_start: datetime, window_end: datetime, granted: frozenset[str]
    ) -> Listing:
        """Occurrences of the person's own calendars (`own_calendars`). A calendar in neither set of the answer is none
        of theirs (any more)."""
        deadline = Deadline(LISTING_SECONDS)
        calendars = self._calendars(access_token, deadline)

        def fetch(calendar: CalendarRef, link: str | None, page_size: int) -> Page:
            if link is None:
                query = view_query(window_start, window_end, page_size)
                answer = self._get(access_token, _view_path(calendar), query, deadline)
            else:
                answer = self._follow(access_token, link, deadline)
            return _page(answer)

        def is_gone(calendar: CalendarRef) -> bool:
            return self._is_gone(access_token, calendar, deadline)

        source = Source(Provider.MICROSOFT, fetch, is_gone, PAGE_SIZE)
        return read_calendars(source, calendars, deadline)

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """The occurrence as it is now; its id finds it in whichever calendar it lies."""
        path = f"/me/events/{quote(provider_event_id, safe='')}"
        answer = self._get(access_token, path, event_query(), Deadline(timeout_seconds))
        return identified_object(answer, Provider.MICROSOFT)

    def normalise(self, calendar_id: str, raw: RawEvent, *, owner_email: str) -> Event | None:
        return normalise_microsoft(calendar_id, raw, owner_email=owner_email)

    def _calendars(self, access_token: str, deadline: Deadline) -> list[CalendarRef]:
        def fetch(link: str | None) -> tuple[list[object], str | None]:
            if link is None:
                return _items(self._get(access_token, "/me/calendars", calendar_list_query(), deadline))
            return _items(self._follow(access_token, link, deadline))

        return own_calendars(read_calendar_list(fetch, Provider.MICROSOFT))

    def _is_gone(self, access_token: str, calendar: CalendarRef, deadline: Deadline) -> bool:
        path = f"/me/calendars/{quote(calendar.path_id, safe='')}"
        try:
            self._get(access_token, path, [("$select", "id")], deadline)
        except ResourceGone:
            return True
        return False

    def _follow(self, access_token: str, link: str, deadline: Deadline) -> Answer:
        """Read what ``@odata.nextLink`` points to, unless that would hand the token to somebody else."""
        if not is_under(self._graph, link):
            raise RetryLater("foreign_link", f"{Provider.MICROSOFT}: a next page outside of Graph")
        return self._fetch(access_token, link, None, deadline)

    def _get(self, access_token: str, path: str, query: list[tuple[str, str]], deadline: Deadline) -> Answer:
        return self._fetch(access_token, self._graph + path, query, deadline)

    def _fetch(self, access_token: str, url: str, query: list[tuple[str, str]] | None, deadline: Deadline) -> Answer:
        answer = send(
            self._http,
            "GET",
            url,
            provider=Provider.MICROSOFT,
            deadline=deadline,
            headers=bearer(access_token) | PREFER,
            params=query,
        )
        if not answer.ok:
            raise microsoft_refusal(answer, self._now())
        return answer

    def _request_token(
        self, client: OAuthClient, now: datetime, form: dict[str, str], *, timeout_seconds: float = TOKEN_SECONDS
    ) -> TokenAnswer:
        common = {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scope": " ".join(REQUESTED_SCOPES),
        }
        return request_token(
            self._http,
            f"{self._oauth}/token",
            {**common, **form},
            provider=Provider.MICROSOFT,
            now=now,
            timeout_seconds=timeout_seconds,
        )

    def _issuer_is_right(self, claims: Claims) -> bool:
        """Entra's name for itself holds the directory; with another address configured, whatever that one says."""
        if self._login_host in _LOGIN_HOSTS:
            return bool(claims.get("iss") == f"https://{self._login_host}/{claims.get('tid')}/v2.0")
        return bool(claims.get("iss"))


def _view_path(calendar: CalendarRef) -> str:
    if not calendar.path_id:
        return "/me/calendarView"
    return f"/me/calendars/{quote(calendar.path_id, safe='')}/calendarView"


def _page(answer: Answer) -> Page:
    page = _PAGES.page(answer.body)
    if page is None:
        raise malformed_list(answer, Provider.MICROSOFT)
    items = _PAGES.items(page.items)
    following = next_cursor(page.next, Provider.MICROSOFT)
    return Page(items, following, len(answer.body), intact=len(items) == len(page.items))


def _items(answer: Answer) -> tuple[list[object], str | None]:
    body = json_object(answer, Provider.MICROSOFT)
    items = item_list(body.get("value"), Provider.MICROSOFT)
    return items, next_cursor(body.get("@odata.nextLink"), Provider.MICROSOFT)


def _grant(answer: TokenAnswer, claims: Claims, *, asked: frozenset[str]) -> TokenGrant:
    directory_id = exact(claims.get("tid"), ID_LIMIT)
    object_id = exact(claims.get("oid"), ID_LIMIT)
    return TokenGrant(
        access_token=answer.access_token,
        expires_at=answer.expires_at,
        refresh_token=answer.refresh_token,
        scopes=answer.granted(asked),
        subject=f"{directory_id}:{object_id}" if directory_id and object_id else exact(claims.get("sub"), ID_LIMIT),
        email=address(claims.get("email")) or address(claims.get("preferred_username")),
        directory_id=directory_id,
    )
