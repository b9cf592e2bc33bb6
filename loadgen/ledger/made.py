"""What a run made, for the scenario's verify and teardown: `loadgen.Made`, read from the ledger."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from loadgen.errors import ScenarioError
from loadgen.ledger.reader import Reader
from loadgen.sample import Outcome


class LedgerMade:
    """What a run made, as long as its reader is open."""

    def __init__(self, reader: Reader, known: Collection[str]) -> None:
        """`known`: the scenario's steps, of which the run may have had a part only."""
        self._reader = reader
        self._known = known
        self._indexes = {step.name: step.index for step in reader.steps()}

    @property
    def setup(self) -> Any:
        """What `setup` returned."""
        return self._reader.setup()

    @property
    def steps(self) -> Sequence[str]:
        """The steps that the run had."""
        return tuple(self._indexes)

    def __call__(self, step: str) -> Iterator[Any]:
        """What the step returned for the items that are done, without what was None."""
        index = self._index(step)
        return iter(()) if index is None else self._reader.values(index)

    def unknown(self, step: str) -> Iterator[int]:
        """Items whose outcome is unknown, or what they returned.

        Those that are counted as unknown, those that were in flight, or waited for another try, when the run
        stopped early, and those that were tried, then looked for and found.
        """
        index = self._index(step)
        if index is None:
            return iter(())
        return heapq.merge(
            self._reader.ended(index, Outcome.UNKNOWN),
            self._reader.doubtful(index),
            self._reader.found_again(index),
        )

    def failed(self, step: str) -> Iterator[int]:
        """Items that failed."""
        index = self._index(step)
        return iter(()) if index is None else self._reader.ended(index, Outcome.FAILED)

    def _index(self, step: str) -> int | None:
        if step not in self._indexes and step not in self._known:
            raise ScenarioError(f"made: there is no step {step!r}; there are {', '.join(self._known)}")
        return self._indexes.get(step)
