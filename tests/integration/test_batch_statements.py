"""What the intents of a batch cost the database does not grow with the bots in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from activities.dispatch import Armed, DispatchSteps
from meetbot.temporal.messages import DispatchRequest
from tests.rig import Rig

pytestmark = pytest.mark.stack


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that are executed meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def armed(rig: Rig, count: int) -> list[Armed]:
    ada, steps = rig.sandbox.account("ada@acme.test"), DispatchSteps(rig.services)
    user = rig.connect(ada)
    for number in range(count):
        rig.sandbox.event(ada, title=f"Meeting {number}")
    ready = []
    for entry in rig.planned(user):
        step = rig.bot_activities.reconcile(rig.ref(entry.meeting_key))
        one = steps.arm(DispatchRequest(rig.tenant_id, entry.meeting_key, step.bot_id, step.generation))
        assert isinstance(one, Armed)
        ready.append(one)
    return ready


def test_the_intents_of_a_batch_take_as_many_statements_as_those_of_two_bots(rig: Rig) -> None:
    ready, steps = armed(rig, 10), DispatchSteps(rig.services)
    with statements() as of_two:
        assert None not in steps.write_intents(rig.tenant_id, ready[:2])
    with statements() as of_eight:
        assert None not in steps.write_intents(rig.tenant_id, ready[2:])
    assert len(of_two) == len(of_eight)
    assert sum("pg_advisory_xact_lock" in statement for statement in of_eight) == 1
