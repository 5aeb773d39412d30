"""The pulse of a process, by which others notice its death.

PostgreSQL frees the lock when the process dies. It is an advisory lock of a session, so it costs nothing while it is
held. The connection is the process's own and must not go
through a proxy that shares connections between transactions.
"""

from __future__ import annotations

import contextlib
import secrets

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from meetbot.storage import launch_holds
from meetbot.storage.database import Database
from meetbot.temporal.messages import DispatchRequest

_ID_BITS = 62
# The other end of a host that vanished is noticed by these; a process that dies closes its sockets at once.
_KEEPALIVES = text(
    "select set_config('tcp_keepalives_idle', '2', false), set_config('tcp_keepalives_interval', '1', false),"
    " set_config('tcp_keepalives_count', '2', false)"
)
_LOCK = text("select pg_try_advisory_lock(:holder)")
_UNLOCK = text("select pg_advisory_unlock(:holder)")


class Pulse:
    """This process's sign of life, and its look for those of others.

    Blocking, and not to be shared between threads.
    """

    def __init__(self, database: Database) -> None:
        self.holder = secrets.randbits(_ID_BITS)
        self._database = database
        self._connection: Connection | None = None

    def beat(self) -> None:
        """Make sure that the lock is held.

        Raises SQLAlchemy's errors while the database does not answer.
        """
        if self._connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                self._connection.execute(text("select 1"))
                return
            self.stop()
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # Never given back to the pool, which would hand it on with the lock.
        connection.detach()
        connection.execute(_KEEPALIVES)
        if connection.execute(_LOCK, {"holder": self.holder}).scalar_one():
            self._connection = connection
        else:
            # Its last session has not ended yet for the database: the next beat tries again.
            connection.close()

    def take_over(self) -> list[DispatchRequest]:
        """Take the bots of processes that have died since."""
        with self._database.relay() as session:
            others = launch_holds.other_holders(session, self.holder)
        taken: list[DispatchRequest] = []
        for other in others:
            if self._connection is None or not self._connection.execute(_LOCK, {"holder": other}).scalar_one():
                continue
            try:
                with self._database.relay() as session:
                    taken += launch_holds.take_over(session, self.holder, other)
            finally:
                self._connection.execute(_UNLOCK, {"holder": other})
        return taken

    def stop(self) -> None:
        """Let go of the lock: what this process still holds is for others."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()
