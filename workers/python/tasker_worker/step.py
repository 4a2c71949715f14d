"""What a handler gets: the task's context, the step's input, what came before, and who asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Callable, Mapping, Optional
from uuid import UUID

from tasker_worker.cancellation import Cancellation
from tasker_worker.outcome import PermanentError

Fetch = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Step:
    """One attempt of one step, in the hands of its handler."""

    context: Any
    """What the task was submitted with."""
    input: Any
    """What the template says as `input` of this step; an empty object where it says nothing."""
    dependencies: Mapping[str, Any] = field(default_factory=dict)
    """Results of the steps it depends on, by name; none where the template has them on request."""
    task_uuid: UUID = UUID(int=0)
    step_uuid: UUID = UUID(int=1)
    """The same in every attempt: a good idempotency key."""
    name: str = "step"
    handler: str = "handler"
    namespace: str = "test"
    template: str = "test/template@1.0.0"
    attempt: int = 1
    max_attempts: int = 1
    priority: int = 0
    timeout: float = 30.0
    """Seconds that the attempt may take."""
    deadline: datetime = field(
        default_factory=lambda: datetime.now(timezone.utc) + timedelta(seconds=30)
    )
    """When the worker ends the attempt."""
    _cancellation: Cancellation = field(default_factory=Cancellation, repr=False)
    _fetch: Optional[Fetch] = field(default=None, repr=False)
    _loop: Optional[asyncio.AbstractEventLoop] = field(default=None, repr=False)
    _extend: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure of this attempt is the end of the step."""
        return self.attempt >= self.max_attempts

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the outcome: the task was cancelled, or the attempt is over."""
        return self._cancellation.is_set()

    async def wait_cancelled(self) -> None:
        """Waits until `cancelled`. After that a handler has five seconds to wind down."""
        await self._cancellation.wait()

    def wait_cancelled_blocking(self, timeout: Optional[float] = None) -> bool:
        """The same in a plain function, up to so many seconds; whether it is cancelled."""
        return self._cancellation.wait_blocking(timeout)

    def heartbeat(self) -> bool:
        """Extends the lease now, and says whether the outcome is still wanted.

        The worker extends leases by itself; this is for handlers that are about to do what keeps all
        threads of the process waiting.
        """
        self._extend()
        return not self.cancelled

    def dependency(self, name: str) -> Any:
        """The result of the step `name`, which the template lists in `depends_on`."""
        if name in self.dependencies:
            return self.dependencies[name]
        if self._fetch is not None:
            raise PermanentError(
                f"step {self.name!r} has `dependency_results: on_request` in its template and was "
                f"given no results; read that of step {name!r} with fetch_dependency",
                kind="invalid_input",
            )
        raise PermanentError(
            f"step {self.name!r} does not depend on a step named {name!r}; list it in depends_on",
            kind="invalid_input",
        )

    async def fetch_dependency(self, name: str) -> Any:
        """The result of the step `name`, read from the database where the step was not given it."""
        if self._fetch is None or name in self.dependencies:
            return self.dependency(name)
        return await self._fetch(name)

    def fetch_dependency_blocking(self, name: str) -> Any:
        """The same in a plain function."""
        if self._loop is None or name in self.dependencies:
            return self.dependency(name)
        return asyncio.run_coroutine_threadsafe(self.fetch_dependency(name), self._loop).result()
