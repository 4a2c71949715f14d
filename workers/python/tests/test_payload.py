import json
import unittest

from tasker_worker.outcome import Failure, Outcome
from tasker_worker.payload import Unstorable, encode, encode_failure


def nested(levels):
    value = None
    for _ in range(levels):
        value = [value]
    return value


def refusal(value, max_bytes=1000):
    try:
        encode(value, max_bytes)
    except Unstorable as problem:
        return problem.kind, str(problem)
    return None


class Results(unittest.TestCase):
    def test_a_result_may_have_exactly_the_bytes_of_the_limit(self):
        value = {"text": 'ä\n"', "list": [1, None]}
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
        self.assertIsNone(refusal(value, size))
        self.assertEqual(refusal(value, size - 1)[0], "result_too_large")

    def test_what_is_no_json_is_refused_with_a_reason(self):
        itself = []
        itself.append(itself)
        for value, reason in [
            ({1, 2}, "set"),
            (b"bytes", "bytes"),
            (float("nan"), "not JSON compliant"),
            ([float("inf")], "not JSON compliant"),
            ({(1, 2): 3}, "keys"),
            (itself, "Circular"),
            ("\ud800", "not Unicode"),
            (10**400, "range of a double"),
            ({"a": [-(10**309)]}, "range of a double"),
        ]:
            with self.subTest(value=repr(value)[:40]):
                kind, text = refusal(value)
                self.assertEqual(kind, "invalid_result")
                self.assertIn(reason, text)

    def test_a_nul_character_is_found_in_texts_and_keys_and_not_in_what_looks_like_one(self):
        for refused in ("\0", {"a\0": 1}, [["x", "y\0z"]], "\\\0"):
            self.assertIn("NUL", refusal(refused)[1])
        for stored in (r"\u0000", r"\\u0000", "0000"):
            self.assertIsNone(refusal(stored))
            self.assertEqual(json.loads(encode(stored, 100)), stored)

    def test_a_result_that_readers_could_not_follow_is_refused(self):
        self.assertIsNone(refusal(nested(100)))
        self.assertIn("deeper", refusal(nested(101))[1])
        self.assertEqual(refusal(nested(100_000), 10**6)[0], "invalid_result")
        self.assertIsNone(refusal([[] for _ in range(200)]))

    def test_digits_in_a_text_are_no_number(self):
        self.assertIsNone(refusal("1" * 400))


class Failures(unittest.TestCase):
    def test_an_error_that_the_database_refuses_is_made_storable(self):
        failure = Failure("k\0" + "k" * 200, "a\0b\ud800" + "ä" * 20_000, {"body": "\0"})
        error = json.loads(encode_failure(failure))
        self.assertTrue(error["kind"].startswith("k\ufffdk"))
        self.assertTrue(error["message"].startswith("a\ufffdb?"))
        self.assertTrue(error["message"].endswith("…"))
        self.assertLess(len(error["message"].encode()), 16 * 1024 + 4)
        self.assertIn("left out", error["details"])

    def test_an_exception_is_retried_with_its_class_message_and_traceback(self):
        try:
            raise ValueError("no such card")
        except ValueError as error:
            outcome = Outcome.of_exception(error)
        self.assertEqual(outcome.verdict, "retry")
        self.assertEqual(outcome.failure.message, "ValueError: no such card")
        self.assertEqual(outcome.failure.details["class"], "ValueError")
        self.assertIn("test_payload.py", outcome.failure.details["traceback"])

    def test_an_exception_whose_text_raises_is_a_failure_like_any_other(self):
        class Broken(Exception):
            def __str__(self):
                raise RuntimeError

        self.assertEqual(Outcome.of_exception(Broken()).verdict, "retry")

    def test_a_delay_that_is_none_is_refused(self):
        for delay in (-1, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                Outcome.retry("busy", after=delay)


if __name__ == "__main__":
    unittest.main()
