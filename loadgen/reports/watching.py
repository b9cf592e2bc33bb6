"""Who else looks at a run's rows while they pass: one reading of the ledger is enough for a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from loadgen.record import AttemptRow, CallTable, TryTable


class Watch(Protocol):
    """Is shown every row."""

    def add_tries(self, table: TryTable, /) -> None:
        """Tries that settled their items at the first attempt."""
        ...

    def add_try(self, row: AttemptRow, start_us: int, /) -> None:
        """Another one, and when it began, on the clock of the calls."""
        ...

    def add_calls(self, table: CallTable, /) -> None:
        """Calls."""
        ...


class CallWatch:
    """Looks at calls only."""

    def __init__(self, watch: Callable[[CallTable], None]) -> None:
        self._watch = watch

    def add_tries(self, table: TryTable) -> None:
        """Not looked at."""

    def add_try(self, row: AttemptRow, start_us: int) -> None:
        """The same."""

    def add_calls(self, table: CallTable) -> None:
        """Pass them on."""
        self._watch(table)


class Punctual:
    """Shows another watch the rows as if all had started when they were meant to: service times only."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def add_tries(self, table: TryTable) -> None:
        """Pass them on without their lags."""
        self._watch.add_tries(TryTable(table.step, table.worker, table.plain.punctual()))

    def add_try(self, row: AttemptRow, start_us: int) -> None:
        """The same."""
        self._watch.add_try(replace(row, lag_us=0), start_us)

    def add_calls(self, table: CallTable) -> None:
        """The same."""
        self._watch.add_calls(CallTable(table.step, table.worker, table.samples.punctual()))
