"""Items that do nothing: what is left is master, queue, ledger and worker."""

from __future__ import annotations

from dataclasses import dataclass

from loadgen import Scenario, Session


@dataclass(frozen=True)
class Options:
    """What can be set."""

    items: int = 1000


scenario = Scenario(options=Options)


@scenario.step(items=lambda options: options.items)
def nothing(http: Session, item: int, options: Options) -> None:
    """Do nothing."""
