"""Executions: which there are, which wait, which run, and how each stands at a given time.  Pure.

An executor takes waiting executions in the order of their submission, so many at once.  How long each
takes is known beforehand, so nothing runs: `advance` moves what is due, and every status is a function
of the execution and the time.  All that clients do comes in as a change, which is recorded first and then
applied; together with the options the changes determine everything, so that the same ones, read back from
a journal, give the same executions again.

As in AbstractExecutorManagerAdapter.java (submission), ExecutionController.java (polling executors),
ExecutorManager.java (pushing to them) and FlowRunner.java (pause, resume, kill).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from loadgen.sandbox.azkaban.execution import (
    Cancelled,
    Change,
    Execution,
    Order,
    Paused,
    Resumed,
    Stood,
    Submitted,
)
from loadgen.sandbox.azkaban.profile import NEWEST, Profile
from loadgen.sandbox.azkaban.timeline import (
    NEVER,
    Course,
    FailureAction,
    Node,
    Status,
    cut,
    length,
    outcome,
    pipelined,
    plan,
    shift,
)
from loadgen.sandbox.journal import Event


class Refused(Exception):
    """What Azkaban says when it does not do what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the executor can do, and how fast."""

    run_ms: int = 200
    """How long a job takes that does not say so itself."""
    poll_ms: int = 50
    """How long a submitted execution stays PREPARING even when the executor is free."""
    kill_ms: int = 20
    """How long a killed execution stays KILLING."""
    flow_threads: int = 30
    """Executions that run at once."""
    queue_size: int = 100_000
    """Executions that may wait; of no meaning where executors poll."""
    runs_of_flow: int = 30
    """With more unfinished executions than that of one flow no further one is taken."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a submission went; an id of -1 means that nothing was submitted, for all that it was no error."""

    id: int
    message: str


@dataclass(slots=True)
class _Index:
    """Where to look so as to look at few."""

    of_flow: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    unfinished: dict[tuple[int, str], dict[int, None]] = field(default_factory=dict)
    waiting: OrderedDict[int, None] = field(default_factory=OrderedDict)
    running: dict[int, None] = field(default_factory=dict)
    ends: list[tuple[int, int]] = field(default_factory=list)
    """A heap of ends and ids; an end that is not the execution's any more does not count."""


class Executions:
    """All executions of one server."""

    def __init__(
        self,
        limits: Limits,
        record: Callable[[Event], None] = lambda _event: None,
        profile: Profile = NEWEST,
    ) -> None:
        """`record` is told of every change before it is made."""
        self._limits = limits
        self._record = record
        self._profile = profile
        self._by_id: dict[int, Execution] = {}
        self._index = _Index()
        self._moved_ms = 0

    def submit(self, order: Order, now_ms: int) -> Receipt:
        """Take an execution, as its options allow beside those that there are.  Raises Refused."""
        self.advance(now_ms)
        options = order.options
        flow = order.flow.id
        running = self.unfinished_of(order.project_id, flow)
        message = ""
        if len(running) > self._limits.runs_of_flow:
            most = self._limits.runs_of_flow
            raise Refused(f"Flow {flow} has more than {most} concurrent runs. Skipping")
        if running and options.concurrent == "skip":
            raise Refused(f"Flow {flow} is already running. Skipping execution.")
        if running and options.concurrent == "pipeline":
            order = replace(order, options=replace(options, pipeline_execution=running[-1]))
            level = options.pipeline_level
            message = (
                f"Flow {flow} is already running with exec id {running[-1]}. Pipelining level {level}. \n"
            )
        elif running:
            ids = ",".join(map(str, running))
            message = f"Flow {flow} is already running with exec id {ids}. Will execute concurrently. \n"
        if not self._profile.polls and len(self._index.waiting) >= self._limits.queue_size:
            full = "Azkaban has overrun its webserver queue capacity"
            return Receipt(-1, f"Failed to submit {flow} for project {order.project}. {full}")
        number = len(self._by_id) + 1
        self._change(Submitted(number, now_ms, order))
        return Receipt(
            number, f"{message}Execution {self._profile.accepted} successfully with exec id {number}"
        )

    def cancel(self, number: int, now_ms: int) -> None:
        """End an execution.  Raises Refused; where executors poll, one that waits is ended nevertheless.

        Where it is pushed to them, the first that waits is off the queue, and not yet with any: it goes on.
        """
        execution = self._unfinished(number, now_ms)
        waits = execution.start_ms > now_ms
        if waits and not self._profile.polls and number == next(iter(self._index.waiting)):
            raise Refused(f"Execution {number} of flow {execution.order.flow.id} isn't running.")
        self._change(Cancelled(number, now_ms))
        if waits and self._profile.polls:
            called = "Cancel action has been called but the flow is unreachable."
            raise Refused(f"{called} Finalizing the flow.")

    def pause(self, number: int, now_ms: int) -> None:
        """Start no further job.  Raises Refused."""
        execution = self._running(number, now_ms)
        if execution.killed_ms == NEVER and execution.paused_ms == NEVER:
            self._change(Paused(number, now_ms))

    def resume(self, number: int, now_ms: int) -> None:
        """Go on; of one that is not paused nothing changes.  Raises Refused."""
        if self._running(number, now_ms).paused_ms != NEVER:
            self._change(Resumed(number, now_ms))

    def stand(self) -> Iterator[Stood]:
        """What all changes came to so far; applied to no executions, they give these."""
        return (Stood.of(execution, self._moved_ms) for execution in self._by_id.values())

    def apply(self, change: Change) -> None:
        """The one place where something happens to an execution that time alone would not bring."""
        if isinstance(change, Stood):
            self._restore(change)
            return
        self.advance(change.at_ms)
        match change:
            case Submitted(number, at_ms, order):
                execution = Execution(number, order, at_ms)
                self._by_id[number] = replace(execution, nodes=self._plan(execution))
                self._index.of_flow.setdefault(execution.flow_key, []).append(number)
                self._index.unfinished.setdefault(execution.flow_key, {})[number] = None
                self._index.waiting[number] = None
            case Cancelled(number, at_ms):
                self._kill(self._by_id[number], at_ms)
            case Paused(number, at_ms):
                execution = self._by_id[number]
                nodes = shift(execution.nodes, NEVER, since=at_ms - execution.start_ms)
                self._put(replace(execution, nodes=nodes, paused_ms=at_ms, end_ms=NEVER))
            case Resumed(number, at_ms):
                execution = self._by_id[number]
                nodes = shift(execution.nodes, at_ms - execution.paused_ms - NEVER, since=NEVER)
                end_ms = max(at_ms, execution.start_ms + length(nodes))
                self._put(replace(execution, nodes=nodes, paused_ms=NEVER, end_ms=end_ms))

    def advance(self, now_ms: int) -> None:
        """Bring all that is due by then: ends and starts, in the order of their times."""
        index = self._index
        while True:
            start_ms = self._next_start_ms()
            while index.ends and self._by_id[index.ends[0][1]].end_ms != index.ends[0][0]:
                heapq.heappop(index.ends)
            end_ms = index.ends[0][0] if index.ends else NEVER
            if min(start_ms, end_ms) > now_ms:
                break
            self._moved_ms = min(start_ms, end_ms)
            if end_ms <= start_ms:
                self._settle(heapq.heappop(index.ends)[1])
            else:
                self._start(index.waiting.popitem(last=False)[0], start_ms)
        self._moved_ms = max(self._moved_ms, now_ms)

    def get(self, number: int) -> Execution | None:
        """The execution of that id."""
        return self._by_id.get(number)

    def unfinished_of(self, project_id: int, flow: str) -> list[int]:
        """Ids of the executions of a flow that wait or run, oldest first."""
        return list(self._index.unfinished.get((project_id, flow), ()))

    def of_flow(self, project_id: int, flow: str) -> list[int]:
        """Ids of all executions of a flow, oldest first; not to be changed."""
        return self._index.of_flow.get((project_id, flow), [])

    def waiting(self) -> list[int]:
        """Ids of those that no executor has taken yet, oldest first."""
        return list(self._index.waiting)

    def running(self) -> list[int]:
        """Ids of those that an executor has, oldest first."""
        return list(self._index.running)

    def newest_first(self) -> Iterator[Execution]:
        """All."""
        return reversed(self._by_id.values())

    def _restore(self, stood: Stood) -> None:
        execution, number = stood.execution(), stood.id
        self._by_id[number] = execution
        self._moved_ms = stood.at_ms
        self._index.of_flow.setdefault(execution.flow_key, []).append(number)
        if execution.end_ms <= stood.at_ms:
            return
        self._index.unfinished.setdefault(execution.flow_key, {})[number] = None
        if execution.start_ms == NEVER:
            self._index.waiting[number] = None
        else:
            self._index.running[number] = None
            self._put(execution)

    def _change(self, change: Change) -> None:
        self._record(change)
        self.apply(change)

    def _unfinished(self, number: int, now_ms: int) -> Execution:
        self.advance(now_ms)
        execution = self._by_id[number]
        if execution.end_ms <= now_ms:
            raise Refused(f"Execution {number} of flow {execution.order.flow.id} isn't running.")
        return execution

    def _running(self, number: int, now_ms: int) -> Execution:
        execution = self._unfinished(number, now_ms)
        if execution.start_ms > now_ms:
            raise Refused(f"Execution {number} of flow {execution.order.flow.id} isn't running.")
        return execution

    def _next_start_ms(self) -> int:
        """When the executor takes the first that waits."""
        index = self._index
        if not index.waiting or len(index.running) >= self._limits.flow_threads:
            return NEVER
        ready_ms = self._by_id[next(iter(index.waiting))].submit_ms + self._limits.poll_ms
        return max(ready_ms, self._moved_ms)

    def _start(self, number: int, at_ms: int) -> None:
        execution = replace(self._by_id[number], start_ms=at_ms)
        if execution.order.options.pipeline_execution is not None:
            execution = replace(execution, nodes=self._plan(execution))
        nodes = execution.nodes
        ends = outcome(nodes)
        if ends is Status.FAILED and execution.order.options.failure_action is FailureAction.CANCEL_ALL:
            ends = Status.KILLED
        self._index.running[number] = None
        self._put(replace(execution, end_ms=at_ms + length(nodes), outcome=ends))

    def _plan(self, execution: Execution) -> tuple[Node, ...]:
        order = execution.order
        options = order.options
        course = Course(self._limits.run_ms, options.failure_action, options.disabled_ids)
        before = self._by_id.get(options.pipeline_execution or 0)
        if before is None or execution.start_ms == NEVER:
            return plan(order.flow, order.flows, course)
        ends = pipelined(before.nodes, options.pipeline_level or 1)
        by = before.start_ms - execution.start_ms
        return plan(order.flow, order.flows, course, {name: end + by for name, end in ends.items()})

    def _kill(self, execution: Execution, at_ms: int) -> None:
        if execution.start_ms > at_ms:  # no executor has it: the web server ends it, as a failure
            del self._index.waiting[execution.id]
            nodes = cut(execution.nodes, 0, kill=True)
            self._by_id[execution.id] = replace(
                execution, start_ms=at_ms, end_ms=at_ms, outcome=Status.FAILED, nodes=nodes
            )
            self._settle(execution.id)
        elif execution.killed_ms == NEVER:
            nodes = cut(execution.nodes, at_ms - execution.start_ms, kill=True)
            end_ms = at_ms + self._limits.kill_ms
            killed = replace(execution, nodes=nodes, killed_ms=at_ms, paused_ms=NEVER)
            self._put(replace(killed, end_ms=end_ms, outcome=Status.KILLED))

    def _put(self, execution: Execution) -> None:
        """An execution that runs, with an end that may be new."""
        self._by_id[execution.id] = execution
        if execution.end_ms != NEVER:
            heapq.heappush(self._index.ends, (execution.end_ms, execution.id))

    def _settle(self, number: int) -> None:
        """It is over."""
        self._index.running.pop(number, None)
        key = self._by_id[number].flow_key
        mine = self._index.unfinished.get(key, {})
        mine.pop(number, None)
        if not mine:
            self._index.unfinished.pop(key, None)
