"""Several steps side by side, by weight: whose turn it is, and how users write it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from loadgen.pace.rates import failing

_EXAMPLE = "like browse=3,order=1"
_NONE_LEFT = 1e-6
"""Of an item: what a float is short of nothing."""
_STEP = re.compile(r"\s*([^\W\d]\w*)\s*")
_WEIGHT = re.compile(r"=\s*(-?\d{1,9}(?:\.\d{1,6})?)\s*")


class Turns:
    """Smooth weighted round-robin: next is the step that is furthest behind its weight.

    After any number of items, each step has had its share of them within one item (or one chunk, where
    chunks are what is handed out).
    """

    def __init__(self, weights: Mapping[int, float]) -> None:
        """`weights`: of the steps, by index; all above 0."""
        self._weights = weights
        self._had = dict.fromkeys(weights, 0.0)

    def share(self, step: int, among: Collection[int]) -> float:
        """The step's part of the items of these steps and of itself."""
        return self._weights[step] / sum(self._weights[other] for other in {*among, step})

    def order(self) -> list[int]:
        """The steps, the one whose turn it is first."""
        weights, had = self._weights, self._had
        return sorted(weights, key=lambda step: ((had[step] + 1) / weights[step], step))

    def took(self, step: int, items: int) -> None:
        """The step had so many."""
        self._had[step] += items


def parts(weights: Mapping[int, float], items: Mapping[int, float]) -> dict[int, list[tuple[float, float]]]:
    """Which part of a common rate each step has: (arrivals, share), from so many arrivals of all on.

    When one has had its items, the others have its share: the rate of all stays.  A step without a number
    of items has math.inf.

    >>> parts({0: 3, 1: 1}, {0: 30, 1: 30})
    {0: [(0.0, 0.75)], 1: [(0.0, 0.25), (40.0, 1.0)]}
    """
    found: dict[int, list[tuple[float, float]]] = {step: [] for step in weights}
    left, arrivals = dict(items), 0.0
    while going_on := [step for step in weights if left[step] > _NONE_LEFT]:
        whole = sum(weights[step] for step in going_on)
        length = min(left[step] * whole / weights[step] for step in going_on)
        for step in going_on:
            found[step].append((arrivals, weights[step] / whole))
            left[step] -= length * weights[step] / whole
        arrivals += length
    return found


def parse_mix(text: str, where: str = "--mix") -> dict[str, float]:
    """Weights by step, like browse=3,order=1; `where` they stand, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    weights: dict[str, float] = {}
    at = 0
    while True:
        step = _STEP.match(text, at)
        if not step:
            fail(at, f"expected STEP=WEIGHT,..., {_EXAMPLE}")
        name, found = step[1], _WEIGHT.match(text, step.end())
        if name in weights:
            fail(step.start(1), f"{name} has a weight already")
        if not found:
            fail(step.end(), f"expected = and the weight of {name}, a number, {_EXAMPLE}")
        if float(found[1]) <= 0:
            fail(found.start(1), "a weight is above 0; leave a step out that is to have none")
        weights[name] = float(found[1])
        at = found.end()
        if at == len(text):
            return weights
        if text[at] != ",":
            fail(at, f"expected a comma or the end, {_EXAMPLE}")
        at += 1
