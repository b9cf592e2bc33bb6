"""An execution: what was ordered, how it stands at a given time, all that can happen to it.  Values only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from loadgen.sandbox.azkaban.flow_options import FlowOptions
from loadgen.sandbox.azkaban.flows import Flow
from loadgen.sandbox.azkaban.timeline import NEVER, Node, Span, Status, first_failure, spans, with_jobs
from loadgen.sandbox.journal import Event


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be executed, and for whom: pinned when it is submitted, whatever is uploaded later."""

    project_id: int
    project: str
    version: int
    flow: Flow
    flows: Mapping[str, Flow]
    """The flow, and those of that version that are embedded in it."""
    user: str
    options: FlowOptions


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution; times are milliseconds since 1970, NEVER for what has not been decided yet."""

    id: int
    order: Order
    submit_ms: int
    start_ms: int = NEVER
    end_ms: int = NEVER
    outcome: Status = Status.SUCCEEDED
    """What it is from `end_ms` on."""
    nodes: tuple[Node, ...] = ()
    """Its jobs; their times count from `start_ms`."""
    paused_ms: int = NEVER
    killed_ms: int = NEVER

    @property
    def flow_key(self) -> tuple[int, str]:
        """Project and flow."""
        return self.order.project_id, self.order.flow.id

    def status(self, now_ms: int) -> Status:
        """How it stands."""
        if self.end_ms <= now_ms:
            return self.outcome
        if self.start_ms > now_ms:
            return Status.PREPARING
        if self.killed_ms <= now_ms:
            return Status.KILLING
        if self.paused_ms <= now_ms:
            return Status.PAUSED
        failed = self.start_ms + first_failure(self.nodes) <= now_ms
        return Status.FAILED_FINISHING if failed else Status.RUNNING


class Change(Event, frozen=True, tag=True):
    """What happened to an execution, and when: it counts for others, too, that wait for a thread."""

    id: int
    at_ms: int

    @property
    def subject(self) -> Hashable:
        """Each counts."""
        return None


class Submitted(Change, frozen=True):
    """An execution of that id was taken."""

    order: Order


class Cancelled(Change, frozen=True):
    """The execution ends before its time."""


class Paused(Change, frozen=True):
    """The execution starts no further job."""


class Resumed(Change, frozen=True):
    """It goes on."""


class Stood(Change, frozen=True, omit_defaults=True):
    """So it stood at that time, as everything did: what all changes before came to."""

    order: Order
    submit_ms: int
    start_ms: int = NEVER
    end_ms: int = NEVER
    outcome: Status = Status.SUCCEEDED
    spans: tuple[Span, ...] = ()
    """Of its jobs."""
    paused_ms: int = NEVER
    killed_ms: int = NEVER

    @classmethod
    def of(cls, execution: Execution, now_ms: int) -> Stood:
        """How an execution stands now."""
        return cls(
            execution.id,
            now_ms,
            execution.order,
            execution.submit_ms,
            execution.start_ms,
            execution.end_ms,
            execution.outcome,
            spans(execution.nodes),
            execution.paused_ms,
            execution.killed_ms,
        )

    def execution(self) -> Execution:
        """The execution again.  Raises ValueError when it has not the jobs of its flow."""
        return Execution(
            self.id,
            self.order,
            self.submit_ms,
            self.start_ms,
            self.end_ms,
            self.outcome,
            with_jobs(self.spans, self.order.flow, self.order.flows),
            self.paused_ms,
            self.killed_ms,
        )


EVENTS = (Submitted, Cancelled, Paused, Resumed, Stood)
