"""Attempts to connect a calendar, from the ticket to the used state.

Each transition is one conditional update: it happens once, however many requests race for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Row, text
from sqlalchemy.orm import undefer
from sqlmodel import Session, col, select

from meetbot.storage.tables import ConnectAttempt
from meetbot.vault.sealing import SealedSecret

_KEPT_AFTER_EXPIRY = timedelta(days=1)


def add_attempt(session: Session, attempt: ConnectAttempt) -> None:
    """Store a new attempt, and delete some of the tenant's long expired ones."""
    session.execute(_PURGE, {"tenant_id": attempt.tenant_id, "age": _KEPT_AFTER_EXPIRY})
    session.add(attempt)
    session.flush()


def find_by_ticket(session: Session, tenant_id: str, ticket_hash: bytes) -> ConnectAttempt | None:
    """Return the attempt of a ticket, used or not."""
    return session.get(ConnectAttempt, (tenant_id, ticket_hash))


def count_open_reconnections(session: Session, tenant_id: str, calendar_user_id: str) -> int:
    """Return the number of unexpired attempts to reconnect this calendar, used or not.

    Holds the calendar user's row until the transaction ends, so that requests at the same moment count each other.
    """
    values = {"tenant_id": tenant_id, "calendar_user_id": calendar_user_id}
    session.execute(_LOCK_CALENDAR_USER, values)
    return int(session.execute(_COUNT_OPEN_RECONNECTIONS, values).scalar_one())


def use_ticket(
    session: Session,
    tenant_id: str,
    ticket_hash: bytes,
    *,
    state_hash: bytes,
    browser_hash: bytes,
    nonce: str,
    oauth_client_id: str | None,
    lifetime: timedelta,
) -> bool:
    """Bind the attempt to a browser; return True only once and before it expires.

    From then on the state lives for `lifetime`. ``oauth_client_id`` is the tenant's own client, None for ours.
    """
    return _happened(
        session.execute(
            _USE_TICKET,
            {
                "tenant_id": tenant_id,
                "ticket_hash": ticket_hash,
                "state_hash": state_hash,
                "browser_hash": browser_hash,
                "nonce": nonce,
                "oauth_client_id": oauth_client_id,
                "lifetime": lifetime,
            },
        ).one_or_none()
    )


_HOLD = text("select 1 from connect_attempt where tenant_id = :tenant_id and ticket_hash = :ticket_hash for key share")


def hold_attempt(session: Session, attempt: ConnectAttempt) -> bool:
    """Keep the attempt from being deleted until the transaction ends. False if it is gone.

    An erasure deletes the attempts of whom it erases: what comes of one is not stored after it.
    """
    bounds = {"tenant_id": attempt.tenant_id, "ticket_hash": attempt.ticket_hash}
    return session.execute(_HOLD, bounds).first() is not None


def find_unused(session: Session, tenant_id: str, *, state_hash: bytes, browser_hash: bytes) -> ConnectAttempt | None:
    """Return the attempt of this browser and this state, expired or not.

    None once the state was used.
    """
    return session.exec(
        select(ConnectAttempt).where(
            ConnectAttempt.tenant_id == tenant_id,
            ConnectAttempt.state_hash == state_hash,
            ConnectAttempt.browser_hash == browser_hash,
            ConnectAttempt.used_at == None,  # noqa: E711 - becomes SQL
        )
    ).one_or_none()


def use_state(session: Session, tenant_id: str, *, state_hash: bytes, browser_hash: bytes) -> bool:
    """Use up the state; return True only once and before it expires."""
    values = {"tenant_id": tenant_id, "state_hash": state_hash, "browser_hash": browser_hash}
    return _happened(session.execute(_USE_STATE, values).one_or_none())


def use_state_for_exchange(
    session: Session, tenant_id: str, *, state_hash: bytes, browser_hash: bytes, exchange_id: str, sealed: SealedSecret
) -> bool:
    """Use up the state and keep the sealed code for the worker.

    Return True only once and before it expires.
    """
    values = {
        "tenant_id": tenant_id,
        "state_hash": state_hash,
        "browser_hash": browser_hash,
        "exchange_id": exchange_id,
        "kek_version": sealed.kek_version,
        "wrapped_key": sealed.wrapped_key,
        "ciphertext": sealed.nonce_and_ciphertext,
    }
    return _happened(session.execute(_USE_STATE_FOR_EXCHANGE, values).one_or_none())


def find_exchanging(
    session: Session, tenant_id: str, *, state_hash: bytes, browser_hash: bytes
) -> ConnectAttempt | None:
    """Return the attempt of this browser and this state, if its code was left to the worker."""
    return session.exec(
        select(ConnectAttempt)
        .where(
            ConnectAttempt.tenant_id == tenant_id,
            ConnectAttempt.state_hash == state_hash,
            ConnectAttempt.browser_hash == browser_hash,
            col(ConnectAttempt.exchange_id).is_not(None),
        )
        .execution_options(populate_existing=True)
    ).one_or_none()


def find_exchange(session: Session, tenant_id: str, exchange_id: str) -> ConnectAttempt | None:
    """Return the attempt of an exchange with its sealed code. Only the worker may read that."""
    return session.exec(
        select(ConnectAttempt)
        .where(ConnectAttempt.tenant_id == tenant_id, ConnectAttempt.exchange_id == exchange_id)
        .options(undefer("*"))
    ).one_or_none()


def note_outcome(
    session: Session, attempt: ConnectAttempt, *, connected_user_id: str | None = None, error: str | None = None
) -> None:
    """Note how the exchange ended, and drop the code."""
    values = {
        "tenant_id": attempt.tenant_id,
        "exchange_id": attempt.exchange_id,
        "outcome": error or CONNECTED,
        "connected_user_id": connected_user_id,
    }
    session.execute(_NOTE_OUTCOME, values)


CONNECTED = "connected"


def _happened(row: Row[tuple[datetime]] | None) -> bool:
    return row is not None


_LOCK_CALENDAR_USER = text(
    "select 1 from calendar_user where tenant_id = :tenant_id and id = :calendar_user_id for no key update"
)
_COUNT_OPEN_RECONNECTIONS = text(
    """
    select count(*) from connect_attempt
     where tenant_id = :tenant_id and reconnect_calendar_user_id = :calendar_user_id and expires_at > now()
    """
)
_USE_TICKET = text(
    """
    update connect_attempt
       set state_hash = :state_hash, browser_hash = :browser_hash, nonce = :nonce, oauth_client_id = :oauth_client_id,
           expires_at = now() + :lifetime
     where tenant_id = :tenant_id and ticket_hash = :ticket_hash
       and state_hash is null and used_at is null and expires_at > now()
    returning expires_at
    """
)
_USE_STATE = text(
    """
    update connect_attempt set used_at = now()
     where tenant_id = :tenant_id and state_hash = :state_hash and browser_hash = :browser_hash
       and used_at is null and expires_at > now()
    returning used_at
    """
)
_USE_STATE_FOR_EXCHANGE = text(
    """
    update connect_attempt
       set used_at = now(), exchange_id = :exchange_id, kek_version = :kek_version, wrapped_key = :wrapped_key,
           code_ciphertext = :ciphertext
     where tenant_id = :tenant_id and state_hash = :state_hash and browser_hash = :browser_hash
       and used_at is null and expires_at > now()
    returning used_at
    """
)
_NOTE_OUTCOME = text(
    """
    update connect_attempt
       set outcome = :outcome, connected_user_id = :connected_user_id,
           kek_version = null, wrapped_key = null, code_ciphertext = null
     where tenant_id = :tenant_id and exchange_id = :exchange_id and outcome is null
    """
)
_PURGE = text(
    """
    delete from connect_attempt
     where tenant_id = :tenant_id and ticket_hash in (
           select ticket_hash from connect_attempt
            where tenant_id = :tenant_id and expires_at < now() - :age limit 100)
    """
)
