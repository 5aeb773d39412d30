"""What a person asks when no bot came, answered from what is known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from meetbot.calendars.provider_waits import HELD
from meetbot.domain.account_calendar import CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar, selected_ids
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.decision import Outcome
from meetbot.domain.push import PushHealth, PushState
from meetbot.storage.user_checks import EventCount
from meetbot.temporal.calendar_messages import ANSWERED

DAYS_AHEAD = 14
_RECONNECT = "Have the user open the reconnect_url of the calendar user."
_AGAIN = "Ask again in a minute."


class CheckName(StrEnum):
    """What is checked."""

    TOKEN = "token"  # noqa: S105 - the name of a check
    SCOPES = "scopes"
    CALENDARS = "calendars"
    PUSH = "push"
    LAST_SYNC = "last_sync"
    EVENTS = "events"
    SCHEDULER = "scheduler"
    BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class UserCheck:
    """One check; ``ok`` None: it is not known, or does not matter."""

    check: CheckName
    ok: bool | None
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class WorkerFound:
    """What the worker found out: `ANSWERED` or the code of a failure, None if it has not said.

    ``at`` is when that was, None if the worker has never been reached. ``is_reached``: whether Temporal answers now; None if
    it was not asked, because what was found is fresh enough.
    """

    is_reached: bool | None
    provider: str | None = None
    backend: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What is known of a calendar user.

    ``slowest_poll`` is the longest time between two syncs that are as they should be.
    """

    now: datetime
    state: CalendarUserStatus
    state_changed_at: datetime
    error_code: str | None
    scopes: frozenset[str]
    missing_scopes: Callable[[frozenset[str]], frozenset[str]]
    calendars: Sequence[KnownCalendar]
    mode: CalendarsMode
    push: PushHealth
    last_synced_at: datetime | None
    slowest_poll: timedelta
    events: Sequence[EventCount]
    found: WorkerFound

    @property
    def is_fresh(self) -> bool:
        """Return whether the last sync is as recent as it should be.

        Then it shows that the token is good.
        """
        return self.last_synced_at is not None and is_fresh(self.last_synced_at, self.slowest_poll, self.now)


def is_fresh(synced_at: datetime | None, slowest_poll: timedelta, now: datetime) -> bool:
    """Return whether a sync that began then is no older than two polls and a minute."""
    return synced_at is not None and now < synced_at + 2 * slowest_poll + timedelta(minutes=1)


def check_user(facts: UserFacts) -> list[UserCheck]:
    """Return all checks, in their order."""
    return [
        _token(facts),
        _scopes(facts),
        _calendars(facts),
        _push(facts),
        _last_sync(facts),
        _events(facts),
        _scheduler(facts),
        _backend(facts),
    ]


def _token(facts: UserFacts) -> UserCheck:
    name = CheckName.TOKEN
    if facts.state not in CONNECTED:
        since = f"Access was lost {_ago(facts.now - facts.state_changed_at)} ago ({facts.error_code or 'unknown'})."
        return UserCheck(name, False, since, _RECONNECT)
    if facts.last_synced_at is not None and facts.is_fresh:
        return UserCheck(name, True, f"It read the calendar {_ago(facts.now - facts.last_synced_at)} ago.")
    found = facts.found
    if found.provider is None or found.at is None:
        return UserCheck(name, None, "The last sync is too old to tell, and nobody could ask the provider.", _AGAIN)
    when = f"{_ago(facts.now - found.at)} ago"
    if found.provider == ANSWERED:
        return UserCheck(name, True, f"The provider took it {when}.")
    if found.provider == HELD:
        return UserCheck(name, None, "The provider asked us to wait.", "Nothing to do: it is asked again after that.")
    detail = f"The provider, or the way to it, failed {when} ({found.provider})."
    return UserCheck(name, False, detail, "If it fails again in an hour, have the user connect again.")


def _scopes(facts: UserFacts) -> UserCheck:
    missing = sorted(facts.missing_scopes(facts.scopes))
    if missing:
        return UserCheck(CheckName.SCOPES, False, f"Not granted: {', '.join(missing)}.", _RECONNECT)
    return UserCheck(CheckName.SCOPES, True, "All that are needed are granted.")


def _calendars(facts: UserFacts) -> UserCheck:
    name = CheckName.CALENDARS
    if not facts.calendars:
        return UserCheck(name, None, "No calendar was listed yet.", "Wait for the first sync.")
    selected = set(selected_ids(facts.calendars, facts.mode))
    # One that is gone counts if it was named: somebody wants it.
    counted = [one for one in facts.calendars if one.id in selected or (one.named and one.gone_at is not None)]
    failing = [one for one in counted if one.error_code is not None]
    detail = f"{len(selected)} of {len(facts.calendars)} calendars are read (mode {facts.mode})."
    if failing:
        codes = ", ".join(sorted({one.error_code for one in failing if one.error_code is not None}))
        detail = f"{detail} {len(failing)} could not be: {codes}."
        return UserCheck(name, False, detail, "GET the calendars of this calendar user: each says what to do.")
    return UserCheck(name, True, detail)


def _push(facts: UserFacts) -> UserCheck:
    name, state = CheckName.PUSH, facts.push.state
    if state is PushState.ACTIVE:
        return UserCheck(name, True, "The provider reports all calendars' changes.")
    if state is PushState.FAILING:
        detail = "The provider does not report all calendars' changes; they are polled."
        step = "Nothing is lost. If it stays so, the operator's page on push says what to look at."
        return UserCheck(name, False, detail, step)
    detail = "Channels are being opened." if state is PushState.PENDING else "Push is off; the calendars are polled."
    return UserCheck(name, None, detail)


def _last_sync(facts: UserFacts) -> UserCheck:
    name, at = CheckName.LAST_SYNC, facts.last_synced_at
    noted = f" The last one noted: {facts.error_code}." if facts.error_code else ""
    if at is None:
        return UserCheck(
            name, False, f"It has not been synced yet.{noted}", "POST its sync, and ask again in a minute."
        )
    detail = f"The last complete sync began {_ago(facts.now - at)} ago.{noted}"
    if facts.is_fresh:
        return UserCheck(name, True, detail)
    step = _RECONNECT if facts.state not in CONNECTED else "POST its sync, and look at the check of the token."
    return UserCheck(name, False, detail, step)


def _events(facts: UserFacts) -> UserCheck:
    name = CheckName.EVENTS
    total = sum(one.count for one in facts.events)
    linked = sum(one.count for one in facts.events if one.has_link)
    recorded = sum(one.count for one in facts.events if one.outcome == Outcome.RECORD)
    detail = f"Of {total} events in the next {DAYS_AHEAD} days {linked} have a meeting link, and {recorded} are to be recorded."
    if recorded:
        return UserCheck(name, True, detail)
    if not total:
        return UserCheck(name, False, detail, "Look whether the meetings stand on a calendar that is read.")
    reasons = [one.reason for one in facts.events if one.has_link] or [one.reason for one in facts.events]
    detail = f"{detail} Most often the reason is {reasons[0]}."
    return UserCheck(name, False, detail, "GET the events with decision=skip: each says why, and by which rule.")


def _scheduler(facts: UserFacts) -> UserCheck:
    name, found = CheckName.SCHEDULER, facts.found
    if found.is_reached is False:
        detail = "What starts syncs and bots does not answer. Changes wait; nothing is lost."
        return UserCheck(name, False, detail, "The operator has to look at Temporal.")
    if found.at is None or (found.is_reached and found.backend is None and found.provider is None):
        detail = "It answers, but no worker did in time."
        return UserCheck(name, False, detail, f"{_AGAIN} If it stays so, the operator has to look at the workers.")
    return UserCheck(name, True, f"It and a worker answered {_ago(facts.now - found.at)} ago.")


def _backend(facts: UserFacts) -> UserCheck:
    name, found = CheckName.BACKEND, facts.found
    if found.backend is None or found.at is None:
        return UserCheck(name, None, "Nobody could ask the bot backend.", _AGAIN)
    when = f"{_ago(facts.now - found.at)} ago"
    if found.backend == ANSWERED:
        return UserCheck(name, True, f"The bot backend answered {when}.")
    detail = f"The bot backend failed {when} ({found.backend})."
    return UserCheck(
        name, False, detail, "The operator has to look at MEETBOT_BACKEND_URL and MEETBOT_BACKEND_API_KEY."
    )


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
