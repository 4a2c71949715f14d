"""The client on a database with a running engine, which the test `conformance` of tasker-cli starts."""

import asyncio
import os
import unittest

import psycopg

from tasker_worker import Client, submit, submit_async

URL = os.environ.get("TASKER_PYTHON_TEST_DATABASE", "")


@unittest.skipUnless(URL, "run by the test `conformance` of tasker-cli")
class OnADatabase(unittest.TestCase):
    def test_a_submitted_task_is_waited_for_and_shows_its_results(self):
        with Client(URL) as client:
            task_uuid = client.submit("conformance", "client", {"ü": 1})
            task = client.wait(task_uuid)
        self.assertEqual((task["state"], task["context"]), ("complete", {"ü": 1}))
        self.assertEqual(task["steps"][0]["result"], {"said": "hello"})

    def test_a_key_that_is_known_answers_the_first_task(self):
        with Client(URL) as client:
            first = client.submit("conformance", "client", idempotency_key="once")
            self.assertEqual(client.submit("conformance", "client", idempotency_key="once"), first)

    def test_a_task_exists_when_the_transaction_of_its_submitter_commits(self):
        with Client(URL) as client, psycopg.connect(URL) as connection:
            task_uuid = submit(connection, "conformance", "client", {"order": 1})
            with self.assertRaises(KeyError):
                client.get(task_uuid)
            connection.rollback()
            with self.assertRaises(KeyError):
                client.get(task_uuid)
            task_uuid = submit(connection, "conformance", "client", {"order": 1})
            connection.commit()
            self.assertEqual(client.wait(task_uuid)["state"], "complete")

    def test_the_same_on_a_connection_of_asyncio(self):
        async def commit():
            async with await psycopg.AsyncConnection.connect(URL) as connection:
                return await submit_async(connection, "conformance", "client")

        task_uuid = asyncio.run(commit())
        with Client(URL) as client:
            self.assertEqual(client.wait(task_uuid)["state"], "complete")

    def test_a_wait_ends_with_its_timeout(self):
        with Client(URL) as client:
            waiting = client.submit("conformance", "waiting")
            with self.assertRaises(TimeoutError):
                client.wait(waiting, timeout=0.1)

    def test_an_unknown_template_is_refused(self):
        with Client(URL) as client, self.assertRaises(psycopg.Error) as refused:
            client.submit("conformance", "no_such")
        self.assertEqual(refused.exception.sqlstate, "TK404")


if __name__ == "__main__":
    unittest.main()
