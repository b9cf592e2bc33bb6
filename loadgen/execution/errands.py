"""What is to be done with each item of a task, made as it is asked for: a task can have thousands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, overload

import msgspec

from loadgen.execution.pipe import Task
from loadgen.execution.runner import Errand
from loadgen.scenario import Step


class Errands(Sequence[Errand]):
    """A task's items, each made when it is asked for."""

    def __init__(self, task: Task, step: Step[..., Any]) -> None:
        self._task = task
        self._step = step

    def __len__(self) -> int:
        """How many there are."""
        return len(self._task.items)

    def __iter__(self) -> Iterator[Errand]:
        """All of them, at a third of the cost of asking for one after the other."""
        task = self._task
        arguments: Iterable[Any] = map(msgspec.msgpack.decode, task.rows) if task.rows else task.items
        attempts, due_us = task.attempts or repeat(1), task.due_us or repeat(0)
        return map(Errand, repeat(self._step), task.items, arguments, attempts, due_us)

    @overload
    def __getitem__(self, index: int) -> Errand: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Errand]: ...

    def __getitem__(self, index: int | slice) -> Errand | Sequence[Errand]:
        """One of them, or some."""
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        task = self._task
        item = task.items[index]
        argument: Any = msgspec.msgpack.decode(task.rows[index]) if task.rows else item
        attempt = task.attempts[index] if task.attempts else 1
        return Errand(self._step, item, argument, attempt, task.due_us[index] if task.due_us else 0)
