"""What a comparison comes to: a word for all of it, and a sentence for each step.  Pure.

The same in every form; the numbers are those of the comparison's lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from loadgen.reports.compare import Comparison, Finding, Line
from loadgen.reports.words import count

_SPEAKERS = ("p95", "p50", "mean", "p99")
"""Which of a step's times speaks for them: the first of these that differs."""
_WORST: tuple[Finding, ...] = ("worse", "better", "same", "unknown")


class StepVerdict(msgspec.Struct, frozen=True):
    """Of one step."""

    step: str
    finding: Finding
    """The worst of what differs; unknown: there is too little of everything."""
    text: str
    """For people."""


def verdicts(comparison: Comparison) -> list[StepVerdict]:
    """Of each step of which something was measured, in their order."""
    items = [line for line in comparison.lines if line.of == "items"]
    steps = {line.name: judged(items, line.name) for line in items}
    return [
        StepVerdict(name, _worst(lines), _sentence(lines))
        for name, lines in steps.items()
        if any(line.base is not None or line.other is not None for line in lines)
    ]


def judged(lines: Sequence[Line], name: str) -> list[Line]:
    """A step's or a label's lines by which it is judged: its response times, where both runs have them."""
    mine = [line for line in lines if line.name == name]
    return [line for line in mine if line.time == mine[0].time]


def headline(comparison: Comparison, lost: Sequence[Line]) -> tuple[str, str]:
    """A word and what it means; `lost`: what has got worse by more than was allowed."""
    lines = comparison.lines
    worse = [line for line in lines if line.finding == "worse"]
    better = [line for line in lines if line.finding == "better"]
    if lost:
        return "REGRESSION", "; ".join(f"{line.name} {_measure(line)} {line.text}" for line in lost[:3])
    if worse or better:
        known = sum(line.finding != "unknown" for line in lines)
        said = f"{len(worse) or 'none'} of {count(known, 'figure')} {_are(len(worse))} worse"
        return "DIFFERENT" if worse else "BETTER", f"{said}, {len(better) or 'none'} better"
    if all(line.finding == "unknown" for line in lines):
        return "UNKNOWN", "there is too little of everything to tell"
    return "SAME", "no difference beyond noise"


def _worst(lines: Sequence[Line]) -> Finding:
    found = {line.finding for line in lines}
    return next(finding for finding in _WORST if finding in found)


def _sentence(lines: Sequence[Line]) -> str:
    """How the times differ, by one of them; and the rate and the errors, where they do."""
    differ = {line.measure: line for line in lines if line.finding in ("worse", "better")}
    speaker = next((differ[measure] for measure in _SPEAKERS if measure in differ), None)
    said = [f"{speaker.measure} {speaker.text}"] if speaker is not None else []
    said += [f"{measure} {differ[measure].text}" for measure in ("rate", "errors") if measure in differ]
    if said:
        return "; ".join(said)
    if all(line.finding == "unknown" for line in lines):
        return "too little to tell"
    return "no difference beyond noise"


def _measure(line: Line) -> str:
    return f"{line.time} {line.measure}" if line.time == "response time" else line.measure


def _are(number: int) -> str:
    return "are" if number > 1 else "is"
