"""Start workflows from outside of workflows: from the HTTP front and from recovery."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.temporal.calendar_messages import CheckRequest, CheckResult, calendar_check_workflow_id
from meetbot.temporal.connect_messages import (
    ConnectStart,
    OAuthAppRef,
    ProbeResult,
    connect_workflow_id,
    oauth_app_check_workflow_id,
)
from meetbot.temporal.messages import (
    CHILDREN_PER_BATCH,
    BotStart,
    CalendarUserSignal,
    CalendarUserState,
    ErasureStart,
    TaskQueue,
    WorkflowName,
    bot_workflow_id,
    calendar_user_workflow_id,
    erasure_workflow_id,
    fairness_key,
)
from meetbot.temporal.search_attributes import CALENDAR_PROVIDER, CALENDAR_USER_ID, MEETBOT_STATE, TENANT_ID

_RPC_TIMEOUT = timedelta(seconds=5)
_CHECK_LASTS = timedelta(seconds=30)


async def start_calendar_user(
    client: Client,
    tenant_id: str,
    calendar_user_id: str,
    provider: str,
    *,
    interval: timedelta,
    signal: CalendarUserSignal | None = None,
) -> None:
    """Start a calendar user's workflow, or leave the running one as it is.

    Either gets the signal, if any.

    Raises Temporal's ``RPCError``.
    """
    await client.start_workflow(
        WorkflowName.CALENDAR_USER,
        CalendarUserState(
            tenant_id=tenant_id,
            calendar_user_id=calendar_user_id,
            provider=provider,
            interval_seconds=int(interval.total_seconds()),
            children_per_batch=CHILDREN_PER_BATCH,
            watches=True,
        ),
        id=calendar_user_workflow_id(tenant_id, calendar_user_id),
        task_queue=TaskQueue.CALENDAR_USERS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(TENANT_ID, tenant_id),
                SearchAttributePair(CALENDAR_USER_ID, calendar_user_id),
                SearchAttributePair(CALENDAR_PROVIDER, provider),
                SearchAttributePair(MEETBOT_STATE, CalendarUserStatus.CONNECTING),
            ]
        ),
        static_summary=f"{provider} calendar, user {calendar_user_id}",
        static_details="Syncs one calendar and keeps a bot for each meeting that its rules want recorded.",
        priority=Priority(priority_key=3, fairness_key=fairness_key(tenant_id)),
        start_signal=signal,
        rpc_timeout=_RPC_TIMEOUT,
    )


async def start_bot(client: Client, tenant_id: str, meeting_key: str, state: str) -> None:
    """Start the workflow of a meeting that has a bot, or leave the running one as it is.

    Raises Temporal's ``RPCError``.
    """
    await client.start_workflow(
        WorkflowName.BOT,
        BotStart(tenant_id, meeting_key, follows_what_was_sent=True),
        id=bot_workflow_id(tenant_id, meeting_key),
        task_queue=TaskQueue.BOTS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(TENANT_ID, tenant_id), SearchAttributePair(MEETBOT_STATE, state)]
        ),
        static_summary="bot for a meeting, started again",
        static_details="Its first workflow ended before the bot did, as when an operator terminates it.",
        priority=Priority(priority_key=1, fairness_key=fairness_key(tenant_id)),
        rpc_timeout=_RPC_TIMEOUT,
    )


async def start_erasure(client: Client, tenant_id: str, erasure_id: str, calendar_user_id: str) -> None:
    """Start the workflow of an erasure, or leave the running one as it is.

    Raises Temporal's ``RPCError``.
    """
    await client.start_workflow(
        WorkflowName.ERASURE,
        ErasureStart(tenant_id, erasure_id, calendar_user_id),
        id=erasure_workflow_id(tenant_id, erasure_id),
        task_queue=TaskQueue.ERASURES,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(TENANT_ID, tenant_id), SearchAttributePair(CALENDAR_USER_ID, calendar_user_id)]
        ),
        static_summary=f"erasure of {calendar_user_id}",
        static_details="Withdraws the bots, revokes the grant, deletes the rows, and closes the certificate.",
        priority=Priority(priority_key=2, fairness_key=fairness_key(tenant_id)),
        rpc_timeout=_RPC_TIMEOUT,
    )


async def start_connect(
    client: Client, tenant_id: str, exchange_id: str, provider: str, *, interval: timedelta
) -> WorkflowHandle[object, None]:
    """Start the exchange of a consent's code, or return the running one.

    Raises Temporal's ``RPCError``.
    """
    return await client.start_workflow(
        WorkflowName.CONNECT,
        ConnectStart(tenant_id, exchange_id, provider, int(interval.total_seconds())),
        id=connect_workflow_id(tenant_id, exchange_id),
        task_queue=TaskQueue.CONNECTS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT_ID, tenant_id)]),
        static_summary=f"{provider} consent to the tenant's app",
        static_details="Exchanges the code of one consent, and begins to sync the calendar.",
        priority=Priority(priority_key=1, fairness_key=fairness_key(tenant_id)),
        rpc_timeout=_RPC_TIMEOUT,
    )


async def start_calendar_check(
    client: Client, request: CheckRequest, *, rpc_timeout: timedelta
) -> WorkflowHandle[object, CheckResult]:
    """Start the check of a calendar user, or return the running one.

    It ends by itself if no worker takes it. Raises Temporal's ``RPCError``.
    """
    return await client.start_workflow(
        WorkflowName.CALENDAR_CHECK,
        request,
        id=calendar_check_workflow_id(request.tenant_id, request.calendar_user_id),
        task_queue=TaskQueue.CONNECTS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT_ID, request.tenant_id)]),
        static_summary=f"check of {request.calendar_user_id}",
        static_details="Asks the provider with the user's token, and the bot backend, while a person waits.",
        priority=Priority(priority_key=2, fairness_key=fairness_key(request.tenant_id)),
        execution_timeout=_CHECK_LASTS,
        result_type=CheckResult,
        rpc_timeout=rpc_timeout,
    )


async def start_oauth_app_check(client: Client, tenant_id: str, app_id: str) -> WorkflowHandle[object, ProbeResult]:
    """Start the check of a tenant's OAuth app, or return the running one.

    Raises Temporal's ``RPCError``.
    """
    return await client.start_workflow(
        WorkflowName.OAUTH_APP_CHECK,
        OAuthAppRef(tenant_id, app_id),
        id=oauth_app_check_workflow_id(tenant_id, app_id),
        task_queue=TaskQueue.CONNECTS,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=TypedSearchAttributes([SearchAttributePair(TENANT_ID, tenant_id)]),
        static_summary="check of the tenant's OAuth app",
        static_details="Offers the provider's token endpoint a code that cannot be good.",
        priority=Priority(priority_key=2, fairness_key=fairness_key(tenant_id)),
        result_type=ProbeResult,
        rpc_timeout=_RPC_TIMEOUT,
    )
