"""Threads for plain functions. They are daemons: one that never ends does not keep the process."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from typing import Callable, TypeVar

T = TypeVar("T")


class Threads:
    """Starts a thread where all others are busy; the worker bounds how many that are."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Runs a function that raises nothing; the future is of the calling loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            result = context.run(function)
            try:
                loop.call_soon_threadsafe(_resolve, future, result)
            except RuntimeError:
                pass  # The loop is closed: nobody waits any more.

        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            self._count += 1
            name = f"tasker-handler-{self._count}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        return future

    def _serve(self) -> None:
        while True:
            self._work.get()()
            self._idle.release()


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
