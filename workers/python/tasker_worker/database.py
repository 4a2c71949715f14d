"""A database connection that one loop owns, given up as soon as it may be at fault."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Optional, Sequence

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import namedtuple_row

log = logging.getLogger("tasker_worker")

# The server gives up a client that is gone without a word, and its locks with it.
_TRANSPORT = (
    "-c tcp_user_timeout=20000 -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
    "-c tcp_keepalives_count=2 -c jit=off -c client_min_messages=warning"
)

Connection = psycopg.AsyncConnection[Any]


class ReadOnly(Exception):
    """The server takes no writes: it is a standby, or was made read-only."""


class Session:
    """A connection of its own, opened at the first call and after a failure."""

    def __init__(self, url: str, deadline: float, lock_timeout_ms: int = 0) -> None:
        self._url = url
        self._deadline = deadline
        self._lock_timeout_ms = lock_timeout_ms
        self._connection: Optional[Connection] = None

    async def call(self, sql: str, *parameters: Any) -> Sequence[Any]:
        """Runs one statement, a transaction by itself, within the deadline; answers its rows."""
        try:
            return await asyncio.wait_for(self._call(sql, parameters), self._deadline)
        except BaseException as error:
            if not _spares_session(error):
                await self.close()
            raise

    async def _call(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        cursor = await (await self.connection()).execute(sql, parameters)
        return await cursor.fetchall() if cursor.description else []

    async def connection(self) -> Connection:
        """The connection, opened where it has to be."""
        if self._connection is None:
            milliseconds = int(self._deadline * 1000)
            options = (
                f"{conninfo_to_dict(self._url).get('options') or ''} {_TRANSPORT} "
                f"-c statement_timeout={milliseconds} -c lock_timeout={self._lock_timeout_ms} "
                f"-c idle_in_transaction_session_timeout={milliseconds}"
            )
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, row_factory=namedtuple_row,
                application_name="tasker", options=options.strip(),
            )
            self._connection = connection
            cursor = await connection.execute("select current_setting('transaction_read_only')")
            row = await cursor.fetchone()
            if row is None or row[0] != "off":
                raise ReadOnly("the server is read-only")
        return self._connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error of the database; empty for any other."""
    return (isinstance(error, psycopg.Error) and error.sqlstate) or ""


def is_locked(error: BaseException) -> bool:
    """Whether another transaction held what the call needs."""
    return sqlstate(error) == "55P03"


def is_about_data(error: BaseException) -> bool:
    """Whether the same call fails in any session: its data cannot be stored, or is refused."""
    # A statement that the driver cannot even send has no SQLSTATE.
    return sqlstate(error)[:2] in ("22", "23", "54", "TK") or isinstance(error, psycopg.DataError)


def may_pass(error: BaseException) -> bool:
    """Whether the database is away, or lacks something for a while: the same call may work later."""
    state = sqlstate(error)
    if not state:
        return isinstance(error, (psycopg.OperationalError, ReadOnly, OSError, asyncio.TimeoutError))
    return state[:2] in ("08", "25", "28", "40", "53", "57", "58", "3F") or state in ("42P01", "42883")


def _spares_session(error: BaseException) -> bool:
    return is_locked(error) or is_about_data(error)


class Outage:
    """How long a loop pauses after failures, and what it says of them: each cause once."""

    def __init__(self, what: str, longest: float = 1.0) -> None:
        self._what, self._longest = what, longest
        self._pause, self._told = 0.05, ""

    def failed(self, error: BaseException) -> float:
        """Notes a failure; answers the pause before the next attempt."""
        words = str(error).strip() or type(error).__name__
        if words != self._told:
            log.warning("could not %s: %s; trying again", self._what, words)
            self._told = words
        pause, self._pause = self._pause, min(self._pause * 2, self._longest)
        return pause * (0.5 + random.random() / 2)

    def over(self) -> None:
        if self._told:
            log.info("can %s again", self._what)
        self._pause, self._told = 0.05, ""
