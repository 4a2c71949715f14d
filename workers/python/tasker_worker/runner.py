"""Runs one attempt of one step: its handler, its time limit, its end from outside."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from tasker_worker.handlers import Handler, is_async
from tasker_worker.leases import Held
from tasker_worker.outcome import Outcome
from tasker_worker.step import Step
from tasker_worker.threads import Threads


async def run(
    handler: Handler, step: Step, held: Held, threads: Threads, ended: Callable[[], None]
) -> Optional[Outcome]:
    """Runs the handler; None when nobody wants an outcome any more. Calls ``ended`` when the handler
    has ended, which for a thread may be long after its attempt."""
    loop = asyncio.get_running_loop()
    running: asyncio.Future[Outcome]
    if is_async(handler):
        running = loop.create_task(_attempt(handler, step))
    else:
        running = threads.run(lambda: _attempt_blocking(handler, step))
    running.add_done_callback(lambda _: ended())
    timer = loop.call_later(step.timeout, held.abort, "timeout")
    try:
        ends: set[asyncio.Future[Any]] = {running, held.aborted}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    # An outcome that is there counts, whatever else happened at the same time.
    if running.done() and not running.cancelled():
        return running.result()
    if isinstance(running, asyncio.Task):
        running.cancel()
    return aborted(held.aborted.result(), step.timeout)


def aborted(reason: str, timeout: float) -> Optional[Outcome]:
    """The outcome of an attempt that was ended from outside."""
    if reason == "timeout":
        return Outcome.retry(
            f"the attempt did not end within its timeout of {timeout:g} s", kind="timeout"
        )
    if reason == "stopped":
        message = "the worker stopped before the handler ended"
        return Outcome.retry(message, kind="worker_stopped", after=0)
    if reason == "cancelled":
        message = "the task was cancelled and its handler did not end by itself"
        return Outcome.fail(message, kind="cancelled")
    return None


async def _attempt(handler: Handler, step: Step) -> Outcome:
    # SystemExit and KeyboardInterrupt, too: what a handler raises is no reason to end the worker.
    try:
        return Outcome.of(await handler(step))
    except BaseException as error:
        return Outcome.of_exception(error)


def _attempt_blocking(handler: Handler, step: Step) -> Outcome:
    try:
        return Outcome.of(handler(step))
    except BaseException as error:
        return Outcome.of_exception(error)
