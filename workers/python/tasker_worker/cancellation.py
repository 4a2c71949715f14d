"""Tells a handler, in a coroutine or a thread, that its outcome is not wanted any more."""

from __future__ import annotations

import asyncio
import threading
from typing import Optional


class Cancellation:
    """Set once, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._lock = threading.Lock()

    def set(self) -> None:
        with self._lock:
            self._event.set()
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.get_loop().call_soon_threadsafe(_resolve, waiter)

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait_blocking(self, timeout: Optional[float]) -> bool:
        return self._event.wait(timeout)

    async def wait(self) -> None:
        with self._lock:
            if self._event.is_set():
                return
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
        await waiter


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
