"""Runs a handler without a database, for unit tests of handlers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, Mapping, Optional

from tasker_worker.handlers import Handler, is_async
from tasker_worker.outcome import Failure, Outcome
from tasker_worker.payload import Unstorable, encode
from tasker_worker.step import Step


def run_handler(
    handler: Handler, *, context: Any = None, input: Any = None,
    dependencies: Optional[Mapping[str, Any]] = None, attempt: int = 1, max_attempts: int = 1,
    cancelled: bool = False, max_result_bytes: int = 1024 * 1024,
) -> Outcome:
    """What a worker would record of one attempt. Everything passes through JSON, as it does there."""

    def through_json(value: Any) -> Any:
        return json.loads(encode({} if value is None else value, max_result_bytes))

    step = Step(
        context=through_json(context), input=through_json(input),
        dependencies=through_json(dependencies), attempt=attempt, max_attempts=max_attempts,
    )
    if cancelled:
        step._cancellation.set()
    try:
        returned = asyncio.run(_awaited(handler, step)) if is_async(handler) else handler(step)
        outcome = Outcome.of(returned)
    except BaseException as error:
        outcome = Outcome.of_exception(error)
    if outcome.verdict != "complete":
        return outcome
    try:
        return replace(outcome, result=json.loads(encode(outcome.result, max_result_bytes)))
    except Unstorable as problem:
        failure = Failure(problem.kind, f"the result cannot be stored: {problem}")
        return replace(outcome, verdict="fail", result=None, failure=failure)


async def _awaited(handler: Handler, step: Step) -> Any:
    return await handler(step)
