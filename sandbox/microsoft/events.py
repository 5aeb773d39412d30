"""One event in the shape of Microsoft Graph v1.0.

Source: learn.microsoft.com/graph/api/resources/event.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.calendar import provider_ids
from sandbox.calendar.instances import Instance, to_local
from sandbox.calendar.join_links import link_placement, to_html, with_link_text
from sandbox.calendar.records import Calendar, Guest, Provider, ResponseStatus
from sandbox.state import GraphUid, ProviderBehaviour

Json = dict[str, Any]

_ANSWERS = {
    ResponseStatus.NEEDS_ACTION: "notResponded",
    ResponseStatus.ACCEPTED: "accepted",
    ResponseStatus.TENTATIVE: "tentativelyAccepted",
    ResponseStatus.DECLINED: "declined",
}
_SENSITIVITIES = {"private": "private", "confidential": "confidential"}
_NO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the Prefer header asks for.

    ``zone_name`` is repeated in the answer as it was given: a Windows or an IANA name.
    """

    zone: ZoneInfo
    zone_name: str
    immutable_ids: bool
    text_body: bool


def graph_event(instance: Instance, calendar: Calendar, preferences: Preferences, behaviour: ProviderBehaviour) -> Json:
    """Return an event as Graph shows it."""
    change_key = base64.b64encode(instance.change.to_bytes(12, "big")).decode()
    if calendar.access_role == "freeBusyReader":
        return _busy(instance, preferences) | {"@odata.etag": f'W/"{change_key}"'}
    return (
        {
            "@odata.etag": f'W/"{change_key}"',
            "id": graph_id(instance, preferences),
            "createdDateTime": _graph_timestamp(instance.meeting.created),
            "lastModifiedDateTime": _graph_timestamp(instance.updated),
            "changeKey": change_key,
            "categories": [],
            "transactionId": None,
        }
        | _times(instance, preferences)
        | _identity(instance, preferences, behaviour)
        | _about(instance)
        | _content(instance, preferences)
        | _people(instance, calendar)
    )


def _busy(instance: Instance, preferences: Preferences) -> Json:
    """What is left for whoever may see only free and busy.

    No page of Microsoft's shows it: that nothing but times and a word is left is what Outlook shows.
    """
    about = _about(instance)
    shown = {name: about[name] for name in ("showAs", "isCancelled", "isOrganizer", "isDraft")}
    return {
        **_times(instance, preferences),
        **shown,
        "id": graph_id(instance, preferences),
        "type": _event_type(instance),
        "seriesMasterId": None,
        "iCalUId": None,
        "subject": "Busy",
        "sensitivity": "normal",
        "isOrganizer": False,
        "body": {"contentType": "html", "content": ""},
        "bodyPreview": "",
        "location": {"displayName": ""},
        "locations": [],
        "organizer": None,
        "attendees": [],
        "onlineMeeting": None,
        "onlineMeetingUrl": None,
    }


def graph_id(instance: Instance, preferences: Preferences) -> str:
    """Return Graph's id of a meeting, series or occurrence."""
    return provider_ids.graph_event_id(
        instance.copy.graph_key, instance.copy.calendar, instance.original_start, preferences.immutable_ids
    )


def graph_ical_uid(instance: Instance, behaviour: ProviderBehaviour) -> str | None:
    """Return Graph's iCalUId: a GOID, or None.

    For an occurrence it has the date inside or is that of the series: see `GraphUid`.
    """
    if behaviour.graph_ical_uid is GraphUid.NULL:
        return None
    day: date | None = None
    if instance.original_start is not None and behaviour.graph_ical_uid is GraphUid.PER_OCCURRENCE:
        day = to_local(instance.meeting, instance.original_start).date()
    uid = instance.meeting.uid
    return (
        provider_ids.goid_with_instance(uid, day)
        if provider_ids.is_goid(uid)
        else provider_ids.goid_for_foreign(uid, day)
    )


def _graph_timestamp(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def _times(instance: Instance, preferences: Preferences) -> Json:
    # The real Graph names the zone that was asked for as an all-day event's own, and its local midnight in UTC beside it
    # (github.com/microsoftgraph/microsoft-graph-docs/issues/2804 and 7163).
    zone_name = preferences.zone_name if instance.meeting.all_day else instance.meeting.time_zone
    times: Json = {
        "originalStartTimeZone": zone_name,
        "originalEndTimeZone": zone_name,
        "start": _moment(instance, instance.start, preferences),
        "end": _moment(instance, instance.end, preferences),
        "isAllDay": instance.all_day,
        "recurrence": None,
    }
    if instance.original_start is not None and instance.copy.occurrences is None:
        times["originalStart"] = instance.original_start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if instance.is_master:
        times["recurrence"] = _recurrence(instance)
    return times


def _moment(instance: Instance, instant: datetime, preferences: Preferences) -> Json:
    """A local time without an offset, with seven digits of a second.

    The midnights of an all-day event are the same in every zone.
    """
    local = to_local(instance.meeting, instant) if instance.all_day else instant.astimezone(preferences.zone)
    return {"dateTime": local.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0", "timeZone": preferences.zone_name}


def _identity(instance: Instance, preferences: Preferences, behaviour: ProviderBehaviour) -> Json:
    master = Instance(instance.meeting, instance.copy, instance.meeting.start, instance.meeting.end)
    of_series = instance.original_start is not None and instance.copy.occurrences is None
    return {
        "iCalUId": graph_ical_uid(instance, behaviour),
        "uid": graph_ical_uid(master, behaviour),
        "type": _event_type(instance),
        "seriesMasterId": graph_id(master, preferences) if of_series else None,
    }


def _event_type(instance: Instance) -> str:
    """A guest of a single occurrence has it as a single meeting."""
    if instance.is_master:
        return "seriesMaster"
    if instance.original_start is None or instance.copy.occurrences is not None:
        return "singleInstance"
    return "occurrence" if instance.deviation is None else "exception"


def _about(instance: Instance) -> Json:
    meeting = instance.meeting
    busy = "tentative" if meeting.tentative else "busy"
    return {
        "subject": f"Canceled: {instance.title}" if instance.cancelled else instance.title,
        "importance": "normal",
        "sensitivity": _SENSITIVITIES.get(meeting.visibility, "normal"),
        "showAs": "free" if meeting.free or instance.cancelled else busy,
        "isCancelled": instance.cancelled,
        "isOrganizer": instance.is_organizer,
        "isDraft": meeting.draft,
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 15,
        "hasAttachments": False,
        "responseRequested": True,
        "allowNewTimeProposals": True,
        "hideAttendees": meeting.guests_hidden,
        "webLink": f"https://outlook.office365.com/owa/?itemid={instance.copy.graph_key}&exvsurl=1",
    }


def _content(instance: Instance, preferences: Preferences) -> Json:
    meeting = instance.meeting
    link = link_placement(instance.meeting_url, meeting.link_place, meeting.origin, Provider.MICROSOFT)
    # The invitation's text names the link from when there is one.
    ready = link.conference if not meeting.link_pending else None
    text = with_link_text(instance.description, link.body or (ready and f"Join: {ready}"))
    place = instance.location or link.location or ""
    online = link.conference is not None
    location = {"displayName": place, "locationType": "default"} if place else {"displayName": ""}
    body = {"contentType": "text", "content": text}
    if not preferences.text_body:
        body = {"contentType": "html", "content": f"<html><head></head><body>{to_html(text)}</body></html>"}
    return {
        "bodyPreview": re.sub(r"\s+", " ", text)[:255],
        "body": body,
        "location": location | ({"uniqueId": place, "uniqueIdType": "private"} if place else {}),
        "locations": [location | {"uniqueId": place, "uniqueIdType": "private"}] if place else [],
        "isOnlineMeeting": online,
        "onlineMeetingProvider": "teamsForBusiness" if online else "unknown",
        "onlineMeetingUrl": None,
        "onlineMeeting": {"joinUrl": link.conference} if online and not meeting.link_pending else None,
    }


def _people(instance: Instance, calendar: Calendar) -> Json:
    meeting = instance.meeting
    own = next((guest for guest in instance.guests if guest.email == instance.copy.account), None)
    guests = [guest for guest in instance.guests if guest.email != meeting.organizer_email]
    if meeting.guests_hidden and not instance.is_organizer:
        guests = [guest for guest in guests if guest is own]
    response = "organizer" if instance.is_organizer else _ANSWERS[own.answer] if own else "none"
    return {
        "responseStatus": {"response": response, "time": _NO_TIME},
        "organizer": {"emailAddress": {"name": meeting.organizer_name, "address": meeting.organizer_email}},
        "attendees": [_attendee(guest) for guest in guests],
    }


def _attendee(guest: Guest) -> Json:
    kind = "resource" if guest.resource else "optional" if guest.optional else "required"
    return {
        "type": kind,
        "status": {
            "response": "none" if guest.answer is ResponseStatus.NEEDS_ACTION else _ANSWERS[guest.answer],
            "time": _NO_TIME,
        },
        "emailAddress": {"name": guest.name or guest.email, "address": guest.email},
    }


_PATTERNS = {"DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "absoluteMonthly", "YEARLY": "absoluteYearly"}
_DAYS = {
    "MO": "monday",
    "TU": "tuesday",
    "WE": "wednesday",
    "TH": "thursday",
    "FR": "friday",
    "SA": "saturday",
    "SU": "sunday",
}


def _recurrence(instance: Instance) -> Json:
    """The first rule in Graph's words; positions inside a month are not translated."""
    meeting = instance.meeting
    rule = next((line for line in meeting.recurrence if line.startswith("RRULE")), "RRULE:FREQ=DAILY")
    parts = dict(part.partition("=")[::2] for part in rule.partition(":")[2].split(";"))
    start = to_local(meeting, meeting.start)
    days = [_DAYS[day[-2:]] for day in parts.get("BYDAY", "").split(",") if day[-2:] in _DAYS]
    pattern: Json = {
        "type": _PATTERNS[parts.get("FREQ", "DAILY")],
        "interval": int(parts.get("INTERVAL", "1")),
        "month": start.month,
        "dayOfMonth": start.day,
        "daysOfWeek": days or [start.strftime("%A").lower()],
        "firstDayOfWeek": "sunday",
        "index": "first",
    }
    until, count = parts.get("UNTIL"), int(parts.get("COUNT", "0"))
    kind = "endDate" if until else "numbered" if count else "noEnd"
    return {
        "pattern": pattern,
        "range": {
            "type": kind,
            "startDate": start.strftime("%Y-%m-%d"),
            "endDate": f"{until[:4]}-{until[4:6]}-{until[6:8]}" if until else "0001-01-01",
            "recurrenceTimeZone": meeting.time_zone,
            "numberOfOccurrences": count,
        },
    }
