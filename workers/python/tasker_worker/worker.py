"""A worker from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
from importlib import metadata
from typing import Awaitable

from tasker_worker.announcer import Announcer
from tasker_worker.database import Outage, Session, log, may_pass, sqlstate
from tasker_worker.handlers import Handlers
from tasker_worker.heartbeat import Heartbeat
from tasker_worker.leases import Leases
from tasker_worker.listener import Listener
from tasker_worker.protocol import PROTOCOL, VERSION
from tasker_worker.receiver import Receiver
from tasker_worker.reporter import Reporter
from tasker_worker.settings import Settings, SettingsError

# How long ended handlers get to hand over outcomes, and these to be recorded, after the drain timeout.
FLUSH_TIMEOUT = 5.0
_UNKNOWN_FUNCTION, _UNKNOWN_SCHEMA = "42883", "3F000"


class Worker:
    """Runs the handlers in this process until it is told to stop."""

    def __init__(self, settings: Settings, handlers: Handlers) -> None:
        self._settings, self._handlers = settings, handlers

    def run(self) -> bool:
        """All that the main of a worker needs: runs until SIGTERM or SIGINT, then drains. A second
        signal ends the process at once. False where not every outcome could be recorded."""
        return asyncio.run(self._run_with_signals())

    async def _run_with_signals(self) -> bool:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def stop_by(number: int) -> None:
            if stop.is_set():
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            log.info("stopping; the same signal again stops at once")
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop_by, number)
        return await self.run_until(stop)

    async def run_until(self, stop: asyncio.Event) -> bool:
        """The same in a loop of the caller's, until the event is set."""
        settings = self._settings
        checked = asyncio.ensure_future(self._check_protocol())
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({checked, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not checked.done():
            checked.cancel()
            return True
        checked.result()

        leases = Leases()
        announcer = Announcer(settings.database_url)
        reporter = Reporter(settings, leases, announcer, lambda: receiver.capacity_changed())
        heartbeat = Heartbeat(
            settings, self._handlers.names(), leases, lambda: receiver.running, _version()
        )
        receiver = Receiver(settings, self._handlers, leases, reporter, heartbeat.extend_now)
        receiver.listener = Listener(
            settings.listen_url or settings.database_url, settings.namespaces,
            receiver.look, receiver.look_for_namespaces, receiver.cancelled,
        )
        heartbeat.start()
        receiving, reporting, announcing, listening = loops = [
            asyncio.ensure_future(part.run())
            for part in (receiver, reporter, announcer, receiver.listener)
        ]
        log.info("the worker %s runs", settings.name)
        await asyncio.wait({stopped, *loops}, return_when=asyncio.FIRST_COMPLETED)
        for loop in loops:
            # Only a bug ends a loop: the process ends with it, and leases run out.
            if loop.done():
                loop.result()
        log.info("the worker drains")
        deadline = asyncio.get_running_loop().time() + settings.drain_timeout_seconds
        receiver.stop()
        heartbeat.drain()
        # A receipt that is under way ends first: what it brings goes back at once.
        await _by(deadline, receiving)
        if not await _by(deadline, receiver.attempts_ended()):
            interrupted = receiver.stop_all()
            log.warning("%d handlers did not end in time and are interrupted", interrupted)
            await _within(FLUSH_TIMEOUT, receiver.attempts_ended())
        reporter.close()
        is_complete = await _within(FLUSH_TIMEOUT, reporting)
        announcer.close()
        await _within(FLUSH_TIMEOUT, announcing)
        receiver.listener.close()
        await _within(FLUSH_TIMEOUT, listening)
        await heartbeat.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops, timeout=1)
        if not is_complete:
            log.error("%d outcomes were not recorded", reporter.unrecorded())
        log.info("the worker stopped")
        return is_complete

    async def _check_protocol(self) -> None:
        """Waits for the database, and sees that it speaks a version that this worker knows."""
        session = Session(self._settings.database_url, 10)
        outage = Outage("reach the database")
        while True:
            try:
                newest, oldest = (await session.call(PROTOCOL))[0]
                break
            except Exception as error:
                state = sqlstate(error)
                if state == _UNKNOWN_SCHEMA:
                    raise SettingsError(
                        "the database has no schema of tasker; run `tasker migrate`"
                    ) from None
                if state == _UNKNOWN_FUNCTION:
                    # Tasker 0.1.0 has no such function, and speaks the first version.
                    newest = oldest = 1
                    break
                if not may_pass(error):
                    raise
                await asyncio.sleep(outage.failed(error))
        await session.close()
        if not oldest <= VERSION <= newest:
            raise SettingsError(
                f"the database speaks the worker protocol {oldest} to {newest}, and this worker "
                f"{VERSION}; " + ("run `tasker migrate`" if VERSION > newest else "use a newer worker")
            )


async def _by(deadline: float, awaitable: Awaitable[None]) -> bool:
    return await _within(deadline - asyncio.get_running_loop().time(), awaitable)


async def _within(seconds: float, awaitable: Awaitable[None]) -> bool:
    """Whether something ended in time; it goes on where it did not."""
    done, _ = await asyncio.wait({asyncio.ensure_future(awaitable)}, timeout=max(seconds, 0))
    for ended in done:
        ended.result()
    return bool(done)


def _version() -> str:
    try:
        return metadata.version("tasker-worker")
    except metadata.PackageNotFoundError:
        from tasker_worker import __version__

        return __version__
