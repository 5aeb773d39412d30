"""How the worker process is put together."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from activities.admission import QueueDelay, SyncAdmission
from activities.checking import CheckingActivity
from activities.dispatch import DispatchSteps
from activities.launcher import Launcher
from activities.recheck import RECHECK_SECONDS
from activities.watch import WatchActivity
from activities.webhooks import WebhookActivities
from activities.wiring import WorkerParts
from meetbot.bots.reconcile import RECHECK_AHEAD
from meetbot.temporal.client import connect
from meetbot.temporal.messages import TaskQueue
from meetbot.webhooks.outbound import Outbound
from tests.rig import Rig
from worker import build_workers

pytestmark = pytest.mark.stack


def test_a_dead_worker_delays_a_bots_task_by_less_than_its_re_check_needs(rig: Rig, temporal_address: str) -> None:
    launcher, delay = Launcher(rig.database, DispatchSteps(rig.services), rig.clock), QueueDelay()
    webhooks = WebhookActivities(rig.database, rig.vault, rig.settings.region, Outbound([]))
    parts = WorkerParts(
        database=rig.database,
        vault=rig.vault,
        services=rig.services,
        sync=rig.sync_activities,
        push=rig.push_activity,
        watch=WatchActivity(rig.sync_activities.sync, rig.clock),
        bots=rig.bot_activities,
        launcher=launcher,
        delay=delay,
        admission=SyncAdmission(delay, launcher.is_crowded, most=2),
        recall=rig.recall_activity,
        webhooks=webhooks,
        revoker=rig.revoker,
        erasing=rig.erasing_activities,
        connecting=rig.connecting_activities,
        checking=CheckingActivity(rig.services),
    )

    async def kept_for_the_dead() -> timedelta:
        async with contextlib.AsyncExitStack() as stack:
            workers = build_workers(await connect(temporal_address), parts, stack)
            (bots,) = (worker for worker in workers if worker.task_queue == TaskQueue.BOTS)
            return bots.config()["sticky_queue_schedule_to_start_timeout"]

    assert asyncio.run(kept_for_the_dead()) <= RECHECK_AHEAD - timedelta(seconds=RECHECK_SECONDS)
