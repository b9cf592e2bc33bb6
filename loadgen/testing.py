"""For the unit tests of scenarios: a Session that `responses` can answer, an item done as a pool does it.

docs/scenarios.md and tests/unit/scenarios show how.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from loadgen.clock import SystemClock
from loadgen.execution.runner import Errand, Runner
from loadgen.execution.session import Session
from loadgen.sample import Outcome, Result, Sample
from loadgen.scenario import Step

__all__ = ["FakeMade", "Outcome", "Tried", "do_item", "session"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of an item."""

    result: Result
    """Of its last attempt."""
    samples: list[Sample]
    """One for each HTTP request of all attempts."""

    @property
    def value(self) -> Any:
        """What the manifest would get."""
        return msgspec.msgpack.decode(self.result.value)


@dataclass(frozen=True, slots=True)
class FakeMade:
    """What a run made, for the unit test of a verify or a teardown."""

    done: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """By step: what it returned for its items."""
    setup: Any = None
    """What setup returned."""
    in_doubt: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By step: the items that nobody knows about."""
    broken: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By step: the items that failed."""

    @property
    def steps(self) -> Sequence[str]:
        """All steps that are named."""
        return tuple(dict.fromkeys((*self.done, *self.in_doubt, *self.broken)))

    def __call__(self, step: str) -> Iterator[Any]:
        """What the step returned, without what was None."""
        return (value for value in self.done.get(step, ()) if value is not None)

    def unknown(self, step: str) -> Iterator[int]:
        """Its items in doubt."""
        return iter(self.in_doubt.get(step, ()))

    def failed(self, step: str) -> Iterator[int]:
        """Its items that failed."""
        return iter(self.broken.get(step, ()))


def session(base_url: str) -> Session:
    """A Session on the `requests` transport.  It has no login: call the scenario's, or set `on_login`."""
    return Session(base_url, transport="requests")


def do_item(step: Step[..., Any], item: Any, options: Any, session: Session) -> Tried:
    """Do an item, its step's Retry included, without waiting between attempts.

    `item` is what the step's function is given: an index, or a data row.  Nothing that the step raises
    comes out of this: it is in the result, as it would be in the ledger.
    """
    index = item if isinstance(item, int) else 0
    runner = Runner(options, session, SystemClock())
    samples: list[Sample] = []
    for attempt in itertools.count(1):
        result, calls = runner.run(Errand(step, index, item, attempt))
        samples += calls
        if result.retry_ms is None:
            break
    return Tried(result, samples)
