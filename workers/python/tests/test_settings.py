import unittest

from tasker_worker import Settings, SettingsError

URL = "postgres://app:secret@localhost/shop"


class Reading(unittest.TestCase):
    def test_the_environment_says_what_nobody_else_does(self):
        settings = Settings.from_environment(
            {"DATABASE_URL": URL, "NAMESPACE": "shop, mail", "INSTANCE_ID": "w1",
             "TASKER__WORKER__LEASE_SECONDS": "2.5", "TASKER__WORKER__CONCURRENCY": "7"},
            concurrency=3,
        )
        self.assertEqual(settings.namespaces, ("shop", "mail"))
        self.assertEqual((settings.name, settings.lease_seconds), ("w1", 2.5))
        self.assertEqual(settings.concurrency, 3)

    def test_every_worker_has_a_name_of_its_own(self):
        self.assertNotEqual(Settings(URL).name, Settings(URL).name)

    def test_what_cannot_be_used_is_refused_without_showing_the_password(self):
        for environment in (
            {},
            {"DATABASE_URL": URL, "TASKER__WORKER__CONCURRENCY": "many"},
            {"DATABASE_URL": URL, "TASKER__WORKER__CONCURRENCY": "0"},
            {"DATABASE_URL": "psotgres://app:secret@localhost/shop"},
            {"DATABASE_URL": "postgres://app:secret@localhost/shop?no_such=1"},
        ):
            with self.assertRaises(SettingsError) as refused:
                Settings.from_environment(environment)
            self.assertNotIn("secret", str(refused.exception))

    def test_the_password_is_not_printed(self):
        self.assertNotIn("secret", repr(Settings(URL)))


if __name__ == "__main__":
    unittest.main()
