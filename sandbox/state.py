"""Everything the sandbox remembers, as one tree that can be written to a file and read back.

A meeting exists once, with its series rule, deviations and guests. Each calendar it stands on holds a copy, which
is little more than an id: so an edit by the organiser is seen on every calendar, across providers, under one UID.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from sandbox.backend.records import Delivery, Job, JobPace
from sandbox.calendar.records import Account, CalendarCopy, Meeting
from sandbox.clock import ClockState
from sandbox.login.records import AccessToken, AuthorizationCode, ConsentSettings, Grant, RefreshToken


class GraphUid(StrEnum):
    """What Graph's iCalUId of an occurrence is. Evidence contradicts itself, so all three can be had."""

    PER_OCCURRENCE = "per_occurrence"
    PER_SERIES = "per_series"
    NULL = "null"


class ProviderBehaviour(BaseModel, extra="forbid"):
    """``attendee_notice``: a meeting cancelled by its organiser stays on an Outlook guest's calendar, marked."""

    graph_ical_uid: GraphUid = GraphUid.PER_OCCURRENCE
    graph_scope_urls: bool = False
    attendee_notice: bool = True


class State(BaseModel, extra="forbid"):
    version: int = 1
    change: int = 0
    clock: ClockState = ClockState()
    consent: ConsentSettings = ConsentSettings()
    behaviour: ProviderBehaviour = ProviderBehaviour()
    pace: JobPace = JobPace()
    accounts: dict[str, Account] = {}
    meetings: dict[str, Meeting] = {}
    copies: dict[str, CalendarCopy] = {}
    grants: dict[str, Grant] = {}
    codes: dict[str, AuthorizationCode] = {}
    access_tokens: dict[str, AccessToken] = {}
    refresh_tokens: dict[str, RefreshToken] = {}
    jobs: dict[str, Job] = {}
    deliveries: list[Delivery] = []
