"""When each job of a run starts and ends, and how: known as soon as the run is submitted.  Pure.

Nothing is executed.  A command that sleeps takes as long as it says, every other job a fixed time; jobs
start when those that they depend on have ended, as many at once as there are.  Times are milliseconds
since the run's start.  As in FlowRunner.java and, for commands, ProcessJob.java.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import msgspec

from loadgen.sandbox.azkaban.flows import COMMAND

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from loadgen.sandbox.azkaban.flows import Flow, Job

NEVER = 1 << 53
"""A time that does not come."""
JOB_TYPES = frozenset({"command", "javaprocess", "noop", "flow"})
"""The types that Azkaban has without plugins; a job of another type fails when its turn comes."""
_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")
_FAILURE = re.compile(r"\bexit\s+0*[1-9]|^\s*false\s*$")


class Status(StrEnum):
    """How a run or a job of it stands."""

    READY = "READY"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    KILLING = "KILLING"
    KILLED = "KILLED"
    FAILED = "FAILED"
    FAILED_FINISHING = "FAILED_FINISHING"
    SKIPPED = "SKIPPED"
    DISABLED = "DISABLED"
    CANCELLED = "CANCELLED"


class FailureAction(StrEnum):
    """What happens to the rest of a flow once one job of it has failed; Java's names."""

    FINISH_CURRENT = "FINISH_CURRENTLY_RUNNING"
    CANCEL_ALL = "CANCEL_ALL"
    FINISH_POSSIBLE = "FINISH_ALL_POSSIBLE"


@dataclass(frozen=True, slots=True)
class Node:
    """One job of a run."""

    job: Job
    start: int
    end: int
    outcome: Status
    """What it is from its end on."""
    nodes: tuple[Node, ...] = ()
    """The jobs of the flow that it stands for."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A node without its job, which its flow has."""

    start: int
    end: int
    outcome: Status
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """What decides how a run goes, its flow apart."""

    run_ms: int
    """How long a job takes that does not say so itself."""
    failure_action: FailureAction = FailureAction.FINISH_CURRENT
    disabled: frozenset[str] = frozenset()
    """Jobs that are skipped; one inside an embedded flow as `outer:inner`."""


def plan(
    flow: Flow, flows: Mapping[str, Flow], course: Course, earliest: Mapping[str, int] | None = None
) -> tuple[Node, ...]:
    """All jobs of a flow, in the flow's order; `earliest` holds single jobs back."""
    nodes = _finish_possible(flow, flows, course, earliest or {})
    failed = first_failure(nodes)
    if failed == NEVER or course.failure_action is FailureAction.FINISH_POSSIBLE:
        return nodes
    return cut(nodes, failed, kill=course.failure_action is FailureAction.CANCEL_ALL)


def _finish_possible(
    flow: Flow, flows: Mapping[str, Flow], course: Course, earliest: Mapping[str, int]
) -> tuple[Node, ...]:
    """As if a failure concerned only those that depend on it."""
    done: dict[str, Node] = {}
    for job in in_order(flow):
        name = job.name
        before = [done[each] for each in job.dependencies]
        ready = max((each.end for each in before), default=0)
        if name in course.disabled:
            done[name] = Node(job, ready, ready, Status.SKIPPED)
        elif any(each.outcome not in (Status.SUCCEEDED, Status.SKIPPED) for each in before):
            done[name] = Node(job, ready, ready, Status.CANCELLED)
        else:
            done[name] = _run(job, max(ready, earliest.get(name, 0)), flows, course)
    return tuple(done[job.name] for job in flow.jobs)


def _run(job: Job, start: int, flows: Mapping[str, Flow], course: Course) -> Node:
    inner = flows.get(job.embeds) if job.embeds is not None and not job.lost else None
    if inner is not None:
        nodes = shift(plan(inner, flows, _inside(course, job.name)), start)
        return Node(job, start, length(nodes, start), outcome(nodes), nodes)
    if job.lost or job.type not in JOB_TYPES or (job.type == COMMAND and not job.commands):
        return Node(job, start, start, Status.FAILED)
    text = "\n".join(job.commands)
    sleeps = _SLEEP.findall(text)
    took = round(1000 * sum(map(float, sleeps))) if sleeps else course.run_ms
    failed = any(_FAILURE.search(command) for command in job.commands)
    return Node(job, start, start + took, Status.FAILED if failed else Status.SUCCEEDED)


def _inside(course: Course, name: str) -> Course:
    """For the flow that a job of that name stands for."""
    if not course.disabled:
        return course
    inner = (each.partition(":") for each in course.disabled)
    return replace(course, disabled=frozenset(rest for outer, _, rest in inner if outer == name and rest))


def in_order(flow: Flow) -> Iterable[Job]:
    """The jobs, each after those that it depends on."""
    if len(flow.jobs) == 1:
        return flow.jobs
    jobs = {job.name: job for job in flow.jobs}
    names = TopologicalSorter({job.name: job.dependencies for job in flow.jobs}).static_order()
    return (jobs[name] for name in names)


def outcome(nodes: Iterable[Node]) -> Status:
    """What the flow of these jobs is once all are over."""
    failed = any(node.outcome is Status.FAILED for node in nodes)
    return Status.FAILED if failed else Status.SUCCEEDED


def first_failure(nodes: Iterable[Node]) -> int:
    """When the first job fails, or NEVER."""
    return min((node.end for node in nodes if node.outcome is Status.FAILED), default=NEVER)


def length(nodes: Iterable[Node], start: int = 0) -> int:
    """When the last job ends; of no jobs the start."""
    return max((node.end for node in nodes), default=start)


def cut(nodes: Iterable[Node], at: int, *, kill: bool) -> tuple[Node, ...]:
    """The same jobs, but from some time on none is started; with `kill`, running ones end then, too."""
    return tuple(_cut(node, at, kill=kill) for node in nodes)


def _cut(node: Node, at: int, *, kill: bool) -> Node:
    if node.end <= at and (node.start < at or node.outcome is Status.FAILED):
        return node
    if node.start >= at:
        inner = cut(node.nodes, at, kill=kill)
        return replace(node, start=at, end=at, outcome=Status.CANCELLED, nodes=inner)
    if kill:
        return replace(node, end=at, outcome=Status.KILLED, nodes=cut(node.nodes, at, kill=True))
    return node


def shift(nodes: Iterable[Node], by: int, since: int = 0) -> tuple[Node, ...]:
    """The jobs that start at or after some time, later by so much; the others as they are."""
    return tuple(_shift(node, by, since) for node in nodes)


def _shift(node: Node, by: int, since: int) -> Node:
    if node.start < since and not node.nodes:
        return node
    inner = shift(node.nodes, by, since)
    if node.start < since:
        return replace(node, end=length(inner, node.start), nodes=inner)
    return replace(node, start=node.start + by, end=node.end + by, nodes=inner)


def spans(nodes: Iterable[Node]) -> tuple[Span, ...]:
    """The nodes of a flow, in its order, without their jobs."""
    return tuple(Span(node.start, node.end, node.outcome, spans(node.nodes)) for node in nodes)


def with_jobs(spans: Iterable[Span], flow: Flow, flows: Mapping[str, Flow]) -> tuple[Node, ...]:
    """The nodes again.  Raises ValueError when they are not those of the flow."""
    return tuple(
        Node(
            job,
            span.start,
            span.end,
            span.outcome,
            with_jobs(span.spans, flows[job.embeds], flows) if job.embeds and span.spans else (),
        )
        for span, job in zip(spans, flow.jobs, strict=True)
    )


def pipelined(before: Collection[Node], level: int) -> dict[str, int]:
    """Before when no job may start if it has to wait for the run before it.

    Level 1: for the same job; from level 2 on: for the jobs that come after that one, too.
    """
    ends = {node.job.name: node.end for node in before}
    if level > 1:
        for node in before:
            for name in node.job.dependencies:
                ends[name] = max(ends[name], node.end)
    return ends
