"""Receives steps whenever there is a place for one, and starts them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional
from uuid import UUID

from tasker_worker import runner
from tasker_worker.database import Outage, Session, log, sqlstate
from tasker_worker.handlers import Handlers
from tasker_worker.leases import Held, Leases
from tasker_worker.listener import Listener
from tasker_worker.outcome import Outcome, PermanentError, RetryError
from tasker_worker.protocol import DEPENDENCY, NAMESPACES, RECEIVE, Receipt, Received, Report
from tasker_worker.reporter import Reporter
from tasker_worker.settings import Settings
from tasker_worker.wake import Wake
from tasker_worker.step import Step
from tasker_worker.threads import Threads

# The part of a lease that a receipt may take: what it brings late is of little use.
CALLS_PER_LEASE = 3
# Pause before another look for what was left out because another transaction held it.
LEFT_OUT_PAUSE = 0.2
# Polls between two scans for namespaces that nothing announced.
POLLS_PER_LOOK = 10

LEASE_EXPIRED = "lease_expired"


class Receiver:
    """One loop owns the places and a connection; each step that it starts is a task of its own."""

    def __init__(
        self, settings: Settings, handlers: Handlers, leases: Leases, reporter: Reporter,
        extend: Callable[[], None],
    ) -> None:
        self._settings, self._handlers = settings, handlers
        self._leases, self._reporter, self._extend = leases, reporter, extend
        deadline = max(settings.lease_seconds / CALLS_PER_LEASE, 1)
        self._session = Session(settings.database_url, deadline, lock_timeout_ms=100)
        # Handlers that ask for the results of other steps take turns on a connection.
        self._fetching = Session(settings.database_url, 65)
        self._fetch_lock = asyncio.Lock()
        self._threads = Threads()
        self._names = handlers.names()
        self._namespaces: list[str] = []
        self._refresh = self._wanted = True
        self._wake = Wake()
        self._stopping = False
        self._outage = Outage("receive steps")
        self._troubles: dict[str, str] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self.listener: Optional[Listener] = None
        self.running = 0

    def look(self) -> None:
        """There may be steps to receive."""
        self._wanted = True
        self._wake.set()

    def look_for_namespaces(self) -> None:
        self._refresh = True
        self.look()

    def capacity_changed(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def attempts_ended(self) -> None:
        while self._attempts:
            await asyncio.wait(set(self._attempts))
        await self._fetching.close()

    def free(self) -> int:
        return 0 if self._reporter.is_full() else self._settings.concurrency - self.running

    async def run(self) -> None:
        polls, poll_at, again_at = 0, 0.0, float("inf")
        interval = self._settings.poll_interval_ms / 1000
        while not self._stopping:
            self._wake.clear()
            now = time.monotonic()
            if now >= poll_at:
                # Up to half as long again, so that the polls of many workers spread out.
                poll_at = now + interval * (1 + random.random() / 2)
                polls += 1
                self._wanted, self._refresh = True, self._refresh or polls % POLLS_PER_LOOK == 0
            if now >= again_at:
                again_at, self._wanted = float("inf"), True
            if self._wanted and self.free() > 0:
                self._wanted = False
                try:
                    if await self._receive():
                        again_at = time.monotonic() + LEFT_OUT_PAUSE * (1 + random.random())
                    self._outage.over()
                except Exception as error:
                    self._wanted = True
                    await asyncio.sleep(self._outage.failed(error))
                continue
            await self._wake.wait(min(poll_at, again_at) - now)
        await self._session.close()

    async def _receive(self) -> bool:
        """Receives once, up to as many steps as there are places; whether some were left out."""
        if self._refresh or not self._namespaces:
            await self._refresh_namespaces()
        if not self._namespaces:
            return False
        settings = self._settings
        if not settings.namespaces:
            # Each comes first in its turn, so that a full queue does not keep the others waiting.
            self._namespaces.append(self._namespaces.pop(0))
        limit = min(self.free(), settings.receive_batch_size)
        rows = await self._session.call(
            RECEIVE, self._namespaces, settings.name, limit, int(settings.lease_seconds * 1000),
            self._names, settings.receive_batch_bytes,
        )
        left_out, received, troubles = False, 0, {}
        for row in rows:
            if row.task_uuid is not None:
                received += 1
                self._take(Received.of(row))
            else:
                left_out = True
                if row.problem is not None:
                    troubles[row.namespace] = row.problem
        for namespace, problem in troubles.items():
            if self._troubles.get(namespace) != problem:
                log.warning("could not receive from the queue of %s: %s", namespace, problem)
        self._troubles = troubles
        self._wanted |= received >= limit
        return left_out

    async def _refresh_namespaces(self) -> None:
        existing = [row[0] for row in await self._session.call(NAMESPACES)]
        configured = self._settings.namespaces
        found = [name for name in configured if name in existing] if configured else existing
        if set(found) != set(self._namespaces):
            self._namespaces = found
        self._refresh = False
        if self.listener is not None:
            self.listener.listen_to(found)

    def _take(self, step: Received) -> None:
        """Starts what can be started, and reports the rest."""
        receipt, row = step.receipt, step.row
        if row.expired == LEASE_EXPIRED and self._leases.get(receipt) is not None:
            return  # The receipt renewed its lease, and it runs here already.
        if row.expired is not None:
            self._report(receipt, _expired(row))
            return
        handler = self._handlers.get(row.handler)
        if handler is None or self._stopping:
            self._reporter.release(receipt)
            return
        if row.problem is not None:
            self._report(receipt, Outcome.fail(row.problem, kind="input_too_large"))
            return
        try:
            context, given, results = step.values()
        except Exception as problem:
            self._report(receipt, Outcome.fail(f"it cannot be read: {problem}", kind="invalid_input"))
            return
        held = self._leases.take(receipt)
        timeout = row.timeout_ms / 1000
        attempt = Step(
            context=context, input=given, dependencies=results or {},
            task_uuid=receipt.task_uuid, step_uuid=receipt.step_uuid, name=row.step_name,
            handler=row.handler, namespace=row.namespace, template=row.template,
            attempt=row.attempt, max_attempts=row.max_attempts, priority=row.priority,
            timeout=timeout, deadline=datetime.now(timezone.utc) + timedelta(seconds=timeout),
            _cancellation=held.cancellation, _extend=self._extend,
            _fetch=None if results is not None else lambda name: self._fetch(receipt, name),
            _loop=asyncio.get_running_loop(),
        )
        self.running += 1
        task = asyncio.get_running_loop().create_task(self._run(handler, attempt, held))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _run(self, handler: Callable[[Step], Any], step: Step, held: Held) -> None:
        outcome = await runner.run(handler, step, held, self._threads, self._handler_ended)
        if outcome is None:
            self._leases.release([held.receipt])
            return
        if outcome.verdict != "complete":
            failure = outcome.failure
            log.log(
                30 if outcome.verdict == "fail" else 20, "step %s (%s, attempt %d) %s: %s: %s",
                step.step_uuid, step.handler, step.attempt,
                "failed permanently" if outcome.verdict == "fail" else "failed",
                failure.kind, failure.message,
            )
        self._report(held.receipt, outcome)

    def _report(self, receipt: Receipt, outcome: Outcome) -> None:
        self._reporter.add(Report.of(receipt, outcome, self._settings.max_result_bytes))

    def _handler_ended(self) -> None:
        self.running -= 1
        self.capacity_changed()

    def stop_all(self) -> int:
        """Ends every handler that still runs, because the worker stops; how many."""
        running = [held for held in self._leases.all() if not held.aborted.done()]
        for held in running:
            held.abort("stopped")
        return len(self._attempts)

    async def _fetch(self, receipt: Receipt, name: str) -> Any:
        try:
            async with self._fetch_lock:
                rows = await self._fetching.call(DEPENDENCY, receipt.task_uuid, receipt.step_no, name)
        except Exception as error:
            if sqlstate(error) == "TK404":
                raise PermanentError(str(error), kind="invalid_input") from error
            message = f"could not read the result of step {name!r}: {error}"
            raise RetryError(message, kind="dependency_unavailable") from error
        return json.loads(rows[0][0])

    def cancelled(self, tasks: list[UUID]) -> None:
        """It was announced that tasks were cancelled."""
        if any(self._leases.holds_task(task) for task in tasks):
            self._extend()


def _expired(row: Any) -> Outcome:
    """The outcome of an attempt whose lease ran out in other hands."""
    if row.expired == LEASE_EXPIRED:
        message = "the worker that ran the attempt did not keep its lease; it may have died"
    else:
        message = f"the attempt did not end within its timeout of {row.timeout_ms} ms"
    return Outcome.retry(message, kind=row.expired)
