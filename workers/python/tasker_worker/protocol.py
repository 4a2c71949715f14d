"""The worker protocol, version 1: the calls of docs/worker-protocol.md and what they carry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence
from uuid import UUID

from tasker_worker.outcome import Failure, Outcome
from tasker_worker.payload import Unstorable, encode, encode_failure

VERSION = 1

PROTOCOL = "select newest, oldest from tasker.worker_protocol()"
NAMESPACES = "select namespace from tasker.namespaces order by namespace"
# JSON comes as text and is read step by step, so that one that cannot be read spares the others.
RECEIVE = (
    "select task_uuid, step_no, msg_id, namespace, template, step_name, handler, attempt, receipt, "
    "max_attempts, timeout_ms, priority, context::text, input::text, dependency_results::text, "
    "expired, problem "
    "from tasker.receive_steps(%s::text[], %s, %s::int, %s::bigint, %s::text[], %s::bigint, true)"
)
COMPLETE = (
    "select stale, locked, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, timer_set "
    "from tasker.complete_steps(%s, %s::uuid[], %s::int[], %s::int[], %s::bigint[], %s::text[], "
    "%s::text[], %s::text[]::jsonb[], %s::bigint[], null, null, null, %s)"
)
RELEASE = (
    "select stale, locked, ready_tasks, finished_tasks, cancelled_tasks, woken_queues, timer_set "
    "from tasker.release_steps(%s, %s::uuid[], %s::int[], %s::int[], %s::bigint[], %s::text[])"
)
EXTEND = (
    'select "position", reason '
    "from tasker.extend_leases(%s, %s::uuid[], %s::int[], %s::int[], %s::bigint)"
)
DEPENDENCY = "select tasker.dependency_result(%s, %s::int, %s)::text"
ANNOUNCE = (
    "select tasker.announce(%s::uuid[], %s::uuid[], %s::text[], %s, %s::uuid[], '{}', '{}')"
)
REGISTER = (
    "select tasker.register_process(%s, %s, 'worker', %s, %s::int, %s, 'Hybrid', %s::text[], "
    "%s::text[], %s::int, %s::int, %s::bigint)"
)
SEEN = "select tasker.process_seen(%s, %s::int, %s::int)"
DEREGISTER = "select tasker.deregister_process(%s)"
CHANNELS = (
    "select tasker.channel('namespace_created') as created, "
    "tasker.channel('namespace_removed') as removed, tasker.channel('task_state') as states"
)


@dataclass(frozen=True)
class Receipt:
    """One receipt of one step: what every later call names. The number alone is not enough, because
    a crash of the server can undo a receipt and give the next one the same number."""

    task_uuid: UUID
    step_no: int
    receipt: int
    msg_id: int
    namespace: str

    @property
    def step_uuid(self) -> UUID:
        """The task's, with the number of the step in the low 16 bits."""
        return UUID(int=self.task_uuid.int & ~0xFFFF | self.step_no)


@dataclass(frozen=True)
class Received:
    """A step that the worker holds."""

    receipt: Receipt
    row: Any

    @classmethod
    def of(cls, row: Any) -> Received:
        receipt = Receipt(row.task_uuid, row.step_no, row.receipt, row.msg_id, row.namespace)
        return cls(receipt, row)

    def values(self) -> tuple[Any, Any, Optional[Mapping[str, Any]]]:
        """Context, input and, unless its handler asks for each, the results of dependencies."""
        results = self.row.dependency_results
        given = None if results is None else json.loads(results)
        return json.loads(self.row.context), json.loads(self.row.input), given


@dataclass(eq=False)
class Report:
    """The outcome of an attempt, ready to be recorded."""

    receipt: Receipt
    outcome: str
    payload: str
    delay_ms: Optional[int] = None
    # How recording it went so far.
    alone: bool = False
    uncertain: bool = False
    substitute: bool = False
    due: float = 0.0
    pause: float = 0.0

    @classmethod
    def of(cls, receipt: Receipt, outcome: Outcome, max_result_bytes: int) -> Report:
        """A result that cannot be stored is a permanent failure that says why."""
        if outcome.verdict == "complete":
            try:
                return cls(receipt, "complete", encode(outcome.result, max_result_bytes))
            except Unstorable as problem:
                outcome = Outcome.fail(f"the result cannot be stored: {problem}", kind=problem.kind)
        delay = None if outcome.after is None else min(int(outcome.after * 1000), 3_155_760_000_000)
        return cls(receipt, outcome.verdict, encode_failure(outcome.failure), delay)

    def replace(self, problem: BaseException) -> None:
        """A failure stands for what the database refuses to store."""
        failure = Failure("report_refused", f"the outcome could not be stored: {problem}")
        self.outcome, self.payload, self.delay_ms = "fail", encode_failure(failure), None
        self.substitute = True


def columns(receipts: Sequence[Receipt]) -> tuple[list[Any], ...]:
    """Tasks, step numbers and receipts, as arrays."""
    return (
        [it.task_uuid for it in receipts],
        [it.step_no for it in receipts],
        [it.receipt for it in receipts],
    )
