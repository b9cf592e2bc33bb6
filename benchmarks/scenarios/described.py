"""GET a small JSON document and check it: a step that describes its call."""

from __future__ import annotations

from dataclasses import dataclass

import requests

from loadgen import Call, Scenario


@dataclass(frozen=True)
class Options:
    """What can be set."""

    items: int = 1000
    path: str = "/json"


scenario = Scenario(options=Options)


def check(response: requests.Response) -> None:
    """Raise when the answer is wrong."""
    if response.json()["ok"] is not True:
        raise ValueError("not ok")


@scenario.step(items=lambda options: options.items)
def get(item: int, options: Options) -> Call:
    """One GET."""
    return Call("GET", options.path, name="get", check=check)
