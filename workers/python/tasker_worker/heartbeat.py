"""Keeps leases, and the row by which others see that the worker runs.

It has a thread, a loop and a connection of its own: a handler that blocks the worker's loop must not
lose the leases of all others by that.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from typing import Callable, Sequence
from uuid import uuid4

from tasker_worker.database import Outage, Session, log
from tasker_worker.leases import Leases
from tasker_worker.protocol import DEREGISTER, EXTEND, REGISTER, SEEN, columns
from tasker_worker.settings import Settings
from tasker_worker.wake import Wake

# The row is written so often; a worker that missed two of these is called silent.
SEEN_EVERY = 10.0
# The part of a lease that one call may take: two fit into what is left when a heartbeat is due.
CALLS_PER_LEASE = 4


class Heartbeat:
    """The thread. ``places`` answers how many steps run; what is lost is reported to the worker's loop."""

    def __init__(
        self, settings: Settings, handlers: Sequence[str], leases: Leases,
        places: Callable[[], int], version: str,
    ) -> None:
        self._settings, self._leases, self._places = settings, leases, places
        self._handlers, self._version = list(handlers), version
        self._worker_loop = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._wake = Wake()
        self._draining = self._stopped = False
        self._extend_now = self._write_now = True
        self._thread = threading.Thread(target=self._run, name="tasker-heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def extend_now(self) -> None:
        """Extends leases, and so finds out which steps are still wanted; from any thread."""
        self._extend_now = True
        self._notify()

    def drain(self) -> None:
        """The worker takes no more steps."""
        self._draining = self._write_now = True
        self._notify()

    async def stop(self) -> None:
        self._stopped = True
        self._notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, SEEN_EVERY)

    def _notify(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._wake.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._beat())
        self._loop.close()

    async def _beat(self) -> None:
        settings = self._settings
        lease = settings.lease_seconds
        session = Session(settings.database_url, lease / CALLS_PER_LEASE, lock_timeout_ms=100)
        extending, writing = Outage("extend leases", lease / 12), Outage("tell that the worker runs", 10)
        registration, started, registered = uuid4(), time.monotonic(), False
        next_beat = next_write = time.monotonic()
        while not self._stopped:
            now = time.monotonic()
            if self._extend_now or now >= next_beat:
                self._extend_now, next_beat = False, now + lease / 3
                try:
                    await self._extend(session)
                    extending.over()
                except Exception as error:
                    next_beat = now + extending.failed(error)
            if self._write_now or now >= next_write:
                self._write_now = False
                try:
                    registered = await self._write(session, registration, started, registered)
                    next_write = time.monotonic() + SEEN_EVERY + random.random()
                    writing.over()
                except Exception as error:
                    next_write = time.monotonic() + writing.failed(error)
            await self._wake.wait(min(next_beat, next_write) - time.monotonic())
            self._wake.clear()
        try:
            await asyncio.wait_for(session.call(DEREGISTER, registration), 2)
        except Exception as error:
            log.debug("could not tell that the worker leaves: %s", error)
        await session.close()

    async def _extend(self, session: Session) -> None:
        """Extends all leases; also those of cancelled tasks, whose handlers wind down."""
        receipts = [held.receipt for held in self._leases.all()]
        if not receipts:
            return
        lease_ms = int(self._settings.lease_seconds * 1000)
        lost = await session.call(EXTEND, self._settings.name, *columns(receipts), lease_ms)
        problems = set()
        for position, reason in lost:
            if reason.startswith("failed: "):
                problems.add(reason[len("failed: "):])
            else:
                tell = self._leases.lost
                self._worker_loop.call_soon_threadsafe(tell, receipts[position - 1], reason)
        if problems:
            raise OSError(f"the queue cannot be written: {', '.join(sorted(problems))}")

    async def _write(
        self, session: Session, registration: object, started: float, registered: bool
    ) -> bool:
        settings = self._settings
        places = 0 if self._draining else settings.concurrency
        taken = self._places()
        if registered and (await session.call(SEEN, registration, places, taken))[0][0]:
            return True
        running_for = int((time.monotonic() - started) * 1000)
        await session.call(
            REGISTER, registration, settings.name, socket.gethostname(), os.getpid(), self._version,
            list(settings.namespaces), self._handlers, places, taken, running_for,
        )
        return True
