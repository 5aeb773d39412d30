"""What the console says for the API's codes, and how it writes times. Pure.

A skip is never called an error. Each sentence says what is; the next step says what the reader can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence for a code, and what the reader can do, empty if nothing need be done."""

    text: str
    next_step: str = ""


REASONS: Mapping[str, Sentence] = {
    "rule_matched": Sentence("a rule decided."),
    "no_rule_matched": Sentence("none of the rules matches.", "Make a rule that matches it, or record it by hand."),
    "no_meeting_url": Sentence(
        "the invitation has no meeting link that a bot can join.",
        "Add a link to the invitation: we look again within minutes.",
    ),
    "ended": Sentence("it was over before it could be recorded."),
    "owner_declined": Sentence("the owner of the calendar declined it."),
    "all_day": Sentence("it is an all-day event.", "Let a rule include all-day events, or record it by hand."),
    "cancelled": Sentence("it was cancelled."),
    "override_record": Sentence("it was switched on by hand."),
    "override_skip": Sentence("it was switched off by hand.", "Follow the rules again, or record it by hand."),
    "never_record": Sentence("it is on the never-record list.", "Only recording it by hand beats that list."),
    "access_revoked": Sentence("we can no longer read the calendar.", "Send its owner the reconnect link."),
    "daily_limit": Sentence(
        "this calendar's bots of the day are used up.", "Raise the limit in the settings, or record it by hand."
    ),
}

FAILURES: Mapping[str, Sentence] = {
    "waiting_for_host": Sentence("the host had not started the meeting."),
    "meeting_not_found": Sentence("the platform knows no such meeting.", "Check the link in the invitation."),
    "host_denied_admission": Sentence("the host did not let it in.", "Ask the host to admit the notetaker."),
    "lobby_timeout": Sentence("it waited in the lobby and nobody let it in.", "Ask the host to admit the notetaker."),
    "removed_from_meeting": Sentence("somebody removed it from the meeting."),
    "meeting_ended": Sentence("the meeting was over."),
    "internal_error": Sentence("the bot backend had a fault."),
    "dispatch_timeout": Sentence("the bot backend had no bot in time."),
    "network_loss": Sentence("the bot lost its connection."),
    "recording_disabled": Sentence("the meeting does not allow recording.", "Ask the host to allow it."),
    "auth_failure": Sentence("the meeting lets only signed-in guests in.", "Ask the host to let guests in."),
    "quota_exceeded": Sentence("the backend's quota is used up.", "Look at the account at the bot backend."),
}

BOT_STATES: Mapping[str, Sentence] = {
    "scheduled": Sentence("A bot is planned."),
    "dispatching": Sentence("The bot backend is being asked for a bot."),
    "dispatched": Sentence("The backend has the bot; it will join at once."),
    "joining": Sentence("The bot is joining."),
    "waiting_for_admission": Sentence("The bot is in the lobby.", "Let it in."),
    "in_call": Sentence("The bot is in the call."),
    "recording": Sentence("The meeting is being recorded."),
    "finalizing": Sentence("The recording is being finished."),
    "completed": Sentence("Recorded."),
    "failed": Sentence("The bot failed."),
    "cancelled": Sentence("The bot was called back."),
    "missed": Sentence("No bot came.", "Look at the bot's page for the reason."),
}

USER_STATES: Mapping[str, Sentence] = {
    "connecting": Sentence("Connecting: its first sync is not done yet."),
    "active": Sentence("Healthy."),
    "needs_reconnect": Sentence("We can no longer read this calendar.", "Send its owner the reconnect link."),
    "disconnecting": Sentence("Being disconnected."),
}

_LONGEST_PATH = 40
GOOD, BAD, WAITING, QUIET = "good", "bad", "warn", "plain"
_TONES = {
    "record": GOOD, "completed": GOOD, "recording": GOOD, "in_call": GOOD, "active": GOOD, "delivered": GOOD,
    "failed": BAD, "missed": BAD, "needs_reconnect": BAD, "dead": BAD, "failing": BAD, "disabled": BAD,
    "connecting": WAITING, "waiting_for_admission": WAITING, "joining": WAITING, "dispatching": WAITING,
    "dispatched": WAITING, "finalizing": WAITING, "pending": WAITING, "disconnecting": WAITING, "scheduled": WAITING,
}  # fmt: skip


def tone(state: object) -> str:
    """Return the class of colours in which a state is shown."""
    return _TONES.get(str(state), QUIET)


def plain(code: object) -> str:
    """Return a code as words: ``waiting_for_host`` is "waiting for host"."""
    return str(code).replace("_", " ")


def reason(decision: Mapping[str, Any]) -> Sentence:
    """Return the sentence for a decision's reason."""
    code = str(decision["reason"])
    rule = decision.get("rule")
    if code == "rule_matched" and rule:
        return Sentence(f"the rule “{rule}” decided.")
    return REASONS.get(code, Sentence(f"{plain(code)}."))


def failure(code: object) -> Sentence:
    """Return the sentence for the code with which a bot failed or was missed."""
    return FAILURES.get(str(code), Sentence(f"{plain(code)}.")) if code else Sentence("the backend gave no reason.")


def at(text: str | datetime | None, zone: tzinfo, form: str = "full") -> str:
    """Write an instant in a zone, as ``full``, ``day``, ``clock`` or ``exact``."""
    if text is None:
        return "–"
    moment = (datetime.fromisoformat(text) if isinstance(text, str) else text).astimezone(zone)
    day = f"{moment:%a} {moment.day} {moment:%b}"
    match form:
        case "day":
            return day
        case "clock":
            return f"{moment:%H:%M}"
        case "exact":
            return f"{day} {moment:%Y %H:%M:%S} {moment.tzname()}"
        case _:
            return f"{day} {moment:%H:%M}"


def link_name(url: str) -> str:
    """Return a meeting link without its parameters, which may hold a passcode."""
    parts = urlsplit(url)
    path = parts.path if len(parts.path) <= _LONGEST_PATH else f"{parts.path[:_LONGEST_PATH]}…"
    return f"{parts.hostname or ''}{path}" or "erased"


def ago(text: str | None, now: datetime) -> str:
    """Return how long ago an instant was, or how long it is until then."""
    if text is None:
        return "never"
    seconds = (now - datetime.fromisoformat(text)).total_seconds()
    span = length(abs(seconds))
    return f"{span} ago" if seconds >= 0 else f"in {span}"


def length(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    span = timedelta(seconds=int(seconds))
    if span.days:
        return f"{span.days} d {span.seconds // 3600} h" if span.days < 10 else f"{span.days} d"
    hours, minutes = divmod(span.seconds // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{span.seconds} s"


@dataclass(frozen=True, slots=True)
class Told:
    """What a page says about the change that led to it."""

    text: str
    tone: str


_TOLD = {
    "connected": Told("The calendar is connected. Its meetings appear in a moment.", GOOD),
    "syncing": Told("The calendar is being synced.", GOOD),
    "override": Told("Applied. The decision follows within seconds.", GOOD),
    "cancelled": Told("The bot is being called back.", GOOD),
    "disconnecting": Told("The calendar is being disconnected and erased.", GOOD),
    "not_confirmed": Told("Nothing was changed: the address typed is not the calendar's.", WAITING),
    "rules_saved": Told("Saved. The decisions follow within seconds.", GOOD),
    "rules_removed": Told("These rules are removed.", GOOD),
    "rolled_back": Told("The earlier version is in force again, as the newest one.", GOOD),
    "test_sent": Told("A test is on its way.", GOOD),
    "replayed": Told("It is being sent again.", GOOD),
    "removed": Told("Removed.", GOOD),
    "revoked": Told("The key is revoked.", GOOD),
    "saved": Told("Saved.", GOOD),
}
_NOT_CONNECTED = "not_connected_"


def told(code: str | None) -> Told | None:
    """Return what to say about the change that led to a page."""
    if code and code.startswith(_NOT_CONNECTED):
        return Told(
            f"The calendar was not connected: {plain(code.removeprefix(_NOT_CONNECTED)) or 'unknown'}.", WAITING
        )
    return _TOLD.get(code or "")


def user_state(user: Mapping[str, Any]) -> Sentence:
    """Return the sentence for a calendar's state, with what its last sync left out."""
    state = USER_STATES.get(str(user["state"]), Sentence(plain(user["state"])))
    if user["state"] == "active" and user["error_code"]:
        return Sentence(f"Its last sync was not whole: {plain(user['error_code'])}.", "We try again at the next one.")
    return state


def bot_state(bot: Mapping[str, Any]) -> Sentence:
    """Return the sentence for a bot's state, with the reason of its failure."""
    state = BOT_STATES.get(str(bot["state"]), Sentence(plain(bot["state"])))
    if bot["state"] in ("failed", "missed"):
        why = failure(bot["failure_code"] or bot["outcome"])
        return Sentence(f"{state.text.rstrip('.')}: {why.text}", why.next_step)
    return state


def lateness(bot: Mapping[str, Any]) -> str:
    """Return how late a bot was sent, in seconds with one decimal and its sign."""
    sent, planned = bot["dispatched_at"], bot["dispatch_at"]
    if sent is None:
        return ""
    seconds = (datetime.fromisoformat(sent) - datetime.fromisoformat(planned)).total_seconds()
    return f"{seconds:+.1f} s"


def override_effect(event: Mapping[str, Any], now: datetime) -> str:
    """Say what switching the recording of this event would do."""
    bot = event["bot"]
    if event["end"] is not None and datetime.fromisoformat(event["end"]) <= now:
        return "The meeting is over: a switch matters only for later ones of its series."
    if event["meeting_url"] is None:
        return "Without a meeting link no bot can come, whatever is chosen."
    if bot is not None and bot["state"] not in ("scheduled", "completed", "failed", "cancelled", "missed"):
        return "“No” tells the bot to leave, unless somebody else wants the meeting recorded."
    if event["decision"]["outcome"] == "record":
        return "“No” calls the planned bot back, unless somebody else wants the meeting recorded."
    return "“Yes” plans a bot; if the meeting has begun, it goes at once."


_CHANGES = {
    "first_seen": "seen for the first time", "moved": "moved", "relinked": "got another link", "renamed": "got another title",
    "attendees": "people or their answers changed", "answered": "its owner answered", "cancelled": "was cancelled",
    "restored": "came back", "left": "left the calendar", "regrouped": "became a copy of another meeting",
    "decided": "was decided anew", "bot_linked": "got a bot", "override_set": "was switched by hand",
    "override_removed": "follows the rules again",
}  # fmt: skip


def change(entry: Mapping[str, Any]) -> str:
    """Return what an entry of an event's history says."""
    said = ", ".join(_CHANGES.get(name, plain(name)) for name in entry["changes"])
    outcome, why = entry["after"].get("outcome"), entry["after"].get("reason")
    decided = f": {outcome}, {plain(why)}" if outcome and why else f": {outcome}" if outcome else ""
    return f"{said}{decided} (by {plain(entry['source'])})"
