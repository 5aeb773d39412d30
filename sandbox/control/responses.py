"""What the control API returns about meetings, people and bot jobs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sandbox.backend.jobs import job_document
from sandbox.backend.records import Job
from sandbox.calendar import provider_ids
from sandbox.calendar.copies import copies_on
from sandbox.calendar.instances import Instance, expand, whole_meeting
from sandbox.calendar.records import Account, CalendarCopy, Deviation, Meeting, Provider
from sandbox.google.events import google_event_id
from sandbox.microsoft.events import graph_ical_uid
from sandbox.state import State

_AHEAD, _BACK, _MOST = timedelta(days=7), timedelta(hours=12), 40


def event_document(state: State, meeting: Meeting) -> dict[str, Any]:
    """Return a meeting with its id on every calendar. ``key`` is its name in the control API."""
    copies = [copy for copy in state.copies.values() if copy.meeting == meeting.key]
    return {
        "key": meeting.key,
        "uid": meeting.uid,
        "title": meeting.title,
        "start": meeting.start,
        "end": meeting.end,
        "all_day": meeting.all_day,
        "time_zone": meeting.time_zone,
        "recurrence": meeting.recurrence,
        "organizer": meeting.organizer_email,
        "attendees": [guest.model_dump(mode="json") for guest in meeting.guests],
        "meeting_url": meeting.meeting_url,
        "cancelled": meeting.cancelled,
        "sequence": meeting.sequence,
        "copies": [_copy_document(state, copy) for copy in copies],
        "deviations": [_deviation_document(deviation) for deviation in meeting.deviations.values()],
    }


def account_document(state: State, account: Account) -> dict[str, Any]:
    """Return a person with calendars and granted scopes."""
    grants = [grant for grant in state.grants.values() if grant.account == account.email and grant.ended_by is None]
    return {
        "email": account.email,
        "name": account.name,
        "provider": account.provider.value,
        "subject": account.subject,
        "directory": account.directory or None,
        "connected": bool(grants),
        "granted_scopes": sorted({scope for grant in grants for scope in grant.scopes}),
        "calendars": [
            {
                "id": calendar.id,
                "graph_id": provider_ids.graph_calendar_id(calendar.id),
                "name": calendar.name,
                "primary": calendar.primary,
                "time_zone": calendar.time_zone,
                "access_role": calendar.access_role,
            }
            for calendar in account.calendars
        ],
    }


def job_document_with_steps(job: Job) -> dict[str, Any]:
    """Return a bot job as the backend's API shows it, and its steps so far."""
    return job_document(job) | {"steps": [step.model_dump(mode="json") for step in job.steps]}


def agenda(state: State, account: Account, now: datetime) -> list[dict[str, Any]]:
    """Return what a person's calendars show, from half a day back to a week ahead; at most 40."""
    copies = [copy for calendar in account.calendars for copy in copies_on(state, account.email, calendar.id)]
    found = [
        each
        for each in expand(state, copies, now - _BACK, now + _AHEAD)
        if not each.copy.removed and not each.copy.uninvited
    ]
    found.sort(key=lambda each: (each.start, each.title))
    return [_agenda_entry(account, each) for each in found[:_MOST]]


def _agenda_entry(account: Account, instance: Instance) -> dict[str, Any]:
    own = next((guest for guest in instance.guests if guest.email == account.email), None)
    return {
        "key": instance.meeting.key,
        "original_start": instance.original_start,
        "title": instance.title,
        "start": instance.start,
        "end": instance.end,
        "all_day": instance.all_day,
        "cancelled": instance.cancelled,
        "recurring": instance.original_start is not None,
        "is_organizer": instance.is_organizer,
        "organizer": instance.meeting.organizer_email,
        "answer": own.answer.value if own else None,
        "attendees": [guest.email for guest in instance.guests],
        "meeting_url": instance.meeting_url,
    }


def _copy_document(state: State, copy: CalendarCopy) -> dict[str, Any]:
    account = state.accounts[copy.account]
    instance = whole_meeting(state, copy)
    document: dict[str, Any] = {
        "account": copy.account,
        "calendar_id": copy.calendar,
        "removed": copy.removed or copy.uninvited,
        "only_occurrences": copy.occurrences,
    }
    if account.provider is Provider.GOOGLE:
        return document | {"event_id": google_event_id(instance), "ical_uid": instance.meeting.uid}
    changing, immutable = (
        provider_ids.graph_event_id(copy.graph_key, copy.calendar, None, immutable=fixed) for fixed in (False, True)
    )
    ical_uid = graph_ical_uid(instance, state.behaviour)
    return document | {"event_id": changing, "immutable_id": immutable, "ical_uid": ical_uid}


def _deviation_document(deviation: Deviation) -> dict[str, Any]:
    return deviation.model_dump(mode="json", exclude={"change", "updated"}, exclude_none=True)
