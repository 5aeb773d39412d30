"""Timeouts, retries and priorities of what the loop of a calendar starts."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy, SearchAttributePair, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from meetbot.temporal.calendar_messages import WatchRequest
    from meetbot.temporal.messages import (
        CalendarUserState,
        SyncScope,
        TaskQueue,
        fairness_key,
    )
    from meetbot.temporal.search_attributes import CALENDAR_PROVIDER, CALENDAR_USER_ID, MEETBOT_STATE, TENANT_ID

# A sync whose worker died begins anew after this time.
_HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# Somebody waits for it, as for the first sync of a calendar; Temporal's usual priority is 3.
_AT_ONCE_PRIORITY = 2
_POLL_PRIORITY = 4

ENSURE_PUSH = workflow.ActivityConfig(
    task_queue=TaskQueue.PUSH,
    start_to_close_timeout=timedelta(minutes=2),
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=_HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(maximum_attempts=1),
    summary="keep the push channels",
)


def sync_options(scope: SyncScope) -> workflow.ActivityConfig:
    """Return the options of a sync that is not a poll."""
    return workflow.ActivityConfig(
        task_queue=TaskQueue.SYNC,
        start_to_close_timeout=timedelta(minutes=3),
        schedule_to_close_timeout=timedelta(minutes=15),
        heartbeat_timeout=_HEARTBEAT_TIMEOUT,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=60), maximum_attempts=4
        ),
        summary=f"sync {scope}",
    )


def watch_options(tenant_id: str, *, at_once: bool) -> workflow.ActivityConfig:
    """Return the options of a poll.

    The retry policy is for a worker that died; else the poll itself says when to retry.
    """
    return workflow.ActivityConfig(
        task_queue=TaskQueue.SYNC,
        start_to_close_timeout=timedelta(minutes=3),
        heartbeat_timeout=_HEARTBEAT_TIMEOUT,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=3)),
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        summary="poll until something changes",
        priority=Priority(
            priority_key=_AT_ONCE_PRIORITY if at_once else _POLL_PRIORITY, fairness_key=fairness_key(tenant_id)
        ),
    )


def watch_request(state: CalendarUserState, *, at_once: bool) -> WatchRequest:
    """Return what a poll is told of the loop's state."""
    return WatchRequest(
        state.tenant_id,
        state.calendar_user_id,
        state.plan_digest,
        state.state,
        state.interval_seconds,
        at_once,
        state.wait_seconds,
    )


def bot_search_attributes(state: CalendarUserState) -> TypedSearchAttributes:
    """Return by what operators find the bot's workflow."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TENANT_ID, state.tenant_id),
            SearchAttributePair(CALENDAR_USER_ID, state.calendar_user_id),
            SearchAttributePair(CALENDAR_PROVIDER, state.provider),
            SearchAttributePair(MEETBOT_STATE, "scheduled"),
        ]
    )
