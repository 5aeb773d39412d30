"""Why a meeting is or is not recorded: one sentence, and the gates on the way. Pure.

The first gate that it did not pass writes the sentence. What comes after that one is not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from api.console import words

Json = Mapping[str, Any]
_SENT = frozenset({"dispatched", "joining", "waiting_for_admission", "in_call", "recording", "finalizing", "completed"})
_ADMITTED = frozenset({"in_call", "recording", "finalizing", "completed"})
_RECORDED = frozenset({"completed"})
_NOT_ADMITTED = frozenset({
    "waiting_for_host", "meeting_not_found", "host_denied_admission", "lobby_timeout", "auth_failure", "dispatch_timeout",
})  # fmt: skip


class GateState(StrEnum):
    """`PASSED`, `STOPPED` here for good, `WAITING` to be passed, or `UNREACHED`."""

    PASSED = "passed"
    STOPPED = "stopped"
    WAITING = "waiting"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Gate:
    """A step on the way to a recording. ``detail`` is what was seen there."""

    name: str
    state: GateState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a meeting. ``tone`` is a class of colours."""

    headline: str
    tone: str
    next_step: str
    gates: tuple[Gate, ...]


def verdict_on(event: Json, bot: Json | None, now: datetime) -> Verdict:
    """Return the verdict on an event and the newest bot of its meeting.

    Both are as the public API shows them.
    """
    gates = _gates(event, bot)
    headline, tone, next_step = _sentence(event, bot, now)
    return Verdict(headline, tone, next_step, gates)


def _gates(event: Json, bot: Json | None) -> tuple[Gate, ...]:
    decision = event["decision"]
    steps = [
        ("Seen", True, f"on {event['calendar_id']}"),
        ("Link", event["meeting_url"] is not None, words.plain(event["meeting_platform"])),
        ("Decision", decision["outcome"] == "record", words.plain(decision["reason"])),
        *_bot_steps(bot),
    ]
    return tuple(_in_order(steps, is_over=_is_over(event, bot)))


def _bot_steps(bot: Json | None) -> list[tuple[str, bool, str]]:
    if bot is None:
        return [(name, False, "") for name in ("Planned", "Sent", "Admitted", "Recorded")]
    state, failed_early = str(bot["state"]), bot.get("failure_code") in _NOT_ADMITTED
    was_sent = bot["dispatched_at"] is not None
    return [
        ("Planned", state != "cancelled" or was_sent, words.plain(state)),
        ("Sent", state in _SENT or was_sent, bot["backend"]),
        ("Admitted", state in _ADMITTED or (state == "failed" and was_sent and not failed_early), ""),
        ("Recorded", state in _RECORDED, _recorded(bot)),
    ]


def _in_order(steps: list[tuple[str, bool, str]], *, is_over: bool) -> list[Gate]:
    gates: list[Gate] = []
    for name, passed, detail in steps:
        if gates and gates[-1].state is not GateState.PASSED:
            gates.append(Gate(name, GateState.UNREACHED))
        elif passed:
            gates.append(Gate(name, GateState.PASSED, detail))
        else:
            gates.append(Gate(name, GateState.STOPPED if is_over else GateState.WAITING, detail))
    return gates


def _is_over(event: Json, bot: Json | None) -> bool:
    if event["decision"]["outcome"] == "skip":
        return True
    return bot is not None and bot["state"] in ("completed", "failed", "cancelled", "missed")


def _sentence(event: Json, bot: Json | None, now: datetime) -> tuple[str, str, str]:
    decision = event["decision"]
    if bot is not None and bot["state"] not in ("scheduled", "cancelled"):
        return _bot_sentence(bot)
    why = words.reason(decision)
    if decision["outcome"] == "skip":
        return f"Not recorded: {why.text}", words.QUIET, why.next_step
    if bot is None:
        if _has_ended(event, now):
            return "Not recorded: no bot was planned for it.", words.BAD, "Look at the calendar's last sync."
        return f"To be recorded: {why.text} Its bot is planned when it is near.", words.WAITING, ""
    if bot["state"] == "cancelled":
        return "Not recorded: the bot was called back.", words.QUIET, "Record it by hand to send a new one."
    return f"To be recorded: {why.text}", words.GOOD, ""


def _bot_sentence(bot: Json) -> tuple[str, str, str]:
    state = str(bot["state"])
    if state in ("failed", "missed"):
        why = words.failure(bot.get("failure_code") or bot.get("outcome"))
        came = "a bot came, but" if state == "failed" else "no bot came:"
        return f"Not recorded: {came} {why.text}", words.BAD, why.next_step
    said = words.BOT_STATES.get(state, words.Sentence(words.plain(state)))
    return said.text, words.tone(state), said.next_step


def _recorded(bot: Json) -> str:
    seconds = bot.get("recorded_seconds")
    return words.length(seconds) if seconds else ""


def _has_ended(event: Json, now: datetime) -> bool:
    return event["end"] is not None and datetime.fromisoformat(event["end"]) <= now
