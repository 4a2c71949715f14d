"""Handlers for Tasker workflows in Python.

A worker receives steps from PostgreSQL, runs the handlers that are registered under their names, and
records the outcomes: ``python -m tasker_worker --require app``.
"""

from tasker_worker.client import Client, submit, submit_async
from tasker_worker.handlers import Handlers, handler, handlers
from tasker_worker.outcome import Outcome, PermanentError, RetryError
from tasker_worker.settings import Settings, SettingsError
from tasker_worker.step import Step
from tasker_worker.worker import Worker

__version__ = "0.2.0"

__all__ = [
    "Client",
    "Handlers",
    "Outcome",
    "PermanentError",
    "RetryError",
    "Settings",
    "SettingsError",
    "Step",
    "Worker",
    "handler",
    "handlers",
    "submit",
    "submit_async",
]
