"""What a queue with one server does to those who call it: computed, to hold measured times against.  Pure.

`walked` follows the very arrivals that were (Lindley's recursion, 1952): no chance is in it.  `waiting` is
the distribution of the M/D/1 queue in the long run (Erlang, 1909; Crommelin, 1932), which a run of finite
length comes near, at high utilisation slowly.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from decimal import Decimal, localcontext


def walked(
    arrivals_s: Sequence[float], service_s: float, stalls: Sequence[tuple[float, float]] = ()
) -> list[float]:
    """The response time of each, in seconds; the server begins nothing within `stalls` (from, to).

    >>> walked([0.0, 1.0, 1.5, 9.0], 2.0)
    [2.0, 3.0, 4.5, 2.0]
    """
    free_s, responses = -math.inf, []
    for arrival_s in arrivals_s:
        begin_s = max(arrival_s, free_s)
        for stop_s, go_s in stalls:
            begin_s = go_s if stop_s <= begin_s < go_s else begin_s
        free_s = begin_s + service_s
        responses.append(free_s - arrival_s)
    return responses


def kept(
    arrivals_s: Sequence[float], service_s: float, spans: Sequence[tuple[float, float]] = ()
) -> list[float]:
    """The response time of each, in seconds, where the server could do nothing within `spans` (from, to).

    Unlike in a stall its clock went on: what was to leave meanwhile leaves at the end, all at once.

    >>> kept([0.0, 1.0, 9.0], 2.0, [(1.5, 5.0)])
    [5.0, 4.0, 2.0]
    >>> kept([0.0, 7.0], 2.0, [(6.5, 7.5)])
    [2.0, 2.5]
    """

    def able_s(at_s: float) -> float:
        after = bisect.bisect_right(spans, (at_s, math.inf)) - 1
        return max(at_s, spans[after][1]) if after >= 0 else at_s

    free_s, responses = -math.inf, []
    for arrival_s in arrivals_s:
        free_s = max(able_s(arrival_s), free_s) + service_s
        responses.append(able_s(free_s) - arrival_s)
    return responses


def waiting(rate_per_s: float, service_s: float, seconds: float) -> float:
    """The share of arrivals that wait at most so long: Poisson arrivals, constant service time.

    P(W <= t) = (1 - rho) * sum of (-u)**k / k! * exp(u), u = rate * (t - k * service), for k up to
    t / service.  Its terms alternate and are large: hence Decimal.
    """
    if seconds < 0:
        return 0.0
    with localcontext() as context:
        context.prec = 60
        rate, service, upto = Decimal(rate_per_s), Decimal(service_s), Decimal(seconds)
        total, factorial = Decimal(0), Decimal(1)
        for k in range(int(upto / service) + 1):
            factorial *= max(k, 1)
            u = rate * (upto - k * service)
            total += (-u) ** k / factorial * u.exp() if k else u.exp()
        return float((1 - rate * service) * total)


def quantile(rate_per_s: float, service_s: float, share: float) -> float:
    """The response time, in seconds, that so many have at most: the wait by bisection, and the service."""
    low, high = 0.0, service_s
    while waiting(rate_per_s, service_s, high) < share:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if waiting(rate_per_s, service_s, middle) < share else (low, middle)
    return high + service_s


def mean(rate_per_s: float, service_s: float) -> float:
    """The mean response time (Pollaczek, 1930; Khinchin, 1932)."""
    rho = rate_per_s * service_s
    return service_s + rho * service_s / (2 * (1 - rho))


def spots(values: Sequence[float]) -> dict[str, float]:
    """Mean, p50, p90 and p99, by nearest rank."""
    ranked = sorted(values)
    found = {"mean": math.fsum(ranked) / len(ranked)}
    for percentile in (50, 90, 99):
        found[f"p{percentile}"] = ranked[max(math.ceil(len(ranked) * percentile / 100), 1) - 1]
    return found
