"""Listens for what concerns a worker. Notifications are hints: polling finds what they miss."""

from __future__ import annotations

import asyncio
import json
from typing import Callable, Iterable
from uuid import UUID

import psycopg
from psycopg import Notify

from tasker_worker.database import Outage, Session, log
from tasker_worker.protocol import CHANNELS
from tasker_worker.wake import Wake

# A connection that died without a word is noticed after this long.
PING_EVERY = 30.0


class Listener:
    """The loop. ``queue`` is called for new messages, and after each new connection, because anything
    may have been missed; ``namespaces`` where some came or went; ``cancelled`` with tasks."""

    def __init__(
        self, url: str, namespaces: tuple[str, ...],
        queue: Callable[[], None], namespaces_changed: Callable[[], None],
        cancelled: Callable[[list[UUID]], None],
    ) -> None:
        self._session = Session(url, deadline=10)
        self._served = namespaces
        self._queue, self._namespaces, self._cancelled = queue, namespaces_changed, cancelled
        self._queues: frozenset[str] = frozenset()
        self._outage = Outage("listen")
        self._readable = Wake()
        self._channels = ("", "", "")
        self._closed = False

    def listen_to(self, namespaces: Iterable[str]) -> None:
        """The namespaces whose queues are listened to from now on."""
        self._queues = frozenset(namespaces)
        self._readable.set()

    async def run(self) -> None:
        while not self._closed:
            try:
                await self._listen()
            except Exception as error:
                await self._session.close()
                await asyncio.sleep(self._outage.failed(error))
        await self._session.close()

    def close(self) -> None:
        self._closed = True
        self._readable.set()

    async def _listen(self) -> None:
        connection = await asyncio.wait_for(self._session.connection(), 10)
        connection.add_notify_handler(self._notified)
        created, removed, states = (await self._session.call(CHANNELS))[0]
        self._channels = (created, removed, states)
        of_states = [f"{states}.{name}" for name in self._served] or [states]
        await self._switch("listen", [created, removed, *of_states])
        listening: frozenset[str] = frozenset()
        self._outage.over()
        self._namespaces()
        self._queue()
        loop, descriptor = asyncio.get_running_loop(), connection.fileno()
        while not self._closed:
            wanted = self._queues
            await self._switch("unlisten", map(_channel, listening - wanted))
            await self._switch("listen", map(_channel, wanted - listening))
            if wanted - listening:
                self._queue()
            listening = wanted
            self._readable.clear()
            # Statements wait for the same descriptor, so that it is watched between them only.
            loop.add_reader(descriptor, self._readable.set)
            try:
                is_idle = not await self._readable.wait(PING_EVERY)
            finally:
                loop.remove_reader(descriptor)
            if is_idle:
                await self._session.call("select 1")
            connection.pgconn.consume_input()
            notification = connection.pgconn.notifies()
            while notification is not None:
                name, payload = notification.relname.decode(), notification.extra.decode()
                self._notified(Notify(name, payload, notification.be_pid))
                notification = connection.pgconn.notifies()

    async def _switch(self, statement: str, channels: Iterable[str]) -> None:
        for channel in channels:
            name = channel.replace('"', '""')
            await self._session.call(f'{statement} "{name}"')

    def _notified(self, notification: psycopg.Notify) -> None:
        created, removed, states = self._channels
        channel = notification.channel
        if channel in (created, removed):
            self._namespaces()
        elif channel == states or channel.startswith(f"{states}."):
            try:
                change = json.loads(notification.payload)
                if change["task_state"] == "cancelled":
                    self._cancelled([UUID(task) for task in change["task_uuids"]])
            except Exception as error:
                log.debug("a notification about tasks was not understood: %s", error)
        else:
            self._queue()


def _channel(namespace: str) -> str:
    return f"pgmq.q_worker_{namespace}_queue.INSERT"
