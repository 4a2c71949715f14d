"""The handlers of workers/conformance, for the worker in Python."""

import asyncio
import os
import time

from tasker_worker import PermanentError, RetryError, handler


@handler("conformance.sum")
async def add(step):
    return 1 + sum(step.dependencies.values())


@handler("conformance.fetched")
async def fetched(step):
    return sum([await step.fetch_dependency(name) for name in step.input["names"]])


@handler("conformance.given")
def given(step):
    return {
        "context": step.context,
        "input": step.input,
        "dependencies": dict(step.dependencies),
        "name": step.name,
        "handler": step.handler,
        "namespace": step.namespace,
        "template": step.template,
        "attempt": step.attempt,
        "max_attempts": step.max_attempts,
        "cancelled": step.cancelled,
    }


@handler("conformance.retry_after")
async def retry_after(step):
    if step.attempt <= step.input["times"]:
        raise RetryError("busy", after=step.input["after_ms"] / 1000)
    return step.attempt


@handler("conformance.refuse")
def refuse(step):
    raise PermanentError(step.input["message"], kind="no_card", details={"card": 4})


@handler("conformance.error")
def error(step):
    raise RuntimeError(step.input["message"])


@handler("conformance.error_with_nul")
async def error_with_nul(step):
    raise RuntimeError("a\0b")


@handler("conformance.hang")
async def hang(step):
    await asyncio.Event().wait()


@handler("conformance.until_cancelled")
def until_cancelled(step):
    step.wait_cancelled_blocking()
    return "wound down"


@handler("conformance.block")
async def block(step):
    time.sleep(step.input["ms"] / 1000)


@handler("conformance.large")
async def large(step):
    return "x" * step.input["bytes"]


@handler("conformance.length")
async def length(step):
    return len(step.dependency("large"))


@handler("conformance.nul")
async def nul(step):
    return {"text": "a\0b"}


@handler("conformance.deep")
async def deep(step):
    value = None
    for _ in range(step.input["levels"]):
        value = [value]
    return value


@handler("conformance.in_python")
def in_python(step):
    return "python"


if os.environ.get("CONFORMANCE_LATE"):

    @handler("conformance.late")
    async def late(step):
        return "late"
