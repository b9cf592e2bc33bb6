"""How far apart two runs are, and how much of it may be noise: a block bootstrap over slices of time.  Pure.

What a run would have measured another time is simulated by drawing its own slices again, with replacement,
in blocks of neighbours, since a slow moment is rarely alone; the ratio of two such draws, many times over,
is the noise of the ratio.  The band holds the middle 95 % of it.

B. Efron, R. J. Tibshirani: An Introduction to the Bootstrap (1993), ch. 8.6 and 13; blocks in a circle:
D. N. Politis, J. P. Romano: A circular block-resampling procedure for stationary data (1992).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from loadgen.reports.slices import Slices, Weights

ROUNDS = 400
BLOCK = 3
"""Neighbours that are drawn together: the cube root of the number of slices, as is usual."""
CONFIDENCE = 0.95
MEASURES: Mapping[str, Callable[[Slices, Weights], float]] = MappingProxyType(
    {
        "mean": Slices.mean,
        "p50": lambda slices, weights: slices.percentile(50, weights),
        "p95": lambda slices, weights: slices.percentile(95, weights),
        "p99": lambda slices, weights: slices.percentile(99, weights),
        "rate": Slices.rate,
        "errors": Slices.errors,
    }
)
ENOUGH: Mapping[str, int] = MappingProxyType(
    {"mean": 50, "p50": 50, "p95": 200, "p99": 1_000, "rate": 50, "errors": 50}
)
"""How much of it there must be on both sides: ten beyond a percentile; of less nothing is said."""
_BEYOND = 10
"""So many must lie beyond a percentile."""
_FILLED = 12
"""Slices that must hold something."""
_STUDENT = 2.365 / 1.960
"""By how much Student's 97.5 % with 7 degrees of freedom, of 8 blocks, is wider than the normal one."""
_ADDED = ("errors",)
"""Measures whose difference is told, not their ratio: they may be nothing."""


@dataclass(frozen=True, slots=True)
class Band:
    """A change from one run to another, with its noise: in percent, or in points for a share."""

    change: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether it may as well be none."""
        return self.low <= 0 <= self.high


def bands(
    base: Slices,
    other: Slices,
    seed: int = 1,
    rounds: int = ROUNDS,
    measures: Collection[str] = tuple(MEASURES),
) -> dict[str, Band]:
    """The change of each of these measures that there is enough of."""
    names = [name for name in measures if _tells(base, ENOUGH[name]) and _tells(other, ENOUGH[name])]
    if not names:
        return {}
    dice = random.Random(seed)  # noqa: S311 - the same answer each time, no secret
    draws: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        one, two = _draw(base, dice), _draw(other, dice)
        for name in names:
            draws[name].append(_change(name, base, other, one, two))
    all_base, all_other = _all(base), _all(other)
    return {
        name: _band(name, _change(name, base, other, all_base, all_other), sorted(draws[name]), base)
        for name in names
    }


def spread(
    slices: Slices, percentiles: Sequence[float], seed: int = 1, rounds: int = ROUNDS // 2
) -> list[tuple[float, float]]:
    """Between which values each of these may lie when the same run is measured again: microseconds.

    Only of those that ten times lie beyond.
    """
    told = [each for each in percentiles if slices.total * (100 - each) >= 100 * _BEYOND]
    if not told or not _tells(slices, ENOUGH["p50"]):
        return []
    dice = random.Random(seed)  # noqa: S311 - the same answer each time, no secret
    draws = [_draw(slices, dice) for _ in range(rounds)]
    found = []
    for each in told:
        value, *drawn = (math.log(max(slices.percentile(each, of), 1.0)) for of in (_all(slices), *draws))
        low, high = _ends(value, sorted(drawn), slices)
        found.append((math.exp(low), math.exp(high)))
    return found


def _tells(slices: Slices, least: int) -> bool:
    return slices.total >= least and slices.filled >= min(_FILLED, len(slices.counts))


def _all(slices: Slices) -> Weights:
    return [(slice_, 1) for slice_ in range(len(slices.counts))]


def _draw(slices: Slices, dice: random.Random) -> Weights:
    """As many slices as there are, in blocks; never only empty ones."""
    number = len(slices.counts)
    while True:
        starts = [dice.randrange(number) for _ in range(-(-number // BLOCK))]
        drawn = [(start + offset) % number for start in starts for offset in range(BLOCK)][:number]
        if any(slices.counts[slice_] for slice_ in drawn):
            return list(Counter(drawn).items())


def _change(name: str, base: Slices, other: Slices, one: Weights, two: Weights) -> float:
    """A difference, or the logarithm of a ratio, whose noise is as large upwards as downwards."""
    measure = MEASURES[name]
    before, after = measure(base, one), measure(other, two)
    if name in _ADDED:
        return after - before
    return math.log(max(after, 1e-9) / max(before, 1e-9))


def _band(name: str, change: float, draws: list[float], slices: Slices) -> Band:
    low, high = _ends(change, draws, slices)
    if name in _ADDED:
        return Band(change, low, high)
    return Band(*(100 * math.expm1(end) for end in (change, low, high)))


def _ends(middle: float, draws: Sequence[float], slices: Slices) -> tuple[float, float]:
    """The middle of the sorted draws, widened by what a bootstrap of few blocks is too narrow."""
    number = len(slices.counts)
    tail = (1 - CONFIDENCE) / 2
    low, high = draws[int(tail * len(draws))], draws[min(int((1 - tail) * len(draws)), len(draws) - 1)]
    wider = math.sqrt(number / (number - BLOCK)) * _STUDENT
    ends = [middle + (end - middle) * wider for end in (low, high)]
    # where the middle lies outside of its own draws, which few slices can bring about, the band reaches it
    return min(ends[0], middle), max(ends[1], middle)
