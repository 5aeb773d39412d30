"""Everything the sandbox remembers, as one tree that can be written to a file and read back.

A meeting exists once, with its series rule, changed occurrences and guests. Each calendar that shows it has a copy, which
is little more than an id. So an edit by the organiser is seen on every calendar, at both providers, under one UID.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from sandbox.backend.records import Delivery, Job, JobPace
from sandbox.calendar.records import Account, CalendarCopy, CalendarShare, Meeting
from sandbox.clock import ClockState
from sandbox.login.records import (
    AccessToken,
    AuthorizationCode,
    ConsentSettings,
    Directory,
    Grant,
    RefreshToken,
    RegisteredClient,
)
from sandbox.push.records import GoogleChannel, PushSettings, Subscription


class GraphUid(StrEnum):
    """What Graph gives as iCalUId of an occurrence; reports contradict each other, so choose."""

    PER_OCCURRENCE = "per_occurrence"
    PER_SERIES = "per_series"
    NULL = "null"


class RefreshRotation(StrEnum):
    """What a refresh does to the refresh token.

    `USUAL`: Google keeps it, Microsoft gives another and the old one lives on. `REPLACE`: another one comes, and the old one is
    dead at once, as OAuth 2.1 wants it of public clients; neither provider does so today.
    """

    USUAL = "usual"
    REPLACE = "replace"


class ProviderBehaviour(BaseModel, extra="forbid"):
    """Choices where real providers have been seen to behave in different ways.

    ``graph_scope_urls``: token answers give scopes as full addresses. ``attendee_notice``: a meeting cancelled by its
    organiser stays on an Outlook guest's calendar, marked as cancelled. ``google_client_in_testing``: the sandbox's own client
    is registered at Google as one in testing.
    """

    graph_ical_uid: GraphUid = GraphUid.PER_OCCURRENCE
    graph_scope_urls: bool = False
    attendee_notice: bool = True
    refresh_rotation: RefreshRotation = RefreshRotation.USUAL
    google_client_in_testing: bool = False


class State(BaseModel, extra="forbid"):
    """All records by key. ``change`` counts edits; the fields are the format of the state file."""

    version: int = 1
    change: int = 0
    clock: ClockState = ClockState()
    consent: ConsentSettings = ConsentSettings()
    behaviour: ProviderBehaviour = ProviderBehaviour()
    pace: JobPace = JobPace()
    accounts: dict[str, Account] = {}
    meetings: dict[str, Meeting] = {}
    copies: dict[str, CalendarCopy] = {}
    shares: dict[str, CalendarShare] = {}
    oauth_clients: dict[str, RegisteredClient] = {}
    directories: dict[str, Directory] = {}
    grants: dict[str, Grant] = {}
    codes: dict[str, AuthorizationCode] = {}
    access_tokens: dict[str, AccessToken] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    push: PushSettings = PushSettings()
    google_channels: dict[str, GoogleChannel] = {}
    subscriptions: dict[str, Subscription] = {}
    jobs: dict[str, Job] = {}
    deliveries: list[Delivery] = []
