"""What a machine can drive truly: the table and the sentence of `loadgen selftest`.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadgen.reports.schema import Summary
from loadgen.reports.words import three

_GROWTH = 4
"""From one level to the next."""
_SATURATED = 0.8
"""Below this share of what the level could reach, more in flight gives hardly more calls."""
_SLOW_SERVER = 0.1
"""Share of the delay by which the server may be late before it is said."""

HEADING = (
    "in flight   calls/s    p50 ms   p99 ms   error p50   error p99   server p99   probe p99   times are"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level, as measured."""

    in_flight: int
    delay_ms: float
    """After how long the server means to answer."""
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    late_p50_ms: float
    """By how much the server answered later than it meant to."""
    late_p99_ms: float
    probe_ms: float | None
    verdict: str | None
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, in_flight: int, delay_ms: float, summary: Summary, status: dict[str, float]) -> Level:
        """From a run's summary, and from what the server said of itself afterwards."""
        call = max(summary.calls, key=lambda call: call.count)
        probes = [worker.probe_ms for worker in summary.workers if worker.probe_ms is not None]
        return cls(
            in_flight=in_flight,
            delay_ms=delay_ms,
            rate_per_s=call.rate_per_s or 0.0,
            p50_ms=call.service_time.p50 or 0.0,
            p99_ms=call.service_time.p99 or 0.0,
            late_p50_ms=status["late_p50_ms"],
            late_p99_ms=status["late_p99_ms"],
            probe_ms=max(probes, default=None),
            verdict=summary.generator.verdict,
            reasons=summary.generator.reasons,
        )

    @property
    def row(self) -> str:
        """For the table."""
        p50 = self.p50_ms / (self.delay_ms + self.late_p50_ms) - 1
        p99 = self.p99_ms / (self.delay_ms + self.late_p99_ms) - 1
        return (
            f"{self.in_flight:>9}{self.rate_per_s:>10.0f}{three(self.p50_ms):>10}{three(self.p99_ms):>9}"
            f"{p50:>+12.0%}{p99:>+12.0%}{three(self.late_p99_ms):>13}{three(self.probe_ms):>12}"
            f"   {self.verdict or 'not told'}"
        )


def steps(most: int) -> list[int]:
    """The levels that are tried: four times as many in flight each time.

    >>> steps(1000)
    [1, 4, 16, 64, 256, 1000]
    """
    levels = [_GROWTH**power for power in range(most.bit_length()) if _GROWTH**power < most]
    return [*levels, most]


def calls(in_flight: int, delay_ms: float, seconds: float, last: Level | None) -> int:
    """How many calls to plan, so that a level takes about so long also where the machine is at its end."""
    most = in_flight * 1000 / delay_ms
    if last is not None:
        saturated = last.rate_per_s < _SATURATED * last.in_flight * 1000 / last.delay_ms
        most = min(most, last.rate_per_s * (1 if saturated else _GROWTH))
    return max(in_flight, math.ceil(most * seconds))


def is_over(levels: Sequence[Level]) -> bool:
    """Two levels in a row were beyond what this machine can do: a third tells nothing new."""
    return [level.verdict for level in levels[-2:]] == ["invalid", "invalid"]


def conclusion(levels: Sequence[Level], kind: str) -> list[str]:
    """What the table says, in sentences; `kind`: of steps."""
    lines = [_sentence(levels, kind)]
    slow = [level for level in levels if level.late_p99_ms > _SLOW_SERVER * level.delay_ms]
    if slow:
        lines.append(
            f"With {slow[0].in_flight} in flight the built-in server, which shares this machine, was late"
            " itself (server p99); the errors are what comes on top of that."
        )
    return lines


def _sentence(levels: Sequence[Level], kind: str) -> str:
    true = [number for number, level in enumerate(levels) if level.verdict == "ok"]
    if not true:
        first = next((level for level in levels if level.verdict is not None), None)
        if first is None:
            return "Too little was seen to say anything: give it more --seconds."
        return (
            f"Now, this machine takes no times that are true, with {first.in_flight} in flight: {_why(first)}"
        )
    best, beyond = levels[true[-1]], levels[true[-1] + 1 :]
    reached = f"{best.in_flight} in flight / {best.rate_per_s:.0f} calls a second truly with {kind} steps"
    if not beyond:
        return f"This machine drives {reached}, and perhaps more: no more was tried."
    return (
        f"This machine drives up to about {reached};"
        f" beyond that the verdict turns {beyond[0].verdict}: {_why(beyond[0])}"
    )


def _why(level: Level) -> str:
    return "; ".join(level.reasons) or "no reason is known"
