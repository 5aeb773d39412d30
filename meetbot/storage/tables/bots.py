"""The tables of meetings and their bots: claims, bots, dispatches and reports."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from meetbot.domain.bot_history import BotChange, ChangeSource
from meetbot.domain.bot_state import LIVE_STATES, BotState
from meetbot.domain.dispatch_state import DispatchState
from meetbot.storage import columns

_IS_LIVE_BOT = columns.one_of("state", LIVE_STATES)


class Meeting(SQLModel, table=True):
    """The one row on which everything about a meeting's bots is serialised.

    ``suppressed_at`` is set while the meeting gets no bot because a person cancelled one. ``generation`` counts the
    dispatches ever intended, over all bots of the meeting. ``leader_calendar_user_id`` is whose copy led last.
    """

    __tablename__ = "meeting"

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    generation: int = 0
    suppressed_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    suppressed_by: str | None = None
    leader_calendar_user_id: str | None = None
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class BotClaim(SQLModel, table=True):
    """A calendar user's wish that a meeting be recorded.

    ``acknowledged_digest`` is the target that its bot was last reconciled with. ``unsettled_at`` is set when the copy and
    the leading one no longer are as when the claim was made: the next sync says again whose meeting it is.
    """

    __tablename__ = "bot_claim"
    __table_args__ = (Index("ix_bot_claim_user", "tenant_id", "calendar_user_id"),)

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    calendar_user_id: str = Field(primary_key=True)
    event_id: str
    target_digest: str
    acknowledged_digest: str | None = None
    unsettled_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=columns.now())


class Bot(SQLModel, table=True):
    """One recording bot; the partial unique index makes two live ones of a meeting impossible.

    ``room`` stands for platform and meeting id, null if there is none. ``shared_bot_id`` is the bot of another meeting in the
    same room that served this one's meeting instead; its ``outcome`` is ``shared`` then. ``heard_at`` is when its backend last
    reported it or was last asked about it.
    """

    __tablename__ = "bot"
    __table_args__ = (
        Index(
            "uq_bot_live_meeting",
            "tenant_id",
            "meeting_key",
            unique=True,
            postgresql_where=text(_IS_LIVE_BOT),
        ),
        Index("ix_bot_live_dispatch_at", "dispatch_at", postgresql_where=text(_IS_LIVE_BOT)),
        Index("ix_bot_meeting", "tenant_id", "meeting_key", "created_at"),
        Index("ix_bot_room", "tenant_id", "room", "end_at", postgresql_where=text("room is not null")),
        Index("ix_bot_shared", "tenant_id", "shared_bot_id", postgresql_where=text("shared_bot_id is not null")),
    )

    tenant_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    meeting_key: str
    generation: int
    state: BotState = Field(sa_column=columns.state_of(BotState))
    join_at: datetime = Field(sa_column=columns.instant())
    end_at: datetime = Field(sa_column=columns.instant())
    dispatch_at: datetime = Field(sa_column=columns.instant())
    dispatched_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    meeting_url: str = Field(sa_column=Column(Text, nullable=False))
    target_digest: str
    event_id: str
    backend: str
    backend_bot_id: str | None = None
    outcome: str | None = None
    room: str | None = None
    shared_bot_id: str | None = None
    failure_code: str | None = None
    recorded_seconds: int | None = None
    heard_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    sequence: int = Field(default=1, sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    transitions: int = columns.counted(0)
    created_at: datetime | None = Field(default=None, sa_column=columns.now())
    updated_at: datetime | None = Field(default=None, sa_column=columns.now())


class BotTransition(SQLModel, table=True):
    """One change of a bot, never changed again.

    ``number`` counts the bot's changes (`Bot.transitions`). ``dispatch_at`` is when the backend was to be asked, as planned
    then. ``from_state`` is null at the bot's creation.
    """

    __tablename__ = "bot_transition"

    tenant_id: str = Field(primary_key=True)
    bot_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    at: datetime = Field(sa_column=columns.instant())
    change: BotChange = Field(sa_column=columns.state_of(BotChange))
    generation: int
    from_state: BotState | None = Field(default=None, sa_column=columns.state_of(BotState, nullable=True))
    to_state: BotState = Field(sa_column=columns.state_of(BotState))
    source: ChangeSource = Field(sa_column=columns.state_of(ChangeSource))
    code: str | None = None
    backend_code: str | None = None
    dispatch_at: datetime = Field(sa_column=columns.instant())


class Dispatch(SQLModel, table=True):
    """The intent to ask the backend for a bot, written before it is asked.

    There is at most one for a meeting and generation. ``recalled_at`` is when the backend was (or was about to be) told to
    take the bot back.
    """

    __tablename__ = "dispatch"
    __table_args__ = (CheckConstraint(columns.one_of("state", DispatchState), name="state"),)

    tenant_id: str = Field(primary_key=True)
    meeting_key: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    bot_id: str = Field(index=True)
    external_id: str = Field(unique=True)
    state: DispatchState = Field(sa_column=columns.state_of(DispatchState))
    backend_bot_id: str | None = None
    requested_at: datetime | None = Field(default=None, sa_column=columns.now())
    accepted_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    recalled_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=columns.instant(nullable=True))


class LaunchHold(SQLModel, table=True):
    """A bot that a process holds until its instant.

    ``holder`` names the process by the advisory lock that it keeps while it lives. ``task_token`` completes the activity that
    waits for the dispatch; null if none does yet.
    """

    __tablename__ = "launch_hold"

    tenant_id: str = Field(primary_key=True)
    bot_id: str = Field(primary_key=True)
    meeting_key: str
    generation: int
    wait_is_over: bool = False
    holder: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    task_token: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    held_at: datetime | None = Field(default=None, sa_column=columns.now())


class BackendReport(SQLModel, table=True):
    """A status report taken from a bot backend, so that a repeated delivery changes nothing."""

    __tablename__ = "backend_report"

    tenant_id: str = Field(primary_key=True)
    backend: str = Field(primary_key=True)
    delivery_id: str = Field(primary_key=True)
    received_at: datetime | None = Field(default=None, sa_column=columns.now())
