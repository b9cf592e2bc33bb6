"""Schedules: one a flow, and when each fires next.  Pure: the time is handed in.

As in ScheduleManager.java and TriggerManager.java, where a schedule is a trigger and a scanner looks at
regular times which are due.  What was missed meanwhile is missed: a schedule fires once a scan.
Each change is an event that is recorded first and then applied.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from loadgen.sandbox.azkaban import quartz
from loadgen.sandbox.azkaban.flow_options import FlowOptions
from loadgen.sandbox.journal import Event

if TYPE_CHECKING:
    from loadgen.sandbox.azkaban.quartz import Cron

END_MS = 2_524_608_000_000
"""2050-01-01: when a schedule ends that does not say when."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a schedule says."""

    project_id: int
    project: str
    flow: str
    cron: str
    user: str
    options: FlowOptions
    end_ms: int = END_MS
    """After that it fires no more, and is forgotten (Azkaban keeps it, paused)."""
    back_execute_once: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule; times are milliseconds since 1970."""

    id: int
    terms: Terms
    first_ms: int
    """When it was made, or made anew."""
    next_ms: int
    """When it fires."""

    @property
    def due_ms(self) -> int:
        """When the scanner has to look at it: because it fires, or because it ends."""
        return min(self.next_ms, self.terms.end_ms + 1)


class Change(Event, frozen=True, tag=True):
    """What became of a schedule: all of it, so that only the last change counts."""

    id: int

    @property
    def subject(self) -> Hashable:
        """The schedule."""
        return "schedule", self.id


class Scheduled(Change, frozen=True):
    """A flow has a schedule of that id and no other; after `at_ms` it fires next, or never."""

    terms: Terms
    first_ms: int
    at_ms: int


class Removed(Change, frozen=True):
    """The schedule is no more."""


EVENTS = (Scheduled, Removed)


class Schedules:
    """All schedules of one server."""

    def __init__(self, record: Callable[[Event], None] = lambda _event: None) -> None:
        """`record` is told of every change before it is made."""
        self._record = record
        self._by_id: dict[int, Schedule] = {}
        self._of_project: dict[int, dict[str, int]] = {}
        self._due: list[tuple[int, int]] = []
        """A heap of times and ids; a time that is not the schedule's any more does not count."""
        self._crons: dict[str, Cron] = {}
        self._last_id = 0

    def schedule(self, terms: Terms, now_ms: int) -> Schedule:
        """Give a flow its schedule; one that it has keeps its id.  Raises CronError."""
        if _next_ms(self._cron(terms.cron), now_ms) is None:
            raise quartz.CronError("it will never fire")
        known = self._of_project.get(terms.project_id, {}).get(terms.flow)
        number = self._last_id + 1 if known is None else known
        self._change(Scheduled(number, terms, now_ms, now_ms))
        return self._by_id[number]

    def remove(self, number: int) -> None:
        """Forget a schedule."""
        self._change(Removed(number))

    def remove_project(self, project_id: int) -> None:
        """Forget all of a project."""
        self.keep_only(project_id, ())

    def keep_only(self, project_id: int, flows: Collection[str]) -> None:
        """Forget those of a project's flows that are not among these."""
        for flow, number in list(self._of_project.get(project_id, {}).items()):
            if flow not in flows:
                self.remove(number)

    def fire(self, number: int, now_ms: int) -> None:
        """It is due: note when it will be next, and forget it when that is never."""
        fired = self._by_id[number]
        self._change(Scheduled(number, fired.terms, fired.first_ms, now_ms))

    def apply(self, change: Change) -> None:
        """The one place where something changes."""
        self._last_id = max(self._last_id, change.id)
        match change:
            case Scheduled(number, terms, first_ms, at_ms):
                next_ms = _next_ms(self._cron(terms.cron), at_ms)
                if next_ms is None:
                    self._forget(number)
                    return
                self._of_project.setdefault(terms.project_id, {})[terms.flow] = number
                self._by_id[number] = schedule = Schedule(number, terms, first_ms, next_ms)
                heapq.heappush(self._due, (schedule.due_ms, number))
            case Removed(number):
                self._forget(number)

    def next_due_ms(self) -> int | None:
        """When the next schedule is due; None when there is none."""
        while self._due and not self._is_due(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def due(self, now_ms: int) -> list[Schedule]:
        """Those that are due by then, by their times; they are until each is fired or removed."""
        entries = sorted(entry for entry in self._due if entry[0] <= now_ms)
        numbers = dict.fromkeys(number for due_ms, number in entries if self._is_due(due_ms, number))
        return [self._by_id[number] for number in numbers]

    def get(self, number: int) -> Schedule | None:
        """The schedule of that id."""
        return self._by_id.get(number)

    def find(self, project_id: int, flow: str) -> Schedule | None:
        """The schedule of a flow."""
        number = self._of_project.get(project_id, {}).get(flow)
        return None if number is None else self._by_id[number]

    def all(self) -> Iterator[Schedule]:
        """Of all projects, oldest first."""
        return (self._by_id[number] for number in sorted(self._by_id))

    def __len__(self) -> int:
        return len(self._by_id)

    def _is_due(self, due_ms: int, number: int) -> bool:
        schedule = self._by_id.get(number)
        return schedule is not None and schedule.due_ms == due_ms

    def _change(self, change: Change) -> None:
        self._record(change)
        self.apply(change)

    def _forget(self, number: int) -> None:
        """Of a journal that was compacted only this may be left: then there is nothing to forget."""
        schedule = self._by_id.pop(number, None)
        if schedule is not None:
            del self._of_project[schedule.terms.project_id][schedule.terms.flow]

    def _cron(self, text: str) -> Cron:
        cron = self._crons.get(text)
        if cron is None:
            self._crons[text] = cron = quartz.parse(text)
        return cron


def _next_ms(cron: Cron, now_ms: int) -> int | None:
    found = cron.next_after(_EPOCH + timedelta(milliseconds=now_ms))
    return None if found is None else round((found - _EPOCH).total_seconds()) * 1000
