import functools
import unittest
from datetime import timedelta

from tasker_worker import Handlers, Outcome, PermanentError, RetryError
from tasker_worker.handlers import BUILT_IN, is_async
from tasker_worker.testing import run_handler


class Registering(unittest.TestCase):
    def test_a_decorated_function_is_known_by_its_name_and_stays_what_it_was(self):
        handlers = Handlers()

        @handlers.handler("shop.charge")
        def charge(step):
            return 1

        self.assertEqual(charge(None), 1)
        self.assertIs(handlers.get("shop.charge"), charge)
        self.assertIn("builtin.noop", handlers.names())

    def test_a_second_handler_of_one_name_is_refused(self):
        with self.assertRaises(ValueError):
            Handlers().register("builtin.noop", print)

    def test_what_cannot_be_called_is_refused(self):
        with self.assertRaises(TypeError):
            Handlers().register("a", 1)

    def test_coroutine_functions_and_objects_are_told_from_plain_ones(self):
        class Mailer:
            async def __call__(self, step):
                return 1

        async def function(step):
            return 1

        for handler in (function, functools.partial(function), Mailer()):
            self.assertTrue(is_async(handler), handler)
        self.assertFalse(is_async(lambda step: 1))


class RunningOne(unittest.TestCase):
    def test_a_plain_value_completes(self):
        outcome = run_handler(lambda step: {"sum": step.context["a"] + step.input["b"]},
                              context={"a": 1}, input={"b": 2})
        self.assertEqual((outcome.verdict, outcome.result), ("complete", {"sum": 3}))

    def test_a_handler_is_given_and_returns_what_passes_through_json(self):
        outcome = run_handler(lambda step: step.context, context={"a": (1, 2)})
        self.assertEqual(outcome.result, {"a": [1, 2]})
        refused = run_handler(lambda step: {1, 2})
        self.assertEqual((refused.verdict, refused.failure.kind), ("fail", "invalid_result"))

    def test_the_three_outcomes_can_be_returned_or_raised(self):
        def raises(error):
            def handler(step):
                raise error

            return handler

        for handler, verdict in [
            (lambda step: Outcome.complete(), "complete"),
            (lambda step: Outcome.retry("busy", after=timedelta(seconds=5)), "retry"),
            (lambda step: Outcome.fail("no"), "fail"),
            (raises(RetryError("busy", after=5)), "retry"),
            (raises(PermanentError("no")), "fail"),
            (raises(KeyError("x")), "retry"),
            (raises(SystemExit(1)), "retry"),
        ]:
            outcome = run_handler(handler)
            self.assertEqual(outcome.verdict, verdict)
            if outcome.failure.message == "busy":
                self.assertEqual(outcome.after, 5)

    def test_a_missing_dependency_fails_for_good_and_is_named(self):
        outcome = run_handler(lambda step: step.dependency("reserve"), dependencies={"charge": 1})
        self.assertEqual((outcome.verdict, outcome.failure.kind), ("fail", "invalid_input"))
        self.assertIn("'reserve'", outcome.failure.message)

    def test_a_dependency_is_fetched_where_it_was_given(self):
        async def handler(step):
            return await step.fetch_dependency("a") + step.fetch_dependency_blocking("a")

        self.assertEqual(run_handler(handler, dependencies={"a": 2}).result, 4)

    def test_a_handler_sees_that_it_is_cancelled(self):
        async def handler(step):
            await step.wait_cancelled()
            return [step.cancelled, step.heartbeat(), step.wait_cancelled_blocking()]

        self.assertEqual(run_handler(handler, cancelled=True).result, [True, False, True])

    def test_the_last_attempt_knows_that_it_is(self):
        last = [run_handler(lambda step: step.is_last_attempt, attempt=it, max_attempts=2).result
                for it in (1, 2)]
        self.assertEqual(last, [False, True])


class BuiltIn(unittest.TestCase):
    def test_echo_returns_what_the_template_says(self):
        self.assertEqual(run_handler(BUILT_IN["builtin.echo"], input={"a": 1}).result, {"a": 1})

    def test_fail_fails_as_often_as_it_was_told_and_always_without_a_number(self):
        for given, attempt, verdict in [
            ({"times": 2}, 2, "retry"), ({"times": 2}, 3, "complete"), ({}, 99, "retry"),
            ({"retryable": False}, 1, "fail"),
        ]:
            outcome = run_handler(BUILT_IN["builtin.fail"], input=given, attempt=attempt)
            self.assertEqual(outcome.verdict, verdict, given)

    def test_sleep_ends_when_the_task_is_cancelled(self):
        outcome = run_handler(BUILT_IN["builtin.sleep"], input={"ms": 10**9}, cancelled=True)
        self.assertEqual((outcome.verdict, outcome.failure.kind), ("fail", "cancelled"))


if __name__ == "__main__":
    unittest.main()
