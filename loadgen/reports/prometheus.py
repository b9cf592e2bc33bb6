"""A run in Prometheus' text format, version 0.0.4.

For the node exporter's textfile collector or a Pushgateway.  Base units (seconds, bytes), `_total` for what
only grows, summaries for times.

https://prometheus.io/docs/instrumenting/exposition_formats/ and .../docs/practices/naming/
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from loadgen.reports.flow import BOUNDS_S, LabelSoFar
from loadgen.reports.metrics import PERCENTILES, Stats
from loadgen.reports.pulse import Progress
from loadgen.reports.schema import CallSummary, Summary

Labels: TypeAlias = "Mapping[str, str]"
Number: TypeAlias = "int | float | None"
_ENDS = ("done", "failed", "unknown", "dropped", "cancelled", "pending")
_CALL_TIMES = {
    "service_time": "From the start of a call until its last byte came.",
    "response_time": "From when a call was meant to start until its last byte came.",
    "start_lag": "How much later than meant a call started.",
    "time_to_first_byte": "Until the first byte of an answer.",
    "connect_time": "Until a new connection stood.",
    "dns_time": "Until a name was resolved.",
    "tls_time": "From a connection until its TLS handshake was over.",
}


@dataclass(slots=True)
class Family:
    """A metric, with all its label sets."""

    name: str
    kind: Literal["gauge", "counter", "summary", "histogram"]
    help: str
    lines: list[str] = field(default_factory=list)

    def add(self, value: Number, labels: Labels | None = None, suffix: str = "") -> None:
        """A line; none for what was not measured."""
        if value is not None:
            self.lines.append(f"{self.name}{suffix}{_braced(labels or {})} {value}")

    def add_stats(self, stats: Stats | None, labels: Labels) -> None:
        """A summary: quantiles, of which 0 and 1 are the extremes, the sum and the count."""
        if stats is None:
            return
        quantiles = {"0": stats.min, **_quantiles(stats), "1": stats.max}
        for quantile, ms in quantiles.items():
            self.add(seconds(ms), {**labels, "quantile": quantile})
        self.add(0 if stats.mean is None else seconds(stats.mean * stats.count), labels, "_sum")
        self.add(stats.count, labels, "_count")


def text(families: Iterable[Family]) -> str:
    """The families as text; those without a value are left out."""
    lines: list[str] = []
    for family in families:
        if family.lines:
            lines += [
                f"# HELP {family.name} {_escaped(family.help)}",
                f"# TYPE {family.name} {family.kind}",
                *family.lines,
            ]
    return "\n".join(lines) + "\n"


def prometheus(summary: Summary) -> str:
    """The whole summary."""
    return text([*_run(summary), *_items(summary), *_calls(summary.calls), *_others(summary)])


def live(progress: Progress, calls: Iterable[LabelSoFar]) -> str:
    """A run that goes on, for a scrape: `calls` is what `Flow.so_far` says."""
    ended = Family("loadgen_items_total", "counter", "Items by how they ended so far.")
    for end in _ENDS[:-1]:
        ended.add(getattr(progress.run_counts, end), {"outcome": end})
    gauges = {
        "loadgen_items_planned": ("Items that the run is to do.", progress.run_counts.planned),
        "loadgen_items_pending": ("Items without an outcome yet.", progress.run_counts.pending),
        "loadgen_items_in_flight": ("Items that are running on workers.", progress.in_flight),
        "loadgen_items_per_second": ("Items a second in the last seconds.", progress.rate_now),
        "loadgen_workers": ("Workers that are here.", progress.workers),
        "loadgen_run_elapsed_seconds": ("Since the run's start.", progress.elapsed_s),
        "loadgen_run_remaining_seconds": ("Until all is settled, as it looks.", progress.eta_s),
    }
    families = [ended, *(Family(name, "gauge", what) for name, (what, _) in gauges.items())]
    for family, (_, value) in zip(families[1:], gauges.values(), strict=True):
        family.add(value)
    step = Family("loadgen_step", "gauge", "The open step; always 1.")
    if progress.step:
        step.add(1, {"step": progress.step, "number": str(progress.number)})
    errors = Family("loadgen_call_errors_total", "counter", "Calls that failed so far.")
    times = Family("loadgen_call_service_time_seconds", "histogram", _CALL_TIMES["service_time"])
    responses = Family("loadgen_call_response_time_seconds", "histogram", _CALL_TIMES["response_time"])
    for call in calls:
        errors.add(call.errors, {"call": call.name})
        _buckets(times, call)
        if call.response is not None:
            _buckets(responses, call.response)
    return text([*families, step, errors, times, responses])


def _buckets(times: Family, call: LabelSoFar) -> None:
    labels = {"call": call.name}
    for bound, within in zip(BOUNDS_S, call.buckets, strict=True):
        times.add(within, {**labels, "le": str(bound)}, "_bucket")
    times.add(call.count, {**labels, "le": "+Inf"}, "_bucket")
    times.add(call.sum_s, labels, "_sum")
    times.add(call.count, labels, "_count")


def seconds(ms: Number) -> Number:
    """Milliseconds in Prometheus' unit, to the nanosecond."""
    return None if ms is None else round(ms / 1000, 9)


def _quantiles(stats: Stats) -> dict[str, float | None]:
    return {f"{round(share / 100, 5):g}": getattr(stats, name) for name, share in PERCENTILES.items()}


def _run(summary: Summary) -> Iterator[Family]:
    run, verdict = summary.run, summary.verdict
    info = Family("loadgen_run_info", "gauge", "Which run this is; always 1.")
    named = {name: getattr(run, name) for name in ("id", "scenario", "digest", "target")}
    info.add(1, {**named, "version": run.versions.get("loadgen", "")})
    ok = Family("loadgen_run_ok", "gauge", "1 when the run did all that it promised, else 0.")
    ok.add(int(verdict.ok))
    code = Family("loadgen_run_exit_code", "gauge", "Exit code of the run.")
    code.add(None if verdict.running else verdict.exit_code)
    running = Family("loadgen_run_running", "gauge", "1 while the run goes on, else 0.")
    running.add(int(verdict.running))
    started = Family("loadgen_run_start_timestamp_seconds", "gauge", "When the run started.")
    started.add(_timestamp(run.started_at))
    ended = Family("loadgen_run_end_timestamp_seconds", "gauge", "When the run ended.")
    ended.add(_timestamp(run.ended_at))
    phases = Family("loadgen_run_phase_duration_seconds", "gauge", "How long a part of the run took.")
    for name in ("wait", "active", "drain", "verify"):
        phases.add(getattr(run, f"{name}_s"), {"phase": name})
    yield from (info, ok, code, running, started, ended, phases)


def _items(summary: Summary) -> Iterator[Family]:
    planned = Family("loadgen_items_planned", "gauge", "Items that the run is to do.")
    ended = Family("loadgen_items_total", "counter", "Items by how they ended; pending ones did not yet.")
    rate = Family("loadgen_items_per_second", "gauge", "Items settled a second, first start to last end.")
    target = Family("loadgen_items_target_per_second", "gauge", "Items that were meant to start a second.")
    times = Family("loadgen_item_duration_seconds", "summary", "How long the step's function ran.")
    responses = Family(
        "loadgen_item_response_time_seconds", "summary", "From when an item was meant to start until its end."
    )
    lags = Family("loadgen_item_start_lag_seconds", "summary", "How much later than meant an item started.")
    for step in summary.steps:
        labels = {"step": step.name}
        planned.add(step.items.planned, labels)
        for end in _ENDS:
            ended.add(getattr(step.items, end), {**labels, "outcome": end})
        rate.add(step.rate_per_s, labels)
        target.add(step.target_rate_per_s, labels)
        times.add_stats(step.item_time, labels)
        responses.add_stats(step.response_time, labels)
        lags.add_stats(step.start_lag, labels)
    yield from (planned, ended, rate, target, times, responses, lags)
    for name, what in (
        ("total", "Tries at items."),
        ("retries", "Tries after an item's first."),
        ("duplicate_executions", "Results for items that were settled already."),
        ("in_doubt_resolved", "Unknown outcomes that became known later."),
        ("found", "Items that were there already."),
    ):
        suffix = "" if name == "total" else f"_{name}"
        family = Family(f"loadgen_attempts{suffix}_total", "counter", what)
        family.add(getattr(summary.attempts, name))
        yield family


def _calls(calls: Iterable[CallSummary]) -> Iterator[Family]:
    total = Family("loadgen_calls_total", "counter", "Calls by HTTP status; 0: no answer came.")
    errors = Family("loadgen_call_errors_total", "counter", "Calls that failed.")
    rate = Family("loadgen_calls_per_second", "gauge", "Calls a second, first start to last end.")
    received = Family("loadgen_call_received_bytes_total", "counter", "Size of the answers.")
    sent = Family("loadgen_call_sent_bytes_total", "counter", "Size of the requests.")
    times = {
        name: Family(f"loadgen_call_{name}_seconds", "summary", what) for name, what in _CALL_TIMES.items()
    }
    for call in calls:
        labels = {"call": call.name}
        for status, count in call.statuses.items():
            total.add(count, {**labels, "status": status})
        errors.add(call.errors, labels)
        rate.add(call.rate_per_s, labels)
        received.add(call.bytes_in, labels)
        sent.add(call.bytes_out, labels)
        for name, family in times.items():
            family.add_stats(getattr(call, name), labels)
    yield from (total, errors, rate, received, sent, *times.values())


def _others(summary: Summary) -> Iterator[Family]:
    verified = Family("loadgen_verified_objects", "gauge", "What the target holds, and what it should hold.")
    if summary.verification is not None:
        for name in ("expected", "found", "missing", "unexpected"):
            verified.add(getattr(summary.verification, name), {"kind": name})
    yield verified
    yield from _workers(summary)
    errors = Family("loadgen_errors_total", "counter", "Failed attempts, and failed calls outside any item.")
    for error in summary.errors:
        errors.add(error.count, {"fingerprint": error.fingerprint})
    value = Family("loadgen_threshold_value", "gauge", "What was measured for a threshold, in its unit.")
    held = Family("loadgen_threshold_ok", "gauge", "1 when the threshold held, else 0.")
    for gate in summary.thresholds:
        value.add(gate.value, {"threshold": gate.expr, "unit": gate.unit})
        held.add(int(gate.ok), {"threshold": gate.expr})
    trusted = Family("loadgen_generator_verdict", "gauge", "1 for the verdict on the run's times, 0 else.")
    for verdict in ("ok", "suspect", "invalid"):
        trusted.add(int(summary.generator.verdict == verdict), {"verdict": verdict})
    yield from (errors, value, held, trusted)


def _workers(summary: Summary) -> Iterator[Family]:
    families = {
        "items": Family("loadgen_worker_items_total", "counter", "Items that a worker settled."),
        "calls": Family("loadgen_worker_calls_total", "counter", "Calls that a worker made."),
        "cpu": Family("loadgen_worker_cpu_cores", "gauge", "CPU time of a worker a second."),
        "slots": Family("loadgen_worker_slots", "gauge", "Items that a worker had in flight at most."),
        "lost": Family("loadgen_worker_lost", "gauge", "1 for a worker that was not heard of in time."),
    }
    probe = Family("loadgen_worker_probe_delay_seconds", "gauge", "How late a worker's probe woke, at p99.")
    for worker in summary.workers:
        labels = {"worker": worker.name}
        for name, family in families.items():
            number = getattr(worker, name)
            family.add(int(number) if isinstance(number, bool) else number, labels)
        probe.add(seconds(worker.probe_ms), labels)
    yield from (*families.values(), probe)


def _timestamp(iso: str | None) -> float | None:
    return None if iso is None else datetime.datetime.fromisoformat(iso).timestamp()


def _braced(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(words: str, *, quoted: bool = False) -> str:
    plain = words.replace("\\", "\\\\").replace("\n", "\\n")
    return plain.replace('"', '\\"') if quoted else plain
