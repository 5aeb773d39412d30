"""One event in the shape of Google's Calendar API v3.

Sources: its discovery document, and recorded answers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sandbox.calendar import provider_ids
from sandbox.calendar.instances import Instance, to_local
from sandbox.calendar.join_links import Placement, is_google_meet, link_placement, with_link_text
from sandbox.calendar.records import Calendar, Guest, Provider, ResponseStatus

Json = dict[str, Any]


def google_event(
    instance: Instance, calendar: Calendar, zone: ZoneInfo, *, details: bool = True, max_attendees: int | None = None
) -> Json:
    """Return an event as Google shows it; ``zone`` is that of the answer.

    Without ``details`` a cancelled event is only what Google guarantees: its id, and for an occurrence its series and original
    start.
    """
    if instance.cancelled and not (details and _keeps_details(instance)):
        return _skeleton(instance, zone)
    if calendar.access_role == "freeBusyReader":
        return _skeleton(instance, zone) | _times(instance, zone) | {"visibility": "private"}
    link = link_placement(instance.meeting_url, instance.meeting.link_place, instance.meeting.origin, Provider.GOOGLE)
    event = _skeleton(instance, zone) | _times(instance, zone) | _about(instance, calendar, link)
    return event | _conference(instance, link) | _people(instance, calendar, max_attendees)


def google_event_id(instance: Instance) -> str:
    """Return Google's id of a meeting, series or occurrence."""
    if instance.original_start is None:
        return instance.copy.google_id
    return _instance_id(instance, instance.original_start)


def google_timestamp(instant: datetime) -> str:
    """Return an instant as Google writes it: UTC, milliseconds, Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"


def to_rfc3339(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant in a zone as RFC 3339, with Z for UTC as Google writes it."""
    text = instant.astimezone(zone).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _keeps_details(instance: Instance) -> bool:
    """An organiser's cancelled event can be restored, so it keeps its details.

    A cancelled occurrence does not.
    """
    return (
        instance.is_organizer
        and not instance.copy.removed
        and not instance.copy.uninvited
        and instance.original_start is None
    )


def _skeleton(instance: Instance, zone: ZoneInfo) -> Json:
    status = "tentative" if instance.meeting.tentative else "confirmed"
    event: Json = {
        "kind": "calendar#event",
        "etag": f'"{instance.change:016d}"',
        "id": google_event_id(instance),
        "status": "cancelled" if instance.cancelled else status,
    }
    if instance.original_start is not None:
        event["recurringEventId"] = instance.copy.google_id
        event["originalStartTime"] = _moment(instance, instance.original_start, zone, all_day=instance.meeting.all_day)
    return event


def _times(instance: Instance, zone: ZoneInfo) -> Json:
    times: Json = {
        "start": _moment(instance, instance.start, zone, all_day=instance.all_day),
        "end": _moment(instance, instance.end, zone, all_day=instance.all_day),
    }
    if instance.is_master:
        times["recurrence"] = list(instance.meeting.recurrence)
    return times


def _moment(instance: Instance, instant: datetime, zone: ZoneInfo, *, all_day: bool) -> Json:
    if all_day:
        return {"date": to_local(instance.meeting, instant).strftime("%Y-%m-%d")}
    return {"dateTime": to_rfc3339(instant, zone), "timeZone": instance.meeting.time_zone}


def _about(instance: Instance, calendar: Calendar, link: Placement) -> Json:
    meeting = instance.meeting
    event: Json = {
        "htmlLink": f"https://www.google.com/calendar/event?eid={google_event_id(instance)}",
        "created": google_timestamp(meeting.created).rpartition(".")[0] + ".000Z",
        "updated": google_timestamp(instance.updated),
        "summary": instance.title,
        "creator": _person(meeting.organizer_email, meeting.organizer_name, calendar),
        "organizer": _person(meeting.organizer_email, meeting.organizer_name, calendar),
        "iCalUID": meeting.uid,
        "sequence": meeting.sequence,
        "reminders": {"useDefault": True},
        "eventType": meeting.event_type,
    }
    optional = {
        "description": with_link_text(instance.description, link.body),
        "location": instance.location or link.location or "",
        "transparency": "transparent" if meeting.free else "",
        "visibility": "" if meeting.visibility == "default" else meeting.visibility,
    }
    return event | {name: value for name, value in optional.items() if value}


def _conference(instance: Instance, link: Placement) -> Json:
    if link.conference is None:
        return {}
    native = is_google_meet(link.conference)
    request = {
        "requestId": instance.meeting.key,
        "conferenceSolutionKey": {"type": "hangoutsMeet" if native else "addOn"},
        "status": {"statusCode": "pending" if instance.meeting.link_pending else "success"},
    }
    if instance.meeting.link_pending:
        return {"conferenceData": {"createRequest": request}}
    host = urlsplit(link.conference).hostname or ""
    data: Json = {
        "createRequest": request,
        "entryPoints": [
            {
                "entryPointType": "video",
                "uri": link.conference,
                "label": link.conference.removeprefix("https://")[:512],
            }
        ],
        "conferenceSolution": {
            "key": {"type": "hangoutsMeet" if native else "addOn"},
            "name": "Google Meet" if native else host,
        },
        "conferenceId": urlsplit(link.conference).path.rpartition("/")[2][:200],
    }
    return {"hangoutLink": link.conference, "conferenceData": data} if native else {"conferenceData": data}


def _people(instance: Instance, calendar: Calendar, max_attendees: int | None) -> Json:
    guests = _with_organizer(instance)
    if instance.meeting.guests_hidden and not instance.is_organizer:
        guests = [guest for guest in guests if guest.email == calendar.id]
    people: Json = {"guestsCanSeeOtherGuests": False} if instance.meeting.guests_hidden else {}
    if max_attendees is not None and len(guests) > max_attendees:
        guests = [guest for guest in guests if guest.email == calendar.id]
        people["attendeesOmitted"] = True
    return people | {"attendees": [_attendee(instance, guest, calendar) for guest in guests]} if guests else people


def _with_organizer(instance: Instance) -> list[Guest]:
    """If there are guests, Google lists the organiser among them."""
    email = instance.meeting.organizer_email
    guests = instance.guests
    if not guests or any(guest.email == email for guest in guests) or email.endswith("calendar.google.com"):
        return guests
    return [Guest(email=email, name=instance.meeting.organizer_name, answer=ResponseStatus.ACCEPTED), *guests]


def _attendee(instance: Instance, guest: Guest, calendar: Calendar) -> Json:
    attendee: Json = {"email": guest.email, "responseStatus": guest.answer.value}
    marks = {
        "displayName": guest.name,
        "organizer": guest.email == instance.meeting.organizer_email,
        "self": guest.email == calendar.id,
        "resource": guest.resource,
        "optional": guest.optional,
    }
    return attendee | {name: value for name, value in marks.items() if value}


def _person(email: str, name: str, calendar: Calendar) -> Json:
    """`self` refers to the calendar that this copy is on, not to the account."""
    person: Json = {"email": email, "displayName": name}
    return person | {"self": True} if email == calendar.id else person


def _instance_id(instance: Instance, original_start: datetime) -> str:
    local = to_local(instance.meeting, original_start).date()
    return provider_ids.google_instance_id(instance.copy.google_id, original_start, instance.meeting.all_day, local)
