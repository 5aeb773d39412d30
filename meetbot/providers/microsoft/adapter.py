"""Microsoft: OAuth with Entra ID and Microsoft Graph, behind `CalendarProvider`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from meetbot.clock import utc_now
from meetbot.domain.account_calendar import OWN_CALENDARS, CalendarChoice
from meetbot.domain.erasure import Revocation
from meetbot.domain.event import Event, Provider
from meetbot.errors import ResourceGone, RetryLater
from meetbot.providers.base import PRIMARY, CalendarRef, Listing, OAuthClient, RawEvent
from meetbot.providers.event_fields import mapping
from meetbot.providers.http import Answer, Call, Deadline, bearer, get_call, identified_object, json_object, send
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
from meetbot.providers.microsoft.calendars import (
    PAGE_SIZE,
    PREFER,
    calendar_list_query,
    event_query,
    is_under,
    listed_calendars,
    view_query,
)
from meetbot.providers.microsoft.directories import (
    ANY_ORGANISATION,
    admin_consent_address,
    domain_of,
    look_up_directory,
)
from meetbot.providers.microsoft.errors import microsoft_error
from meetbot.providers.microsoft.events import normalise_microsoft
from meetbot.providers.microsoft.series_kinds import EventHead, SeriesKinds
from meetbot.providers.oauth import Account, OAuthEndpoint, OAuthProvider
from meetbot.providers.storable_text import ID_LIMIT, address, exact, same_address
from meetbot.providers.token_endpoint import TOKEN_SECONDS
from meetbot.providers.wire_json import PageReader

CALENDARS_SCOPE = "Calendars.Read"
REQUESTED_SCOPES = ("openid", "profile", "email", "offline_access", CALENDARS_SCOPE)

_READS_EVENTS = frozenset({"calendars.read", "calendars.readwrite"})
# An invitation may name either: the mailbox's address, or the name that its owner signs in with.
_ADDRESS_CLAIMS = ("email", "preferred_username", "upn")
_LOGIN_HOSTS = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")


class _EventsPage(msgspec.Struct, rename={"items": "value", "next": "@odata.nextLink"}):
    items: list[msgspec.Raw]
    next: Any = None


_PAGES = PageReader(_EventsPage, EventHead)


@dataclass(frozen=True, slots=True)
class MicrosoftAddresses:
    """The addresses of Microsoft's endpoints.

    ``directory`` is ``common``, ``organizations``, ``consumers`` or the id of one directory.
    """

    login_url: str
    directory: str
    graph_url: str


class MicrosoftCalendar(OAuthProvider):
    """`CalendarProvider` for Microsoft. One for the process; safe to use from many threads.

    A refresh also returns a new refresh token. The old one stays valid, so two refreshes at once both succeed.
    """

    name = Provider.MICROSOFT

    def __init__(
        self, addresses: MicrosoftAddresses, http: httpx.Client, now: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(_endpoint(addresses), http, now)
        self._addresses = addresses
        self._graph = addresses.graph_url.rstrip("/")
        self._series_kinds = SeriesKinds()

    def revoke(self, client: OAuthClient, refresh_token: str, *, timeout_seconds: float = TOKEN_SECONDS) -> Revocation:
        """Do nothing and say so, since Microsoft cannot revoke the token of one application."""
        return Revocation.UNSUPPORTED

    def admin_consent_url(
        self, client: OAuthClient, *, directory: str | None, redirect_uri: str, state: str
    ) -> str | None:
        """Return the address of the admin consent page. See `CalendarProvider.admin_consent_url`."""
        return admin_consent_address(
            self._addresses.login_url,
            directory or client.directory or ANY_ORGANISATION,
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            state=state,
            scopes=REQUESTED_SCOPES,
        )

    def directory_of(self, address: str | None, *, timeout_seconds: float) -> str | None:
        """Return the id of the directory that has the address's domain. Raises `RetryLater`."""
        domain = domain_of(address)
        if domain is None:
            return None
        return look_up_directory(self._http, self._addresses.login_url, domain, timeout_seconds=timeout_seconds)

    def _endpoint_for(self, client: OAuthClient) -> OAuthEndpoint:
        """The endpoint of the client's own directory, if it is known in one alone."""
        if client.directory is None:
            return self._endpoint
        return _endpoint(replace(self._addresses, directory=client.directory))

    def missing_scopes(self, granted: frozenset[str]) -> frozenset[str]:
        """Return the scopes that must still be granted.

        Graph's scopes are compared without letter case and without the address of the resource before them.
        """
        names = {scope.rsplit("/", 1)[-1].lower() for scope in granted}
        return frozenset({CALENDARS_SCOPE}) if names.isdisjoint(_READS_EVENTS) else frozenset()

    def list_events(
        self,
        access_token: str,
        *,
        window_start: datetime,
        window_end: datetime,
        granted: frozenset[str],
        choice: CalendarChoice = OWN_CALENDARS,
    ) -> Listing:
        """List the occurrences of the chosen calendars."""
        deadline = Deadline(LISTING_SECONDS)
        listed = self._calendars(access_token, deadline)
        to_read = calendars_to_read(listed, choice, own_path="")
        shared = frozenset(one.calendar.id for one in listed if not one.calendar.owned)

        def fetch(calendar: CalendarRef, link: str | None, page_size: int) -> Page:
            if link is None:
                query = view_query(window_start, window_end, page_size)
                answer = self._get(access_token, _view_path(calendar), query, deadline)
            else:
                answer = self._follow(access_token, link, deadline)
            page = _page(answer)
            if calendar.id in shared and _is_withheld(page):
                return replace(page, readable=False)
            return replace(
                page,
                items=self._series_kinds.note_on_page(
                    page.items, lambda series: self._master(access_token, calendar.id, series, deadline)
                ),
            )

        def is_gone(calendar: CalendarRef) -> bool:
            return self._is_gone(access_token, calendar, deadline)

        source = Source(Provider.MICROSOFT, fetch, is_gone, PAGE_SIZE)
        return read_calendars(source, to_read, deadline)

    def check_access(self, access_token: str, *, timeout_seconds: float) -> None:
        """Ask for the id of one calendar."""
        query = [("$select", "id"), ("$top", "1")]
        self._get(access_token, "/me/calendars", query, Deadline(timeout_seconds))

    def get_event(
        self, access_token: str, *, calendar_id: str, provider_event_id: str, timeout_seconds: float
    ) -> RawEvent:
        """Return the occurrence as it is now.

        An event of another person's calendar is found only through that calendar
        (learn.microsoft.com/graph/outlook-get-shared-events-calendars).
        """
        deadline = Deadline(timeout_seconds)
        answer = self._get(access_token, _event_path(calendar_id, provider_event_id), event_query(), deadline)
        raw = identified_object(answer, Provider.MICROSOFT)
        if calendar_id != PRIMARY and _is_bare(raw):
            # The calendar's owner shows no details any more. What becomes of the meeting is for the next listing to say.
            raise RetryLater(FREE_BUSY_ONLY, f"{Provider.MICROSOFT}: an event without its details")
        return self._series_kinds.note(raw, lambda series: self._master(access_token, calendar_id, series, deadline))

    @property
    def api_url(self) -> str:
        """Return the address of Graph."""
        return self._graph

    def event_call(self, access_token: str, *, calendar_id: str, provider_event_id: str) -> Call:
        """Return the request that `get_event` makes."""
        url = self._graph + _event_path(calendar_id, provider_event_id)
        return get_call(url, tuple(event_query()), bearer(access_token) | PREFER)

    def event_in(self, answer: Answer) -> RawEvent:
        """Return the occurrence in an answer, as `get_event` does if its series' kind is known."""
        return self._series_kinds.note(identified_object(self._accepted(answer), Provider.MICROSOFT), None)

    def _master(self, access_token: str, calendar_id: str, series: str, deadline: Deadline) -> RawEvent:
        query = [("$select", "id,isAllDay")]
        answer = self._get(access_token, _event_path(calendar_id, series), query, deadline)
        return identified_object(answer, Provider.MICROSOFT)

    def normalise(
        self, calendar_id: str, raw: RawEvent, *, owner_email: str, owner_aliases: Collection[str] = ()
    ) -> Event | None:
        """Return the event of Graph's JSON. See `normalise_microsoft`."""
        return normalise_microsoft(calendar_id, raw, owner_email=owner_email, owner_aliases=owner_aliases)

    def _calendars(self, access_token: str, deadline: Deadline) -> list[ListedCalendar]:
        def fetch(link: str | None) -> tuple[list[object], str | None]:
            if link is None:
                return _items(self._get(access_token, "/me/calendars", calendar_list_query(), deadline))
            return _items(self._follow(access_token, link, deadline))

        return listed_calendars(read_calendar_list(fetch, Provider.MICROSOFT))

    def _is_gone(self, access_token: str, calendar: CalendarRef, deadline: Deadline) -> bool:
        path = f"/me/calendars/{quote(calendar.path_id, safe='')}"
        try:
            self._get(access_token, path, [("$select", "id")], deadline)
        except ResourceGone:
            return True
        return False

    def _follow(self, access_token: str, link: str, deadline: Deadline) -> Answer:
        """Read the page at ``@odata.nextLink``, unless another server would get the token."""
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
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Answer:
        if not answer.ok:
            raise microsoft_error(answer, self._now())
        return answer


def _view_path(calendar: CalendarRef) -> str:
    if not calendar.path_id:
        return "/me/calendarView"
    return f"/me/calendars/{quote(calendar.path_id, safe='')}/calendarView"


def _event_path(calendar_id: str, event_id: str) -> str:
    of_calendar = "" if calendar_id == PRIMARY else f"/calendars/{quote(calendar_id, safe='')}"
    return f"/me{of_calendar}/events/{quote(event_id, safe='')}"


def _is_bare(raw: RawEvent) -> bool:
    """Return whether nothing but its time is shown of an event that is not cancelled."""
    shown = raw.get("organizer") or raw.get("attendees") or mapping(raw.get("body")).get("content")
    return not shown and raw.get("isCancelled") is not True


def _is_withheld(page: Page) -> bool:
    """Return whether nothing but free and busy is shown: every meeting has an organiser."""
    heads = [item.head for item in page.items]
    return bool(heads) and all(isinstance(head, EventHead) and bytes(head.organizer) == b"null" for head in heads)


def _page(answer: Answer) -> Page:
    page = _PAGES.page(answer.body)
    if page is None:
        raise malformed_list(answer, Provider.MICROSOFT)
    items = _PAGES.items(page.items)
    following = next_cursor(page.next, Provider.MICROSOFT)
    return Page(items, following, len(answer.body), skipped=len(page.items) - len(items))


def _items(answer: Answer) -> tuple[list[object], str | None]:
    body = json_object(answer, Provider.MICROSOFT)
    items = item_list(body.get("value"), Provider.MICROSOFT)
    return items, next_cursor(body.get("@odata.nextLink"), Provider.MICROSOFT)


def _endpoint(addresses: MicrosoftAddresses) -> OAuthEndpoint:
    oauth = f"{addresses.login_url.rstrip('/')}/{quote(addresses.directory, safe='')}/oauth2/v2.0"
    host = urlsplit(addresses.login_url).hostname

    def is_issuer(claims: Claims) -> bool:
        """Return whether Entra issued the token for its own directory.

        If another address is configured, any issuer is accepted.
        """
        if host in _LOGIN_HOSTS:
            return bool(claims.get("iss") == f"https://{host}/{claims.get('tid')}/v2.0")
        return bool(claims.get("iss"))

    return OAuthEndpoint(
        provider=Provider.MICROSOFT,
        authorize_url=f"{oauth}/authorize",
        token_url=f"{oauth}/token",
        scopes=REQUESTED_SCOPES,
        is_issuer=is_issuer,
        account=_account,
        # The user chooses the account, so that nobody connects the one they happen to be signed in to.
        consent_parameters={"response_mode": "query", "prompt": "select_account"},
        token_parameters={"scope": " ".join(REQUESTED_SCOPES)},
    )


def _account(claims: Claims) -> Account:
    directory_id = exact(claims.get("tid"), ID_LIMIT)
    object_id = exact(claims.get("oid"), ID_LIMIT)
    addresses = [found for name in _ADDRESS_CLAIMS if (found := address(claims.get(name))) and "@" in found]
    email = addresses[0] if addresses else address(claims.get("preferred_username"))
    return Account(
        subject=f"{directory_id}:{object_id}" if directory_id and object_id else exact(claims.get("sub"), ID_LIMIT),
        email=email,
        directory_id=directory_id,
        aliases=tuple(dict.fromkeys(alias for alias in addresses if not same_address(alias, email))),
    )
