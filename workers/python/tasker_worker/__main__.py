"""The command: ``python -m tasker_worker --require app --namespace shop --concurrency 8``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from typing import Optional, Sequence

from tasker_worker.handlers import handlers
from tasker_worker.settings import Settings, SettingsError
from tasker_worker.worker import Worker


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tasker-worker",
        description="Runs step handlers in Python. DATABASE_URL says where the database is.",
    )
    parser.add_argument(
        "--require", action="append", default=[], metavar="MODULE",
        help="import this module, whose handlers are registered; may be repeated",
    )
    parser.add_argument(
        "--namespace", action="append", default=[], dest="namespaces", metavar="NAME",
        help="take steps of this namespace; may be repeated; all of them where none is named",
    )
    parser.add_argument("--concurrency", type=int, help="most handlers that run at the same time")
    parser.add_argument("--name", help="name of this worker; no other process may have it")
    parser.add_argument(
        "--drain-timeout-seconds", type=float, help="how long handlers may go on after SIGTERM"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def main(args: Optional[Sequence[str]] = None) -> int:
    given = arguments().parse_args(args)
    logging.basicConfig(
        level=given.log_level.upper(), stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Modules are found from the folder in which the command runs, as with `python -m`.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for module in given.require:
        importlib.import_module(module)
    try:
        settings = Settings.from_environment(
            namespaces=tuple(given.namespaces), concurrency=given.concurrency, name=given.name,
            drain_timeout_seconds=given.drain_timeout_seconds,
        )
        complete = Worker(settings, handlers).run()
    except SettingsError as error:
        print(f"tasker-worker: {error}", file=sys.stderr)
        return 2
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
