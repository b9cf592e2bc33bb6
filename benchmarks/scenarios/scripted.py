"""GET a small JSON document and check it: a step that makes its call itself."""

from __future__ import annotations

from dataclasses import dataclass

from loadgen import Scenario, Session


@dataclass(frozen=True)
class Options:
    """What can be set."""

    items: int = 1000
    path: str = "/json"


scenario = Scenario(options=Options)


@scenario.step(items=lambda options: options.items)
def get(http: Session, item: int, options: Options) -> None:
    """One GET."""
    if http.get(options.path, name="get").json()["ok"] is not True:
        raise ValueError("not ok")
