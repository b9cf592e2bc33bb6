"""What is to be done with each item of a task, made as it is asked for: a task can have thousands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import msgspec

from loadgen.execution.pipe import Task
from loadgen.execution.runner import Errand
from loadgen.scenario import Step


def errands(task: Task, step: Step[..., Any]) -> Iterator[Errand]:
    """A task's items, in order."""
    arguments: Iterable[Any] = map(msgspec.msgpack.decode, task.rows) if task.rows else task.items
    attempts, due_us = task.attempts or repeat(1), task.due_us or repeat(0)
    return map(Errand, repeat(step), task.items, arguments, attempts, due_us)
