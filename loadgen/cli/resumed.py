"""What a resumed run takes over from its earlier sessions."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadgen.ledger.reader import Reader
from loadgen.queues.members import Restored
from loadgen.record import RunFacts


def restored(directory: Path) -> Restored:
    """What the queue must know of the sessions before."""
    with Reader(directory) as reader:
        return Restored(
            sessions=reader.sessions(),
            workers=len(reader.workers()),
            leases=reader.last_lease(),
            step=next((step.index for step in reader.steps() if reader.counts(step).pending), 0),
        )


def still(now: RunFacts, before: RunFacts) -> RunFacts:
    """The facts of a resumed run: those of now, and what was true of its target before."""
    return msgspec.structs.replace(now, target=now.target or before.target, sandbox=before.sandbox)
