"""What a report brings: checked, handed to the lease machine, and turned into what the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadgen.columns import NO_PLAIN
from loadgen.errors import RemoteError
from loadgen.queues.decisions import Decisions
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.messages import Batch
from loadgen.record import Reported

MOST_ITEMS = 2**62
"""Of a step that is not known yet."""


def check(batches: Sequence[Batch], steps: int, machines: Mapping[int, LeaseMachine]) -> None:
    """Nothing is taken in of a report that cannot be true.  Raises RemoteError."""
    for batch in batches:
        if batch.step >= steps:
            raise RemoteError("the report is of a step that does not exist")
        machine = machines.get(batch.step)
        try:
            batch.harvest.check(machine.known if machine else MOST_ITEMS)
        except ValueError as error:
            raise RemoteError(f"the report makes no sense: {error}") from error


def settle(
    batch: Batch, worker: int, machine: LeaseMachine | None, now_us: int
) -> tuple[Reported, list[Decisions]]:
    """Have the machine decide about the results; `worker` is the number of who reports them.

    Results that are alike are settled together where the machine can, and else each by itself.
    """
    harvest = batch.harvest
    plain, results = harvest.plain, harvest.results
    together = machine.settle_plain(batch.lease, plain.spans) if machine and plain else None
    if together is None:
        plain, results = NO_PLAIN, (*plain.results(), *results)
    made = machine.settle(batch.lease, results, now_us) if machine else Decisions()
    reported = Reported(batch.step, worker, results, harvest.samples, plain, made.counted, made.resolved)
    return reported, [made] if together is None else [together, made]
