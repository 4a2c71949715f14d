"""What a loop waits for: something happened, or time passed."""

from __future__ import annotations

import asyncio
from typing import Optional


class Wake:
    """Like an event of asyncio, with a timeout. To cancel a wait never fails, which `asyncio.wait_for`
    does not promise before Python 3.12."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: Optional[asyncio.Future[None]] = None

    def set(self) -> None:
        self._is_set = True
        self._wake()

    def clear(self) -> None:
        self._is_set = False

    async def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until it is set, by one loop at a time; whether it was in time."""
        if not self._is_set:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = None if timeout is None else loop.call_later(max(timeout, 0), self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        return self._is_set

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
