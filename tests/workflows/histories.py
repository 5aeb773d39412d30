"""Read the history that Temporal keeps of a workflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle, WorkflowHistory


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a workflow, exact to the millisecond.

    ``due`` is the workflow's time when it set the timer, plus ``length``.
    """

    due: datetime
    length: timedelta


async def history_of(handle: WorkflowHandle[object, object]) -> WorkflowHistory:
    return await handle.fetch_history()


def of_type(history: WorkflowHistory, event_type: EventType.ValueType) -> Iterator[HistoryEvent]:
    return (event for event in history.events if event.event_type == event_type)


def signals_in(history: WorkflowHistory) -> list[str]:
    """The names of the signals that reached the workflow, in order."""
    signalled = of_type(history, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    return [event.workflow_execution_signaled_event_attributes.signal_name for event in signalled]


def timers_in(history: WorkflowHistory) -> list[Timer]:
    timers, present = [], datetime.min.replace(tzinfo=UTC)
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            present = event.event_time.ToDatetime(tzinfo=UTC)
        elif event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            length = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            timers.append(Timer(_to_the_millisecond(present + length), length))
    return timers


def _to_the_millisecond(instant: datetime) -> datetime:
    """A timer's length goes through a float and may lose a microsecond."""
    rounded = instant + timedelta(microseconds=500)
    return rounded.replace(microsecond=rounded.microsecond // 1000 * 1000)


def states_shown(history: WorkflowHistory) -> list[str]:
    """The values the workflow gave to its search attribute MeetbotState, in order."""
    upserts = of_type(history, EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
    return [
        event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields["MeetbotState"]
        .data.decode()
        .strip('"[]')
        for event in upserts
    ]


def children_in(history: WorkflowHistory) -> list[str]:
    """The workflow ids of the children asked for, whether or not they could be started."""
    initiated = of_type(history, EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)
    return [event.start_child_workflow_execution_initiated_event_attributes.workflow_id for event in initiated]
