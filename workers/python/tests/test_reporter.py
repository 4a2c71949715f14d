"""What becomes of outcomes when the database refuses, loses or delays them."""

import unittest
from collections import namedtuple
from unittest import mock
from uuid import UUID

import psycopg

from tasker_worker import Outcome, Settings, reporter
from tasker_worker.leases import Leases
from tasker_worker.protocol import COMPLETE, Receipt, Report

Moved = namedtuple(
    "Moved", "stale locked ready_tasks finished_tasks cancelled_tasks woken_queues timer_set"
)


def moved(stale=(), locked=()):
    return Moved(list(stale), list(locked), [], [], [], [], False)


def receipt(number):
    return Receipt(UUID(int=number << 16), 1, 1, number, "shop")


class Database:
    """Answers calls by a script: an answer, an error, or a function of the payloads."""

    def __init__(self, *script):
        self.script, self.calls = list(script), []

    async def call(self, sql, *parameters):
        assert sql == COMPLETE
        payloads, skips = parameters[7], parameters[-1]
        self.calls.append((payloads, skips))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        answer = answer(payloads) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    async def close(self):
        pass


class Announced:
    def __init__(self):
        self.again = []

    def add(self, moved, readied_by):
        pass

    def add_again(self, task):
        self.again.append(task)


class Recording(unittest.IsolatedAsyncioTestCase):
    async def record(self, database, *results):
        """Records these results; returns when nothing is left."""
        self.leases, self.announced = Leases(), Announced()
        subject = reporter.Reporter(Settings("postgres://x/y"), self.leases, self.announced, lambda: None)
        subject._session = database
        for number, result in enumerate(results, start=1):
            self.leases.take(receipt(number))
            subject.add(Report.of(receipt(number), Outcome.complete(result), 1000))
        subject.close()
        no_pause = mock.patch.object(reporter.Outage, "failed", lambda *_: 0)
        with no_pause, self.assertLogs("tasker_worker", "DEBUG") as logs:
            reporter.log.debug("at least one line")
            await subject.run()
        self.logs = "\n".join(logs.output)
        self.assertEqual((subject.unrecorded(), subject._bytes), (0, 0))
        self.assertEqual(self.leases.all(), [])

    async def test_what_gathered_is_one_call(self):
        database = Database(moved())
        await self.record(database, 1, 2, 3)
        self.assertEqual(database.calls, [(["1", "2", "3"], False)])

    async def test_outcomes_outlast_an_outage_together_and_what_it_hid_is_announced(self):
        away = psycopg.OperationalError("away")
        database = Database(*[away] * 50, moved(stale=[1]))
        await self.record(database, 1, 2)
        self.assertEqual(len(database.calls), 51)
        self.assertEqual({len(payloads) for payloads, _ in database.calls}, {2})
        self.assertEqual(self.announced.again, [receipt(1).task_uuid])

    async def test_a_late_outcome_is_dropped(self):
        await self.record(Database(moved(stale=[1])), 1)
        self.assertEqual(self.announced.again, [])

    async def test_one_outcome_that_is_refused_holds_up_no_other_and_becomes_a_failure(self):
        def refuses_two(payloads):
            refused = psycopg.errors.UntranslatableCharacter("\\u0000 cannot be converted to text")
            return refused if "2" in payloads else moved()

        database = Database(refuses_two)
        await self.record(database, 1, 2, 3)
        recorded = [payloads for payloads, _ in database.calls if "2" not in payloads]
        self.assertIn(["1"], recorded)
        self.assertIn(["3"], recorded)
        self.assertTrue(any("report_refused" in it[0] for it in recorded), recorded)

    async def test_an_outcome_of_which_nothing_can_be_stored_is_given_up(self):
        await self.record(Database(psycopg.errors.UntranslatableCharacter("no")), 1)
        self.assertIn("could not report step", self.logs)

    async def test_what_nobody_can_explain_is_isolated_and_never_replaced(self):
        failures = 0

        def unexplained(payloads):
            nonlocal failures
            if "2" in payloads and failures < 8:
                failures += 1
                return psycopg.errors.InternalError_("a bug")
            return moved()

        database = Database(unexplained)
        await self.record(database, 1, 2)
        self.assertTrue(all("kind" not in str(payloads) for payloads, _ in database.calls))
        self.assertIn((["1"], False), database.calls)

    async def test_after_a_wait_for_a_lock_nothing_waits_and_what_is_locked_is_tried_again(self):
        database = Database(psycopg.errors.LockNotAvailable("held"), moved(locked=[2]), moved())
        await self.record(database, 1, 2)
        self.assertEqual(
            database.calls, [(["1", "2"], False), (["1", "2"], True), (["2"], True)]
        )

    async def test_a_call_carries_a_bounded_number_of_bytes(self):
        database = Database(moved())
        with mock.patch.object(reporter, "MOST_BYTES", 10):
            await self.record(database, "x" * 6, "y" * 6, "z" * 20, 1)
        self.assertEqual([len(payloads) for payloads, _ in database.calls], [1, 1, 1, 1])


if __name__ == "__main__":
    unittest.main()
