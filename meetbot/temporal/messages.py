"""The names and messages by which API, workflows and activities speak through Temporal.

Everything here ends up in workflow histories: opaque ids, instants, digests and reason codes only. Never a token, a title,
an address, a name or a URL. Field additions need defaults, so that histories of earlier releases still decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from meetbot.domain.calendar_user import CalendarUserStatus
from meetbot.domain.plan import PlanEntry
from meetbot.domain.webhook_schedule import RETRY_GAPS_SECONDS


class TaskQueue(StrEnum):
    """Each kind of work has its own queue, so that none can crowd another out."""

    CALENDAR_USERS = "calendar-users"
    BOTS = "bots"
    WEBHOOKS = "webhooks"
    SYNC = "sync-activities"
    PUSH = "push-activities"
    DISPATCH = "dispatch-activities"
    DELIVERY = "delivery-activities"
    ERASURES = "erasures"
    ERASING = "erasing-activities"
    CONNECTS = "connects"
    CONNECTING = "connecting-activities"


class WorkflowName(StrEnum):
    """The name by which a workflow is started."""

    CALENDAR_USER = "CalendarUserWorkflow"
    BOT = "BotWorkflow"
    WEBHOOK = "WebhookWorkflow"
    ERASURE = "ErasureWorkflow"
    CONNECT = "ConnectWorkflow"
    OAUTH_APP_CHECK = "OAuthAppCheckWorkflow"
    CALENDAR_CHECK = "CalendarCheckWorkflow"


class ActivityName(StrEnum):
    """The names by which workflows call activities, as they stand in histories."""

    CALENDAR_SYNC = "calendar.sync"
    CALENDAR_ENSURE_PUSH = "calendar.ensure_push"
    CALENDAR_WATCH = "calendar.watch"
    BOT_RECONCILE = "bot.reconcile"
    BOT_DISPATCH = "bot.dispatch"
    BOT_RECALL = "bot.recall"
    BOT_FOLLOW = "bot.follow"
    WEBHOOK_DELIVER = "webhook.deliver"
    ERASURE_WITHDRAW = "erasure.withdraw_bots"
    ERASURE_STOP_PUSH = "erasure.stop_push"
    ERASURE_REVOKE = "erasure.revoke_grant"
    ERASURE_DELETE = "erasure.delete_rows"
    ERASURE_FINISH = "erasure.finish"
    CONNECT_EXCHANGE = "connect.exchange_code"
    OAUTH_APP_PROBE = "oauth_app.probe"
    CALENDAR_CHECK = "calendar.check"


class CalendarUserSignal(StrEnum):
    """Signals of a calendar user's workflow."""

    SYNC_NOW = "sync_now"
    RULES_CHANGED = "rules_changed"
    RECONNECTED = "reconnected"
    DISCONNECT = "disconnect"


class BotSignal(StrEnum):
    """What wakes a bot's workflow."""

    CLAIM = "claim"
    RELEASE = "release"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    BACKEND_REPORTED = "backend_reported"


def calendar_user_workflow_id(tenant_id: str, calendar_user_id: str) -> str:
    """Return the workflow id of a calendar user: at most one runs at a time."""
    return f"calendar-user/{tenant_id}/{calendar_user_id}"


def bot_workflow_id(tenant_id: str, meeting_key: str) -> str:
    """Return the workflow id of a meeting's bot."""
    return f"bot/{tenant_id}/{meeting_key}"


def webhook_workflow_id(tenant_id: str, delivery_id: str, replay: int) -> str:
    """Return the workflow id of a delivery's n-th replay; 0 is the delivery itself."""
    return f"webhook/{tenant_id}/{delivery_id}/{replay}"


def erasure_workflow_id(tenant_id: str, erasure_id: str) -> str:
    """Return the workflow id of an erasure."""
    return f"erasure/{tenant_id}/{erasure_id}"


CHILDREN_PER_BATCH = 50
"""For new runs; see `CalendarUserState`."""


_FAIRNESS_KEY_BYTES = 64


def fairness_key(tenant_id: str) -> str:
    """Return the key by which a task queue shares its work fairly among tenants.

    It has at most 64 bytes, which is Temporal's limit.
    """
    return tenant_id[:_FAIRNESS_KEY_BYTES]


@dataclass(frozen=True, slots=True)
class CalendarUserState:
    """All that a calendar user's workflow carries from one run to the next (continue-as-new).

    ``known`` are the meetings whose bots have been started or told of the claim, ``plan_digest`` stands for the plan they
    were brought in line with; an empty one makes the next sync return the whole plan. ``state`` is shown to operators and ends
    the loop. ``calendar_due`` and ``decisions_due`` say which kind of sync is to follow at once.

    The other numbers are settings. They travel here because a changed constant would make runs that are under way command
    something else when they are replayed, which Temporal refuses:

    - ``interval_seconds``: from one slot to the next.
    - ``watches``: slots are waited for by an activity that polls, not by the workflow (decision 0028).
    - ``rounds_per_run``: syncs until the workflow continues as new, so that its history stays short.
    - ``children_per_batch``: how many bots are started or signalled before the loop syncs again. Temporal refuses a run with
      2000 children or signals under way, and while a batch is carried out the loop reacts to nothing else. 0 stands for
      all at once.

    ``wait_seconds`` is the wait that the last sync has asked for instead of ``interval_seconds``; 0 if it asked for none.
    """

    tenant_id: str
    calendar_user_id: str
    provider: str
    interval_seconds: int
    rounds_per_run: int = 12
    children_per_batch: int = 0
    known: tuple[PlanEntry, ...] = ()
    plan_digest: str = ""
    state: CalendarUserStatus = CalendarUserStatus.CONNECTING
    last_synced_at: datetime | None = None
    last_error: str = ""
    calendar_due: bool = True
    decisions_due: bool = False
    wait_seconds: int = 0
    watches: bool = False


class SyncScope(StrEnum):
    """The scope of a sync.

    `CALENDAR` asks the provider, `DECISIONS` only decides again about what is stored.
    """

    CALENDAR = "calendar"
    DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Input of a sync. ``plan_digest`` stands for the plan that the workflow knows."""

    tenant_id: str
    calendar_user_id: str
    plan_digest: str
    scope: SyncScope = SyncScope.CALENDAR


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync found. ``plan`` is None if it is still the one whose digest was sent.

    ``state`` is the calendar user's after the sync, ``changed`` how many events differ, ``error`` a reason code.
    ``to_sync`` are calendar users whose stored copies turned out to be outdated. ``push_due``: the push channels are not as
    they should be. ``wait_seconds`` is the wait until the next sync if it is not the usual one, else 0.
    """

    state: CalendarUserStatus
    plan_digest: str
    plan: tuple[PlanEntry, ...] | None
    changed: int = 0
    error: str = ""
    to_sync: tuple[str, ...] = ()
    push_due: bool = False
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True)
class BotStart:
    """Input of a bot's workflow.

    ``rounds_per_run`` bounds the steps of one run, and with them its history. ``follows_what_was_sent``: a bot that was sent is
    followed without reconciling it once more.
    """

    tenant_id: str
    meeting_key: str
    rounds_per_run: int = 200
    # Runs that began without it reconcile. New ones always have it.
    follows_what_was_sent: bool = False


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """Payload of claim, reschedule and release: the user whose claim changed, and its target."""

    calendar_user_id: str
    target_digest: str = ""
    join_at: datetime | None = None


class StepKind(StrEnum):
    """What a bot's workflow does next.

    `WAIT` until the re-check begins, then dispatch. `FOLLOW` the bot to its end. `RECALL` it. `CLOSE` the workflow.
    """

    WAIT = "wait"
    FOLLOW = "follow"
    RECALL = "recall"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class MeetingRef:
    """A meeting, as activities are asked about it."""

    tenant_id: str
    meeting_key: str


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is left to be done after a meeting was reconciled, and the state of its bot.

    ``recheck_at`` is when the bot is handed over, to be re-checked with the provider and held until ``dispatch_at``;
    ``join_at`` and ``end_at`` are the meeting's. ``to_sync`` are the calendar users whose copies may be of another meeting by
    now: their calendars are to be synced at once. ``to_wake`` are meetings that shared the bot, which is out of the room.
    """

    kind: StepKind
    bot_id: str = ""
    generation: int = 0
    state: str = ""
    recheck_at: datetime | None = None
    join_at: datetime | None = None
    end_at: datetime | None = None
    to_sync: tuple[str, ...] = ()
    dispatch_at: datetime | None = None
    to_wake: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """Asks for one generation of a bot to be dispatched.

    ``wait_is_over``: the meeting's start has come for which an earlier answer asked to wait.
    """

    tenant_id: str
    meeting_key: str
    bot_id: str
    generation: int
    wait_is_over: bool = False


class DispatchOutcome(StrEnum):
    """What a dispatch came to.

    `CHANGED`: the meeting is another one by now, reconcile. `WAIT_FOR_START`: the provider cannot be asked and what is
    stored is old, so ask again at the meeting's start. `REFUSED`: the backend said no for good.
    """

    DISPATCHED = "dispatched"
    CHANGED = "changed"
    WAIT_FOR_START = "wait_for_start"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """``reason`` is the backend's code if it refused."""

    outcome: DispatchOutcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WebhookStart:
    """Input of a delivery's workflow. ``replay`` counts how often a person asked for it again."""

    tenant_id: str
    delivery_id: str
    replay: int = 0
    schedule_seconds: tuple[int, ...] = RETRY_GAPS_SECONDS


class DeliveryVerdict(StrEnum):
    """What follows an attempt to deliver."""

    DELIVERED = "delivered"
    RETRY = "retry"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """Asks for one attempt. ``attempt`` counts from 1; ``last``: no other follows."""

    tenant_id: str
    delivery_id: str
    attempt: int
    last: bool


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What an attempt came to.

    ``retry_after_seconds`` is what the endpoint asked for, already bounded; 0 if it stated none.
    """

    verdict: DeliveryVerdict
    status: int = 0
    retry_after_seconds: int = 0


REVOCATION_DAYS = 7
"""So long a grant is tried to be revoked while its provider does not answer."""


@dataclass(frozen=True, slots=True)
class ErasureStart:
    """Input of an erasure's workflow.

    ``revocation_days`` bounds the time for the provider to answer.
    """

    tenant_id: str
    erasure_id: str
    calendar_user_id: str
    revocation_days: int = REVOCATION_DAYS


@dataclass(frozen=True, slots=True)
class ErasureRef:
    """An erasure, as activities are asked about it."""

    tenant_id: str
    erasure_id: str


@dataclass(frozen=True, slots=True)
class WithdrawRequest:
    """Asks for the bots of the next meetings after ``after``, a meeting key, to be withdrawn."""

    tenant_id: str
    erasure_id: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class WithdrawnBots:
    """Meetings whose bots' workflows are to look again.

    ``after`` is where to go on; empty if that were all.
    """

    meeting_keys: tuple[str, ...]
    after: str = ""
