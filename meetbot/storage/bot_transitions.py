"""The history of bots: a row for each change, added in the transaction that makes it."""

from __future__ import annotations

from sqlalchemy.orm import object_session
from sqlmodel import Session, col, select

from meetbot.domain.bot_history import MAX_REPEATED, Cause
from meetbot.domain.bot_state import BotState
from meetbot.storage.tables import Bot, BotTransition


def note_change(bot: Bot, before: BotState | None, cause: Cause) -> None:
    """Add a change of the bot, as it is now, to its history.

    ``before`` is the state that it had, None if it is new. The row is written with the transaction's other changes, those of
    many bots in one statement. The caller holds the meeting's row lock, so that numbers are given one by one.
    """
    if before is bot.state and bot.transitions >= MAX_REPEATED:
        return
    session = object_session(bot)
    if session is None:
        raise AssertionError("a bot changes within a transaction")
    bot.transitions += 1
    session.add(
        BotTransition(
            tenant_id=bot.tenant_id,
            bot_id=bot.id,
            number=bot.transitions,
            at=cause.at,
            change=cause.change,
            generation=bot.generation,
            from_state=before,
            to_state=bot.state,
            source=cause.source,
            code=cause.code,
            backend_code=cause.backend_code,
            dispatch_at=bot.dispatch_at,
        )
    )


def timeline(session: Session, tenant_id: str, bot_id: str, *, after: int, limit: int) -> list[BotTransition]:
    """Return a page of the bot's changes, the oldest first, after the one of that number."""
    rows = session.exec(
        select(BotTransition)
        .where(BotTransition.tenant_id == tenant_id, BotTransition.bot_id == bot_id)
        .where(col(BotTransition.number) > after)
        .order_by(col(BotTransition.number))
        .limit(limit)
    )
    return list(rows)
