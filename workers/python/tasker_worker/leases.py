"""The steps whose lease this worker holds: received, and not yet recorded as ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Iterable, Optional
from uuid import UUID

from tasker_worker.cancellation import Cancellation
from tasker_worker.protocol import Receipt

log = logging.getLogger("tasker_worker")

# How long a handler may go on after it was told that its task was cancelled.
CANCELLATION_GRACE = 5.0


class Held:
    """A held step; ``aborted`` says why its attempt is ended from outside."""

    def __init__(self, receipt: Receipt, loop: asyncio.AbstractEventLoop) -> None:
        self.receipt = receipt
        self.cancellation = Cancellation()
        self.aborted: asyncio.Future[str] = loop.create_future()
        self._loop = loop

    def abort(self, reason: str) -> None:
        """Ends the attempt, and tells its handler, which may run on in a thread."""
        if not self.aborted.done():
            self.aborted.set_result(reason)
            self.cancellation.set()

    def cancel(self) -> None:
        """The task was cancelled: the handler is told, and ended where it goes on regardless."""
        if not self.cancellation.is_set():
            self.cancellation.set()
            self._loop.call_later(CANCELLATION_GRACE, self.abort, "cancelled")


class Leases:
    """Changed by the worker's loop alone; the heartbeat reads it from its own thread."""

    def __init__(self) -> None:
        self._held: dict[tuple[UUID, int], Held] = {}
        self._lock = threading.Lock()

    def take(self, receipt: Receipt) -> Held:
        """Takes up a step. An earlier attempt of it, which lost its lease unnoticed, is ended."""
        held = Held(receipt, asyncio.get_running_loop())
        with self._lock:
            earlier = self._held.get(_step(receipt))
            self._held[_step(receipt)] = held
        if earlier is not None:
            earlier.abort("stale")
        return held

    def get(self, receipt: Receipt) -> Optional[Held]:
        """The held step, where this very receipt of it is held."""
        held = self._held.get(_step(receipt))
        return held if held is not None and held.receipt == receipt else None

    def release(self, receipts: Iterable[Receipt]) -> None:
        with self._lock:
            for receipt in receipts:
                if self.get(receipt) is not None:
                    del self._held[_step(receipt)]

    def all(self) -> list[Held]:
        with self._lock:
            return list(self._held.values())

    def holds_task(self, task_uuid: UUID) -> bool:
        return any(held.receipt.task_uuid == task_uuid for held in self.all())

    def lost(self, receipt: Receipt, reason: str) -> None:
        """The work is no longer wanted. Where its handler has ended, its outcome is on its way."""
        held = self.get(receipt)
        if held is None:
            return
        if reason == "cancelled":
            held.cancel()
        else:
            log.info("step %s: the attempt is no longer the current one", receipt.step_uuid)
            held.abort("stale")


def _step(receipt: Receipt) -> tuple[UUID, int]:
    return receipt.task_uuid, receipt.step_no
