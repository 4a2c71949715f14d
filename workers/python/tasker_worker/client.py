"""Submits tasks and reads them, over the SQL functions of docs/worker-protocol.md."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from select import select
from typing import Any, Iterator, Optional
from uuid import UUID

import psycopg
from psycopg import sql

SUBMIT = (
    "select tasker.submit_task(%s, %s, %s::jsonb, p_version => %s, p_priority => %s, "
    "p_idempotency_key => %s)"
)
GET = "select tasker.get_task(%s)"
STATES = "select tasker.channel('task_state')"
ENDED = ("complete", "error", "cancelled", "resolved_manually")
# A task that ended unnoticed is found after this long.
POLL_EVERY = 5.0


def _parameters(
    namespace: str, name: str, context: Any, version: Optional[str], priority: int,
    idempotency_key: Optional[str],
) -> tuple[Any, ...]:
    text = json.dumps({} if context is None else context, allow_nan=False)
    return namespace, name, text, version, priority, idempotency_key


def submit(
    connection: Any, namespace: str, name: str, context: Any = None, *,
    version: Optional[str] = None, priority: int = 0, idempotency_key: Optional[str] = None,
) -> UUID:
    """Submits a task on the caller's connection, in its transaction: the task exists when that commits.

    Any DB-API connection to PostgreSQL will do: psycopg's, Django's ``connection``, SQLAlchemy's
    ``connection.connection``. Answers the first task where the idempotency key is known.
    """
    with _cursor(connection) as cursor:
        cursor.execute(
            SUBMIT, _parameters(namespace, name, context, version, priority, idempotency_key)
        )
        return UUID(str(cursor.fetchone()[0]))


async def submit_async(
    connection: psycopg.AsyncConnection[Any], namespace: str, name: str, context: Any = None, *,
    version: Optional[str] = None, priority: int = 0, idempotency_key: Optional[str] = None,
) -> UUID:
    """The same on a connection of asyncio."""
    parameters = _parameters(namespace, name, context, version, priority, idempotency_key)
    cursor = connection.cursor(row_factory=psycopg.rows.tuple_row)
    await cursor.execute(SUBMIT, parameters)
    row = await cursor.fetchone()
    assert row is not None, "the function answers a row"
    return UUID(str(row[0]))


@contextmanager
def _cursor(connection: Any) -> Iterator[Any]:
    psycopg3 = isinstance(connection, psycopg.Connection)
    cursor = (
        connection.cursor(row_factory=psycopg.rows.tuple_row) if psycopg3 else connection.cursor()
    )
    try:
        yield cursor
    finally:
        cursor.close()


class Client:
    """A connection of its own, for programs and tests; not to be shared by threads."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(
            database_url, autocommit=True, application_name="tasker"
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def submit(
        self, namespace: str, name: str, context: Any = None, *, version: Optional[str] = None,
        priority: int = 0, idempotency_key: Optional[str] = None,
    ) -> UUID:
        """Submits a task; it is durable when this returns."""
        return submit(
            self._connection, namespace, name, context, version=version, priority=priority,
            idempotency_key=idempotency_key,
        )

    def get(self, task_uuid: UUID) -> dict[str, Any]:
        """The task with its steps; raises `KeyError` where there is none."""
        row = self._connection.execute(GET, (task_uuid,)).fetchone()
        if row is None or row[0] is None:
            raise KeyError(f"there is no task {task_uuid}")
        task: dict[str, Any] = row[0]
        return task

    def wait(self, task_uuid: UUID, timeout: float = 60.0) -> dict[str, Any]:
        """The task once it has ended; raises `TimeoutError`."""
        until = time.monotonic() + timeout
        row = self._connection.execute(STATES).fetchone()
        assert row is not None, "the function answers a row"
        channel = sql.Identifier(row[0])
        # Listens before it looks, so that an end in between is not missed.
        self._connection.execute(sql.SQL("listen {}").format(channel))
        try:
            while True:
                task = self.get(task_uuid)
                if task["state"] in ENDED:
                    return task
                left = until - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"task {task_uuid} is still {task['state']}")
                self._await_notification(str(task_uuid), min(left, POLL_EVERY))
        finally:
            self._connection.execute(sql.SQL("unlisten {}").format(channel))

    def _await_notification(self, part: str, timeout: float) -> None:
        """Waits for a notification whose payload has this part."""
        until = time.monotonic() + timeout
        pgconn = self._connection.pgconn
        while (left := until - time.monotonic()) > 0:
            if not select([pgconn.socket], [], [], left)[0]:
                return
            pgconn.consume_input()
            heard = False
            while (notification := pgconn.notifies()) is not None:
                heard |= part in notification.extra.decode()
            if heard:
                return
