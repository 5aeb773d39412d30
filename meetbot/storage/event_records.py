"""The mapping of calendar events to and from rows.

`meetbot.domain.event.Event` is on one side, columns and JSON on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from meetbot.domain.event import Attendee, Event, EventStatus, MeetingLink, Platform, Provider, Response, Visibility
from meetbot.domain.identity import Identity
from meetbot.rules import Decision
from meetbot.storage.tables import CalendarEvent


def event_record(
    event: Event, identity: Identity, *, fingerprint: bytes, decision: Decision, override: str | None, now: datetime
) -> dict[str, Any]:
    """Return an event's row, as the object that `meetbot.storage.events.write_events` takes."""
    link = event.link
    return {
        "tenant_id": identity.tenant_id,
        "id": identity.event_id,
        "calendar_user_id": identity.calendar_user_id,
        "calendar_id": event.calendar_id,
        "provider_event_id": event.provider_event_id,
        "ical_uid": event.ical_uid,
        "original_start": event.original_start,
        "meeting_key": identity.meeting_key,
        "series_key": identity.series_key,
        "title": event.title,
        "start_at": event.start,
        "end_at": event.end,
        "all_day": event.all_day,
        "status": event.status,
        "organizer": _person(event.organizer) if event.organizer else None,
        "attendees": [_person(attendee) for attendee in event.attendees],
        "attendees_complete": event.attendees_complete,
        "is_organizer": event.is_organizer,
        "is_meeting": event.is_meeting,
        "owner_response": event.owner_response,
        "recurring": event.recurring,
        "visibility": event.visibility,
        "meeting_url": link.url if link else None,
        "meeting_platform": link.platform if link else Platform.NONE,
        "meeting_id": link.meeting_id if link else None,
        "passcode": link.passcode if link else None,
        "meeting_url_source": link.source if link else None,
        "provider_updated": event.updated,
        "fingerprint": "\\x" + fingerprint.hex(),
        "deleted": event.status is EventStatus.CANCELLED,
        **decision_columns(decision, override=override, now=now),
    }


def decision_columns(decision: Decision, *, override: str | None, now: datetime) -> dict[str, Any]:
    """Return the columns that hold a decision, made at ``now``."""
    return {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "rule": decision.rule,
        "rule_set_version": decision.rule_set_version,
        "rule_layer": decision.layer,
        "facts": dict(decision.facts),
        "decided_at": now,
        "override": override,
    }


def event_from_row(row: CalendarEvent | Row[Any], provider: Provider) -> Event:
    """Return the event that a row of `calendar_event` holds."""
    link = None
    if row.meeting_url is not None:
        link = MeetingLink(
            platform=Platform(row.meeting_platform),
            url=row.meeting_url,
            meeting_id=row.meeting_id,
            passcode=row.passcode,
            source=row.meeting_url_source or "",
        )
    return Event(
        provider=provider,
        calendar_id=row.calendar_id,
        provider_event_id=row.provider_event_id,
        ical_uid=row.ical_uid,
        original_start=row.original_start,
        title=row.title,
        start=row.start_at,
        end=row.end_at,
        all_day=row.all_day,
        status=EventStatus(row.status),
        organizer=_attendee(row.organizer) if row.organizer else None,
        attendees=tuple(_attendee(person) for person in row.attendees),
        is_organizer=row.is_organizer,
        owner_response=Response(row.owner_response) if row.owner_response else None,
        recurring=row.recurring,
        visibility=Visibility(row.visibility),
        link=link,
        is_meeting=row.is_meeting,
        attendees_complete=row.attendees_complete,
        updated=row.provider_updated,
    )


def _person(attendee: Attendee) -> dict[str, Any]:
    return {
        "email": attendee.email,
        "name": attendee.name,
        "response": attendee.response,
        "resource": attendee.resource,
        "organizer": attendee.organizer,
        "self": attendee.is_self,
    }


def _attendee(person: Mapping[str, Any]) -> Attendee:
    return Attendee(
        email=person.get("email"),
        name=person.get("name"),
        response=Response(person.get("response") or Response.NEEDS_ACTION),
        resource=bool(person.get("resource")),
        organizer=bool(person.get("organizer")),
        is_self=bool(person.get("self")),
    )
