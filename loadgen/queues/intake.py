"""What a report brings: checked, handed to the lease machine, and turned into what the ledger keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from loadgen.columns import NO_PLAIN
from loadgen.errors import RemoteError
from loadgen.queues.decisions import Decisions
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.messages import Batch
from loadgen.record import Entry, Reported

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


def told(batches: Sequence[Batch], entries: Iterable[Entry]) -> list[Batch]:
    """The same for those who watch; `entries`: what the ledger keeps of them.

    A worker asks for a retry wherever its step allows one: where there was no budget left for it, the
    item has ended.
    """
    reports = [entry for entry in entries if isinstance(entry, Reported)]
    return [_told(batch, reported) for batch, reported in zip(batches, reports, strict=True)]


def _told(batch: Batch, reported: Reported) -> Batch:
    if all(result.retry_ms is None for result in batch.harvest.results):
        return batch
    results = tuple(
        replace(result, retry_ms=None) if (result.item, result.attempt) in reported.counted else result
        for result in batch.harvest.results
    )
    return replace(batch, harvest=replace(batch.harvest, results=results))
