"""Records outcomes: whatever gathered during one call is the batch of the next.

An outcome is not lost while the process lives. A call that failed is repeated until it works, on
another connection; what an earlier call recorded, whose answer got lost, comes back as stale and
changes nothing. What other transactions hold is tried again by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Callable

from tasker_worker.announcer import Announcer
from tasker_worker.database import Outage, Session, is_about_data, is_locked, log, may_pass
from tasker_worker.leases import Leases
from tasker_worker.protocol import COMPLETE, RELEASE, Receipt, Report, columns
from tasker_worker.settings import Settings
from tasker_worker.wake import Wake

# A call takes milliseconds; after this long the process at its other end may be frozen.
FROZEN_AFTER = 5.0
# How long a report waits for tasks that another transaction holds; other reports do so briefly.
LOCK_TIMEOUT_MS = 250
# How long reports do not wait for locks at all, after a wait that was too long.
LOCKS_SKIPPED_FOR = 5.0
# Bytes that one call carries, a larger single outcome aside.
MOST_BYTES = 8 * 1024 * 1024
# Calls that may fail for a reason nobody expects before the culprit is looked for.
UNEXPLAINED_FAILURES = 3
# What is kept unrecorded before the worker takes no more steps.
MOST_OUTCOMES, MOST_BACKLOG_BYTES = 4096, 64 * 1024 * 1024


class Reporter:
    """The loop; ``recorded`` is called when there is room again."""

    def __init__(
        self, settings: Settings, leases: Leases, announcer: Announcer, recorded: Callable[[], None]
    ) -> None:
        deadline = min(FROZEN_AFTER, settings.lease_seconds / 3)
        self._session = Session(settings.database_url, deadline, LOCK_TIMEOUT_MS)
        self._name, self._batch_size = settings.name, settings.report_batch_size
        self._leases, self._announcer, self._recorded = leases, announcer, recorded
        self._fresh: deque[Report] = deque()
        self._later: list[Report] = []
        self._calling = 0
        self._releases: list[Receipt] = []
        self._release_at = 0.0
        self._releases_singly = False
        self._skips_locked_until = 0.0
        self._unexplained = 0
        self._bytes = 0
        self._outage = Outage("report outcomes")
        self._wake = Wake()
        self._closed = False

    def add(self, report: Report) -> None:
        self._fresh.append(report)
        self._bytes += len(report.payload)
        self._wake.set()

    def release(self, receipt: Receipt) -> None:
        """Gives a step back to its queue unstarted."""
        self._releases.append(receipt)
        self._wake.set()

    def close(self) -> None:
        """Nothing more comes; `run` ends when all is recorded."""
        self._closed = True
        self._wake.set()

    def unrecorded(self) -> int:
        return len(self._fresh) + len(self._later) + len(self._releases) + self._calling

    def is_full(self) -> bool:
        return self.unrecorded() >= MOST_OUTCOMES or self._bytes >= MOST_BACKLOG_BYTES

    async def run(self) -> None:
        while True:
            # Cleared first: what comes during a call is looked at after it.
            self._wake.clear()
            batch, waited = self._next_batch()
            if batch:
                self._calling = len(batch)
                await self._record(batch, waited)
                self._calling = 0
            elif self._releases and self._release_at <= time.monotonic():
                await self._give_back()
            elif self._closed and not self.unrecorded():
                break
            else:
                due = [report.due for report in self._later]
                due += [self._release_at] if self._releases else []
                await self._wake.wait(min(due) - time.monotonic() if due else None)
        await self._session.close()

    def _next_batch(self) -> tuple[list[Report], bool]:
        """What is tried now, and whether some of it has waited for others to let go."""
        now = time.monotonic()
        due = [report for report in self._later if report.due <= now]
        batch: list[Report] = []
        size = 0
        for source in (due, self._fresh):
            while source and len(batch) < self._batch_size:
                report = source[0]
                size += len(report.payload)
                if batch and (report.alone or batch[0].alone or size > MOST_BYTES):
                    return batch, any(it.pause for it in batch)
                batch.append(report)
                if source is due:
                    due.pop(0)
                    self._later.remove(report)
                else:
                    self._fresh.popleft()
        return batch, any(report.pause for report in batch)

    async def _record(self, batch: list[Report], waited: bool) -> None:
        skips = waited or time.monotonic() < self._skips_locked_until
        receipts = [report.receipt for report in batch]
        try:
            (moved,) = await self._session.call(
                COMPLETE, self._name, *columns(receipts),
                [it.msg_id for it in receipts], [it.namespace for it in receipts],
                [it.outcome for it in batch], [it.payload for it in batch],
                [it.delay_ms for it in batch], skips,
            )
        except Exception as error:
            await self._not_recorded(batch, skips, error)
            return
        self._outage.over()
        self._unexplained = 0
        locked = {batch[position - 1] for position in moved.locked} if moved.locked else set()
        for position in moved.stale:
            report = batch[position - 1]
            if report.uncertain:
                self._announcer.add_again(report.receipt.task_uuid)
            else:
                log.debug("step %s: an outcome came too late", report.receipt.step_uuid)
        for report in locked:
            self._put_off(report, longest=0.25)
        recorded = [report for report in batch if report not in locked]
        self._bytes -= sum(len(report.payload) for report in recorded)
        self._leases.release(report.receipt for report in recorded)
        complete = {
            report.receipt.task_uuid: report.receipt.step_uuid
            for report in recorded if report.outcome == "complete"
        }
        self._announcer.add(moved, complete)
        self._recorded()

    async def _not_recorded(self, batch: list[Report], skips: bool, error: Exception) -> None:
        if is_locked(error) and not skips:
            # Nothing was recorded. What can be is, at once.
            self._skips_locked_until = time.monotonic() + LOCKS_SKIPPED_FOR
            self._fresh.extendleft(reversed(batch))
            return
        if not is_about_data(error):
            for report in batch:
                report.uncertain = True
        self._unexplained = 0 if may_pass(error) else self._unexplained + 1
        if not is_about_data(error) and self._unexplained < UNEXPLAINED_FAILURES:
            self._fresh.extendleft(reversed(batch))
            await asyncio.sleep(self._outage.failed(error))
        elif len(batch) > 1:
            for report in batch:
                report.alone = True
            self._fresh.extendleft(reversed(batch))
        elif not is_about_data(error):
            self._put_off(batch[0], longest=30)
            await asyncio.sleep(self._outage.failed(error))
        elif batch[0].substitute:
            log.error("could not report step %s: %s", batch[0].receipt.step_uuid, error)
            self._bytes -= len(batch[0].payload)
            self._leases.release([batch[0].receipt])
        else:
            log.error("the outcome of step %s is refused: %s", batch[0].receipt.step_uuid, error)
            self._bytes -= len(batch[0].payload)
            batch[0].replace(error)
            self.add(batch[0])

    def _put_off(self, report: Report, longest: float) -> None:
        report.pause = min(report.pause * 2 or 0.01, longest)
        report.due = time.monotonic() + report.pause
        self._later.append(report)

    async def _give_back(self) -> None:
        count = 1 if self._releases_singly else len(self._releases)
        steps, self._releases = self._releases[:count], self._releases[count:]
        self._calling = len(steps)
        try:
            (moved,) = await self._session.call(
                RELEASE, self._name, *columns(steps),
                [it.msg_id for it in steps], [it.namespace for it in steps],
            )
        except Exception as error:
            if not is_about_data(error):
                self._releases = steps + self._releases
                self._release_at = time.monotonic() + self._outage.failed(error)
            elif count > 1:
                self._releases_singly = True
                self._releases = steps + self._releases
            else:
                log.error("could not give step %s back: %s", steps[0].step_uuid, error)
            return
        finally:
            self._calling = 0
        self._outage.over()
        if moved.locked:
            self._releases += [steps[position - 1] for position in moved.locked]
            self._release_at = time.monotonic() + 0.1
        self._announcer.add(moved, {})
