"""The handlers that a worker knows, by the names that templates use."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Callable, Optional, TypeVar

from tasker_worker.outcome import Outcome, RetryError
from tasker_worker.step import Step

Handler = Callable[[Step], Any]
H = TypeVar("H", bound=Handler)


class Handlers:
    """Handlers by name, the built-in ones included.

    An ``async def`` runs in the worker's event loop, a plain ``def`` in a thread of its own.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = dict(BUILT_IN)

    def handler(self, name: str) -> Callable[[H], H]:
        """Decorates the handler of this name."""

        def register(handler: H) -> H:
            self.register(name, handler)
            return handler

        return register

    def register(self, name: str, handler: Handler) -> None:
        """Registers a function of one `Step`, or an object that can be called like one."""
        if not callable(handler):
            raise TypeError(f"the handler {name!r} cannot be called")
        if name in self._handlers:
            raise ValueError(f"there is a handler {name!r} already")
        self._handlers[name] = handler

    def get(self, name: str) -> Optional[Handler]:
        return self._handlers.get(name)

    def names(self) -> list[str]:
        return sorted(self._handlers)


def is_async(handler: Handler) -> bool:
    """Whether a handler is a coroutine function, or an object whose call is one."""
    call = getattr(handler, "__call__", None)
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


async def _noop(step: Step) -> None:
    """Does nothing."""


async def _echo(step: Step) -> Any:
    """Returns the step's input."""
    return step.input


async def _sleep(step: Step) -> Any:
    """Waits, or ends early when the task is cancelled."""
    try:
        await asyncio.wait_for(step.wait_cancelled(), step.input["ms"] / 1000)
    except asyncio.TimeoutError:
        return {"slept_ms": step.input["ms"]}
    return Outcome.fail("the task was cancelled", kind="cancelled")


async def _fail(step: Step) -> Any:
    """Fails the first attempts, or all of them."""
    times = step.input.get("times")
    if times is not None and step.attempt > times:
        return {"attempts": step.attempt}
    message = step.input.get("message", "failed on purpose")
    if step.input.get("retryable", True):
        raise RetryError(message)
    return Outcome.fail(message)


BUILT_IN: dict[str, Handler] = {
    "builtin.noop": _noop,
    "builtin.echo": _echo,
    "builtin.sleep": _sleep,
    "builtin.fail": _fail,
}

handlers = Handlers()
"""The handlers of the process, which the `handler` decorator adds to."""

handler = handlers.handler
