"""The summary as JUnit's XML: each step, the verification and each threshold is a test case for CI.

A case that did not hold says why, in words; its numbers are properties, named as in summary.json.
The layout is that of https://github.com/testmoapp/junitxml, which Jenkins, GitLab and others read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from loadgen.reports.schema import Items, StepSummary, Summary, ThresholdSummary, VerificationSummary
from loadgen.reports.tables import plain, tables

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to say, https://www.w3.org/TR/xml/#charsets."""
_BAD_ENDS = ("failed", "unknown", "dropped", "cancelled", "pending")
_SHOWN = 5
"""Kinds of errors that are told with a step that has failed."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case."""

    group: str
    name: str
    failure: str = ""
    """One line; empty when it held, or may still hold."""
    details: str = ""
    skipped: str = ""
    time_s: float = 0.0
    numbers: dict[str, Any] = field(default_factory=dict)


def junit(summary: Summary) -> str:
    """The whole document."""
    run, cases = summary.run, list(_cases(summary))
    spent_s = sum(s for s in (run.wait_s, run.active_s, run.drain_s, run.verify_s) if s is not None)
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
        "skipped": str(sum(bool(case.skipped) for case in cases)),
        "time": f"{spent_s:.3f}",
    }
    root = ET.Element("testsuites", {"name": "loadgen", **totals})
    named = {"name": _legal(run.scenario), "timestamp": run.started_at.removesuffix("Z")}
    suite = ET.SubElement(root, "testsuite", {**named, **totals})
    _properties(suite, tables(summary)["run"][0])
    for case in cases:
        _add(suite, run.scenario, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _cases(summary: Summary) -> Iterator[_Case]:
    rows = tables(summary)
    for step, numbers in zip(summary.steps, rows["steps"], strict=True):
        yield _step(step, numbers, summary)
    for call, numbers in zip(summary.calls, rows["calls"], strict=True):
        # a failed call is no verdict: its item may have been tried again, or not have minded
        yield _Case("calls", call.name, numbers=numbers)
    yield _verification(summary.verification)
    verdict = summary.verdict
    for gate, numbers in zip(summary.thresholds, rows["thresholds"], strict=True):
        yield _threshold(gate, numbers, running=verdict.running)
    reasons, details = "; ".join(verdict.reasons), "\n".join(summary.generator.reasons)
    if verdict.running:
        yield _Case("run", "verdict", skipped=f"running: {reasons}")
        return
    words = "" if verdict.ok else f"exit code {verdict.exit_code}: {reasons}"
    yield _Case("run", "verdict", failure=words, details=details)


def _step(step: StepSummary, numbers: dict[str, Any], summary: Summary) -> _Case:
    failure, skipped = _badly(step.items), ""
    if summary.verdict.running and not any(getattr(step.items, end) for end in _BAD_ENDS[:-1]):
        failure, skipped = "", failure and f"running: {failure}"
    kinds = summary.errors[:_SHOWN] if failure else ()
    details = "\n".join(f"{kind.count} x {kind.fingerprint}\n    e.g. {kind.sample}" for kind in kinds)
    ended = step.item_time.count
    time_s = ended / step.rate_per_s if step.rate_per_s else 0.0
    return _Case("steps", step.name, failure, details, skipped, time_s=time_s, numbers=numbers)


def _badly(items: Items) -> str:
    """How items ended that should not; empty when all are done."""
    ends = [f"{number} {end}" for end in _BAD_ENDS if (number := getattr(items, end))]
    return f"{items.done} of {items.planned} items done: {', '.join(ends)}" if ends else ""


def _verification(found: VerificationSummary | None) -> _Case:
    if found is None:
        return _Case(
            "run", "verification", skipped="not verified: the scenario has no verify, or it was not reached"
        )
    numbers = {name: getattr(found, name) for name in ("expected", "found", "missing", "unexpected")}
    if found.expected == found.found and not found.missing and not found.unexpected:
        return _Case("run", "verification", numbers=numbers)
    failure = (
        f"found {found.found} of {found.expected} expected,"
        f" {found.missing} missing, {found.unexpected} unexpected"
    )
    examples = "\n".join(f"{what}: {', '.join(names)}" for what, names in found.examples.items() if names)
    return _Case("run", "verification", failure, examples, numbers=numbers)


def _threshold(gate: ThresholdSummary, numbers: dict[str, Any], *, running: bool) -> _Case:
    if running and gate.value is None:
        return _Case("thresholds", gate.expr, skipped=f"running: {gate.reason}", numbers=numbers)
    failure = "" if gate.ok else f"threshold crossed: {gate.expr}: {gate.reason}".rstrip(": ")
    return _Case("thresholds", gate.expr, failure, numbers=numbers)


def _add(suite: ET.Element, scenario: str, case: _Case) -> None:
    named = {"classname": _legal(f"{scenario}.{case.group}"), "name": _legal(case.name)}
    element = ET.SubElement(suite, "testcase", {**named, "time": f"{case.time_s:.3f}"})
    if case.numbers:
        _properties(element, case.numbers)
    if case.skipped:
        ET.SubElement(element, "skipped", {"message": case.skipped})
    if case.failure:
        failure = ET.SubElement(element, "failure", {"message": _legal(case.failure), "type": case.group})
        failure.text = _legal("\n".join(part for part in (case.failure, case.details) if part))


def _properties(element: ET.Element, numbers: dict[str, Any]) -> None:
    parent = ET.SubElement(element, "properties")
    for name, value in numbers.items():
        ET.SubElement(parent, "property", {"name": _legal(name), "value": _legal(plain(value))})


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
