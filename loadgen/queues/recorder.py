"""Where the queue's decisions go before anybody hears of them: what the ledger is to the queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loadgen.record import Entry


class Ticket(Protocol):
    """A commit under way."""

    def wait(self) -> None:
        """Return when it is on disk, and all that was submitted before it.  Raises LedgerFailed."""
        ...


class Recorder(Protocol):
    """Where a call's consequences go before it is answered."""

    def submit(self, entries: Sequence[Entry]) -> Ticket:
        """Commit the entries, in order of submission; several submissions may share one commit."""
        ...
