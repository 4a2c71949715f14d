import asyncio
import threading
import unittest
from uuid import UUID

from tasker_worker.leases import Leases
from tasker_worker.protocol import Receipt
from tasker_worker.runner import run
from tasker_worker.step import Step
from tasker_worker.threads import Threads


def receipt(number=1, msg_id=1):
    return Receipt(UUID(int=1 << 16), 1, number, msg_id, "shop")


class Attempts(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.leases, self.threads = Leases(), Threads()
        self.ended = asyncio.Event()

    def start(self, handler, timeout=60.0):
        self.held = self.leases.take(receipt())
        step = Step(None, {}, timeout=timeout, _cancellation=self.held.cancellation)
        running = run(handler, step, self.held, self.threads, self.ended.set)
        return asyncio.ensure_future(running)

    async def test_an_attempt_that_takes_too_long_is_ended_and_retried(self):
        async def hang(step):
            await asyncio.Event().wait()

        outcome = await self.start(hang, timeout=0.0)

        self.assertEqual((outcome.verdict, outcome.failure.kind), ("retry", "timeout"))
        await self.ended.wait()

    async def test_a_thread_that_goes_on_keeps_its_place_and_is_told(self):
        cancelled, may_end = threading.Event(), threading.Event()

        def ignores_cancellation(step):
            step.wait_cancelled_blocking()
            cancelled.set()
            may_end.wait()

        outcome = await self.start(ignores_cancellation, timeout=0.0)

        self.assertEqual(outcome.failure.kind, "timeout")
        await asyncio.get_running_loop().run_in_executor(None, cancelled.wait)
        self.assertFalse(self.ended.is_set())
        may_end.set()
        await self.ended.wait()

    async def test_nobody_wants_the_outcome_of_an_attempt_that_is_over(self):
        async def hang(step):
            await asyncio.Event().wait()

        running = self.start(hang)
        self.leases.lost(receipt(), "stale")

        self.assertIsNone(await running)

    async def test_a_cancelled_handler_that_ends_in_time_has_its_outcome_reported(self):
        async def tidies_up(step):
            await step.wait_cancelled()
            return "tidy"

        running = self.start(tidies_up)
        self.leases.lost(receipt(), "cancelled")

        self.assertEqual((await running).result, "tidy")

    async def test_a_cancelled_handler_that_goes_on_is_ended(self):
        async def hang(step):
            await asyncio.Event().wait()

        running = self.start(hang)
        self.held.abort("cancelled")  # As the worker does when the grace is over.

        self.assertEqual((await running).failure.kind, "cancelled")

    async def test_a_worker_that_stops_has_the_step_tried_again_at_once(self):
        async def hang(step):
            await asyncio.Event().wait()

        running = self.start(hang)
        self.held.abort("stopped")

        outcome = await running
        self.assertEqual((outcome.failure.kind, outcome.after), ("worker_stopped", 0))

    async def test_what_a_handler_raises_is_no_reason_to_end_the_worker(self):
        async def leaves(step):
            raise SystemExit(3)

        def interrupts(step):
            raise KeyboardInterrupt

        for handler in (leaves, interrupts):
            self.assertEqual((await self.start(handler)).verdict, "retry")


class Holding(unittest.IsolatedAsyncioTestCase):
    async def test_a_later_attempt_ends_the_earlier_one_and_is_not_released_with_it(self):
        leases = Leases()
        first = leases.take(receipt(1))
        leases.take(receipt(2))

        self.assertEqual(first.aborted.result(), "stale")
        leases.release([receipt(1)])
        self.assertIsNotNone(leases.get(receipt(2)))

    async def test_a_receipt_that_a_crash_gave_the_number_of_an_earlier_one_is_another(self):
        leases = Leases()
        leases.take(receipt(1, msg_id=1))

        self.assertIsNone(leases.get(receipt(1, msg_id=2)))

    def test_a_step_is_named_by_its_task_and_number(self):
        self.assertEqual(receipt().step_uuid, UUID(int=1 << 16 | 1))


if __name__ == "__main__":
    unittest.main()
