"""How an attempt ends: complete with a result, fail and be retried, or fail permanently."""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Optional, Union

HANDLER_FAILED = "handler_failed"

Delay = Union[float, timedelta, None]


@dataclass(frozen=True)
class Failure:
    """Why an attempt did not complete: a sort of failure, a text, and what a program may read of it."""

    kind: str
    message: str
    details: Any = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt, for handlers that would rather return it than raise."""

    verdict: str
    result: Any = None
    failure: Failure = field(default_factory=lambda: Failure(HANDLER_FAILED, ""))
    after: Optional[float] = None

    @classmethod
    def complete(cls, result: Any = None) -> Outcome:
        """The step is complete with this result."""
        return cls("complete", result)

    @classmethod
    def retry(
        cls, message: str, *, after: Delay = None, kind: str = HANDLER_FAILED, details: Any = None
    ) -> Outcome:
        """The attempt failed; the next one follows the template's policy, or ``after`` so many seconds."""
        return cls("retry", failure=Failure(kind, str(message), details), after=seconds(after))

    @classmethod
    def fail(cls, message: str, *, kind: str = HANDLER_FAILED, details: Any = None) -> Outcome:
        """The step fails permanently, whatever attempts are left."""
        return cls("fail", failure=Failure(kind, str(message), details))

    @classmethod
    def of(cls, returned: Any) -> Outcome:
        """What a handler returned: an outcome, or the result of a complete step."""
        return returned if isinstance(returned, cls) else cls.complete(returned)

    @classmethod
    def of_exception(cls, error: BaseException) -> Outcome:
        """Any exception is retried, with its class, message and traceback; ours say what follows."""
        if isinstance(error, PermanentError):
            return cls.fail(str(error), kind=error.kind, details=error.details)
        if isinstance(error, RetryError):
            return cls.retry(str(error), after=error.after, kind=error.kind, details=error.details)
        name = type(error).__name__
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        # The last lines say where it happened.
        text = "".join(lines)[-MAX_TRACEBACK:].replace("\0", "\ufffd")
        details = {"class": name, "traceback": text.encode(errors="replace").decode()}
        return cls.retry(": ".join(filter(None, (name, _text(error)))), details=details)


class PermanentError(Exception):
    """Raised by a handler: the step fails permanently, whatever attempts are left."""

    def __init__(self, message: str, *, kind: str = HANDLER_FAILED, details: Any = None) -> None:
        super().__init__(message)
        self.kind, self.details = kind, details


class RetryError(Exception):
    """Raised by a handler: the attempt failed, and another one may succeed."""

    def __init__(
        self, message: str, *, after: Delay = None, kind: str = HANDLER_FAILED, details: Any = None
    ) -> None:
        super().__init__(message)
        self.after, self.kind, self.details = seconds(after), kind, details


MAX_TRACEBACK = 16_000


def seconds(delay: Delay) -> Optional[float]:
    """A delay as a number; refuses what is none."""
    if delay is None:
        return None
    number = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"a step cannot be retried after {delay!r} seconds")
    return number


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # An exception whose text raises is still a failure of the handler.
        return "(its text cannot be read)"
