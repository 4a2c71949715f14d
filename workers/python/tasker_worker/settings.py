"""What a worker can be told, by arguments, environment variables or a program."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field, fields
from typing import Any, Mapping

from psycopg.conninfo import conninfo_to_dict


class SettingsError(Exception):
    """A setting that cannot be used."""


def _default_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Settings:
    """The settings of one worker; the defaults are those of Tasker's own workers."""

    database_url: str = field(repr=False)
    """Where the database is. Logs never show it."""
    listen_url: str = field(default="", repr=False)
    """A second address for LISTEN alone; empty for the same."""
    name: str = field(default_factory=_default_name)
    """Name of the worker in logs and in the steps it runs; no other process may have it."""
    namespaces: tuple[str, ...] = ()
    """Namespaces whose steps it takes, preferred in this order; empty for all, in turn."""
    concurrency: int = 20
    """Most handlers that run at the same time."""
    lease_seconds: float = 30.0
    """How long a received step belongs to the worker, which extends that while the handler runs."""
    receive_batch_size: int = 100
    """Most steps received by one database call."""
    receive_batch_bytes: int = 64 * 1024 * 1024
    """Most bytes of contexts and results that these are given together."""
    report_batch_size: int = 200
    """Most outcomes recorded by one database call."""
    poll_interval_ms: int = 1500
    """Time between two polls for steps that no notification announced."""
    drain_timeout_seconds: float = 30.0
    """How long running handlers may go on after the process was told to stop."""
    max_result_bytes: int = 1024 * 1024
    """Largest result of a step, in bytes of JSON."""

    def __post_init__(self) -> None:
        for setting in ("concurrency", "lease_seconds", "poll_interval_ms", "receive_batch_size"):
            if getattr(self, setting) <= 0:
                raise SettingsError(f"{setting} has to be more than 0")
        for url in filter(None, (self.database_url, self.listen_url)):
            try:
                conninfo_to_dict(url)
            except Exception:
                # The driver's words would show the password.
                raise SettingsError(
                    "the address of the database cannot be read; "
                    "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE"
                ) from None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, **given: Any
    ) -> Settings:
        """The settings of `DATABASE_URL`, `NAMESPACE`, `INSTANCE_ID`, `POLL_INTERVAL_MS` and
        `TASKER__WORKER__…`, under what is given."""
        found: dict[str, Any] = {}
        for setting in fields(cls):
            text = environment.get(f"TASKER__WORKER__{setting.name.upper()}")
            if text is not None and setting.name != "namespaces":
                found[setting.name] = _number_as(setting.name, text, setting.default)
        named = {"database_url": "DATABASE_URL", "name": "INSTANCE_ID"}
        found.update({key: environment[name] for key, name in named.items() if environment.get(name)})
        if environment.get("TASKER__DATABASE__LISTEN_URL"):
            found["listen_url"] = environment["TASKER__DATABASE__LISTEN_URL"]
        if environment.get("NAMESPACE"):
            found["namespaces"] = tuple(it.strip() for it in environment["NAMESPACE"].split(","))
        if environment.get("POLL_INTERVAL_MS"):
            found["poll_interval_ms"] = _number_as("POLL_INTERVAL_MS", environment["POLL_INTERVAL_MS"], 1)
        found.update({key: value for key, value in given.items() if value not in (None, ())})
        if "database_url" not in found:
            raise SettingsError("DATABASE_URL is not set; it says where the database is")
        return cls(**found)


def _number_as(name: str, text: str, default: Any) -> Any:
    if not isinstance(default, (int, float)):
        return text
    try:
        return type(default)(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}, which is no number") from None
