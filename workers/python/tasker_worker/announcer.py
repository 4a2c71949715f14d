"""Notifies other processes, after a commit, of what they should look at.

The calls that record outcomes are silent, because a NOTIFY inside a transaction holds up every other
commit of the database. What gathers during one announcement is the next. One that is lost costs a
polling interval, never a task.
"""

from __future__ import annotations

import asyncio
from typing import Any, Mapping, Optional
from uuid import UUID

from tasker_worker.database import Outage, Session, is_about_data
from tasker_worker.protocol import ANNOUNCE
from tasker_worker.wake import Wake

# Announcements are hints: more than these are forgotten while the database is away.
MOST_KEPT = 10_000


class Announcer:
    """The loop that sends; `close` lets it end with what it has."""

    def __init__(self, url: str) -> None:
        self._session = Session(url, deadline=5)
        self._outage = Outage("announce")
        self._wake = Wake()
        self._closed = False
        self._ready: list[tuple[UUID, Optional[UUID]]] = []
        self._ended: list[UUID] = []
        self._queues: set[str] = set()
        self._timer_set = False

    def add(self, moved: Any, readied_by: Mapping[UUID, UUID]) -> None:
        """What a call that moved steps answered, and which steps made tasks ready."""
        self._ready += [(task, readied_by.get(task)) for task in moved.ready_tasks]
        self._ended += moved.finished_tasks + moved.cancelled_tasks
        self._queues |= set(moved.woken_queues)
        self._timer_set |= moved.timer_set
        self._wake.set()

    def add_again(self, task_uuid: UUID) -> None:
        """A call whose answer got lost may have recorded something of this task."""
        self._ready.append((task_uuid, None))
        self._ended.append(task_uuid)
        self._timer_set = True
        self._wake.set()

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        failures = 0
        while True:
            if not (self._ready or self._ended or self._queues or self._timer_set):
                if self._closed:
                    break
                self._wake.clear()
                await self._wake.wait()
                continue
            ready, ended, queues = self._ready[:MOST_KEPT], self._ended[:MOST_KEPT], self._queues
            timer_set = self._timer_set
            self._ready, self._ended, self._queues, self._timer_set = [], [], set(), False
            tasks, steps = [task for task, _ in ready], [step for _, step in ready]
            try:
                await self._session.call(ANNOUNCE, tasks, ended, sorted(queues), timer_set, steps)
                self._outage.over()
                failures = 0
            except Exception as error:
                failures += 1
                pause = self._outage.failed(error)
                if is_about_data(error) or (self._closed and failures > 3):
                    continue
                self._ready, self._ended = ready + self._ready, ended + self._ended
                self._queues |= queues
                self._timer_set |= timer_set
                await asyncio.sleep(pause)
        await self._session.close()
