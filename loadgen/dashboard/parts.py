"""What the dashboard's site is made of; without the libraries that serve it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loadgen.control import Answer
from loadgen.control import Request as Order
from loadgen.dashboard.access import Access
from loadgen.dashboard.board import Board
from loadgen.dashboard.hub import Hub


@dataclass(frozen=True, slots=True)
class Parts:
    """What the site is made of."""

    access: Access
    board: Board
    steer: Callable[[Order], Answer]
    """Does what is asked for; called in threads.  Raises UsageError."""
    metrics: Callable[[], str] | None = None
    """The run in Prometheus' text format; None: there is nothing at /metrics."""
    hub: Hub = field(default_factory=Hub)
