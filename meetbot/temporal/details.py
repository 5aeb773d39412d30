"""What operators read of a workflow in the Temporal UI. Pure: it is replayed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from meetbot.domain.plan import PlanEntry
from meetbot.temporal.messages import CalendarUserState, bot_workflow_id


def calendar_details(state: CalendarUserState, known: Mapping[str, PlanEntry], now: datetime) -> str:
    """Return what the workflow of a calendar user shows."""
    lines = [
        f"**{state.calendar_user_id}** ({state.provider}) is **{state.state}**",
        "",
        f"- last sync: {state.last_synced_at:%Y-%m-%d %H:%M:%S} UTC" if state.last_synced_at else "- never synced",
        f"- last error: {state.last_error or 'none'}",
        f"- every {state.wait_seconds or state.interval_seconds} s",
        *(["- the pending activity tells of the last poll and when the next one is"] if state.watches else []),
        f"- meetings to be recorded, under way or near: {len(known)}",
        "",
    ]
    upcoming = sorted(known.values(), key=lambda entry: (entry.join_at, entry.meeting_key))[:20]
    lines += [
        f"- {entry.join_at:%Y-%m-%d %H:%M} UTC `{bot_workflow_id(state.tenant_id, entry.meeting_key)}`"
        f"{' (has begun)' if entry.join_at <= now else ''}"
        for entry in upcoming
    ]
    return "\n".join(lines)
