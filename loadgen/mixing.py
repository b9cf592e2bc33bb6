"""Several steps side by side, by weight: whose turn it is, and how users write it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from loadgen.rates import failing

_WEIGHT = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(-?\d{1,9}(?:\.\d{1,6})?)\s*")


class Turns:
    """Smooth weighted round-robin: next is the step that is furthest behind its weight.

    After any number of items, each step has had its share of them within one item (or one chunk, where
    chunks are what is handed out).
    """

    def __init__(self, weights: Mapping[int, float]) -> None:
        """`weights`: of the steps, by index; all above 0."""
        self._weights = weights
        self._had = dict.fromkeys(weights, 0.0)

    def share(self, step: int) -> float:
        """The step's part of all items."""
        return self._weights[step] / sum(self._weights.values())

    def order(self) -> list[int]:
        """The steps, the one whose turn it is first."""
        weights, had = self._weights, self._had
        return sorted(weights, key=lambda step: ((had[step] + 1) / weights[step], step))

    def took(self, step: int, items: int) -> None:
        """The step had so many."""
        self._had[step] += items


def parse_mix(text: str, where: str = "--mix") -> dict[str, float]:
    """Weights by step, like browse=3,order=1; `where` they stand, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    weights: dict[str, float] = {}
    at = 0
    while True:
        found = _WEIGHT.match(text, at)
        if not found:
            fail(at, "expected STEP=WEIGHT,...: browse=3,order=1")
        name, weight = found[1], float(found[2])
        if name in weights:
            fail(found.start(1), f"{name} has a weight already")
        if weight <= 0:
            fail(found.start(2), "a weight is above 0; leave a step out that is to have none")
        weights[name] = weight
        at = found.end()
        if at == len(text):
            return weights
        if text[at] != ",":
            fail(at, "expected a comma or the end")
        at += 1
