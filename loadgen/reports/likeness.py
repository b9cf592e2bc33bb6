"""Whether two runs can be compared: in what they differ besides their times.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadgen.record import RunFacts, StepFacts
from loadgen.reports.load import load
from loadgen.reports.schema import Summary

_CIRCUMSTANCES = ("loadgen", "platform", "cpus")
"""Versions that times depend on; others may differ."""
_IRRELEVANT = frozenset({"listen", "lease_ttl_s", "strict", "thresholds", "fail_fast", "target", "correlate"})
"""Settings that do not change what is measured; `target` is told by the facts."""
_LOAD = ("pace", "course")
"""Settings with parts of their own, which the line about the load tells."""
_SHOWN = 40
"""Characters of a value."""


def differences(
    base: RunFacts, other: RunFacts, base_steps: Sequence[StepFacts], other_steps: Sequence[StepFacts]
) -> tuple[str, ...]:
    """Each in a few words; none: the runs are alike."""
    return tuple(_differences(base, other, base_steps, other_steps))


def _differences(
    base: RunFacts, other: RunFacts, base_steps: Sequence[StepFacts], other_steps: Sequence[StepFacts]
) -> Iterator[str]:
    yield from _unlike("scenario", base.scenario, other.scenario)
    if base.scenario == other.scenario:
        yield from _unlike("scenario's text", base.digest[:12], other.digest[:12])
    yield from _unlike("target", target(base), target(other))
    yield from _each("option", options(base), options(other))
    plans = [{step.name: f"{step.items} items" for step in steps} for steps in (base_steps, other_steps)]
    yield from _each("step", *plans)
    if any(base.settings.get(name) != other.settings.get(name) for name in _LOAD):
        yield f"load: {load(base.settings)} and {load(other.settings)}"
    yield from _each("", settings(base), settings(other))
    versions = [{name: facts.versions.get(name) for name in _CIRCUMSTANCES} for facts in (base, other)]
    yield from _each("", *versions)


def cautions(summary: Summary) -> Iterator[str]:
    """What makes a run's times doubtful, whatever they are compared with."""
    name, items = summary.run.id, summary.items
    if items.pending:
        verb = "still goes on" if summary.verdict.running else "is not complete"
        yield f"{name} {verb}: {items.pending} of {items.planned} items are pending"
    if summary.generator.verdict in ("suspect", "invalid"):
        yield f"the times of {name} are {summary.generator.verdict}: {'; '.join(summary.generator.reasons)}"


def target(facts: RunFacts) -> str:
    """A sandbox is a new one each time, wherever it listens; its options make another one of it."""
    said = str(facts.settings.get("target", ""))
    if not facts.sandbox:
        return facts.target
    return said if said.startswith("sandbox:") else f"sandbox:{facts.sandbox}"


def options(facts: RunFacts) -> Mapping[str, Any]:
    """Of the scenario, without a tag that tells runs apart: a random one is no other job."""
    return {name: value for name, value in facts.options.items() if name != "tag"}


def settings(facts: RunFacts) -> Mapping[str, Any]:
    """Those that change what is measured, without the load, which has a line of its own."""
    return {name: value for name, value in facts.settings.items() if name not in {*_IRRELEVANT, *_LOAD}}


def _each(kind: str, base: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*base, *other]):
        yield from _unlike(f"{kind} {name}".strip(), base.get(name), other.get(name))


def _unlike(what: str, base: Any, other: Any) -> Iterator[str]:
    if base != other:
        yield f"{what}: {_short(base)} and {_short(other)}"


def said(value: Any) -> str:
    """An option or a setting, for people."""
    if isinstance(value, list | tuple):
        return " + ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _short(value: Any) -> str:
    text = said(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
