"""A run's metrics to an OpenTelemetry collector, by OTLP over HTTP, as the standard OTEL_* variables say.

A histogram of call durations, counters of items, gauges of workers and what is in flight.  Needs the extra
`loadgen[otel]`.  https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from loadgen.columns import Samples
from loadgen.errors import UsageError
from loadgen.record import RunFacts
from loadgen.reports.flow import BOUNDS_S
from loadgen.reports.stream import EventLine

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics.export import MetricReader

Told: TypeAlias = "EventLine | Samples"
_LOGGER = "opentelemetry"
_NEEDED = ("opentelemetry.sdk.metrics", "opentelemetry.exporter.otlp.proto.http.metric_exporter")
_FLUSH_MS = 2_500
"""How long the last export may take."""
_GAUGES = {
    "in_flight": ("loadgen.items.in_flight", "{item}", "Items that are running on workers."),
    "workers": ("loadgen.workers", "{worker}", "Workers that are here."),
    "rate_per_s": ("loadgen.items.rate", "{item}/s", "Items a second in the last seconds."),
    "pending": ("loadgen.items.pending", "{item}", "Items without an outcome yet."),
}
_ENDS = ("done", "failed", "unknown", "dropped", "cancelled")


class OtelSink:
    """Takes events and calls, and has the SDK export what they come to."""

    def __init__(
        self, facts: RunFacts, warn: Callable[[str], object], reader: Callable[[], MetricReader] | None = None
    ) -> None:
        """`warn` hears of exports that failed; `reader`: another than the one that OTEL_* describes."""
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource

        # stays: what the SDK's threads log after the end is not for standard error either
        logging.getLogger(_LOGGER).addHandler(_Warnings(warn))
        named = {} if _has_name() else {"service.name": "loadgen"}
        about = {"loadgen.run": facts.id, "loadgen.scenario": facts.scenario, "loadgen.target": facts.target}
        self._provider = MeterProvider(
            [(reader or _exporting)()],
            resource=Resource.create({**named, **about}),
            shutdown_on_exit=False,  # it would hold the end of the run up where nobody answers
        )
        self._last: EventLine = {}
        meter = self._provider.get_meter("loadgen")
        self._durations = meter.create_histogram(
            "loadgen.call.duration",
            unit="s",
            description="Service time of a call.",
            explicit_bucket_boundaries_advisory=BOUNDS_S,
        )
        meter.create_observable_counter(
            "loadgen.items", [self._items], unit="{item}", description="Items by how they ended."
        )
        for field, (name, unit, what) in _GAUGES.items():
            meter.create_observable_gauge(name, [self._gauge(field)], unit=unit, description=what)

    def write(self, told: Told) -> None:
        """Count calls, or remember how it stands."""
        if isinstance(told, Samples):
            rows = zip(
                told.texts("label"),
                told.numbers("status"),
                told.texts("error"),
                told.numbers("total_us"),
                strict=True,
            )
            for label, status, error, total_us in rows:
                attributes: dict[str, Any] = {"loadgen.call": label}
                if status:
                    attributes["http.response.status_code"] = status
                if error:
                    attributes["error.type"] = str(status) if status else "no_answer"
                self._durations.record(total_us / 1_000_000, attributes)
        elif "pending" in told:
            self._last = {**self._last, **told}

    def close(self) -> None:
        """Export the last of it."""
        self._provider.shutdown(_FLUSH_MS)

    def _items(self, _: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation

        return [Observation(self._last[end], {"outcome": end}) for end in _ENDS if end in self._last]

    def _gauge(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observed(_: CallbackOptions) -> Iterable[Observation]:
            from opentelemetry.metrics import Observation

            return [Observation(self._last[field])] if field in self._last else []

        return observed


class _Warnings(logging.Handler):
    """Says the first of what the SDK logs."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._warn: Callable[[str], object] | None = warn

    def emit(self, record: logging.LogRecord) -> None:
        """One line, once."""
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(f"--otel: {' '.join(record.getMessage().split())[:300]}; the run goes on")


def check_installed() -> None:
    """Raises UsageError when the SDK or its exporter is not there."""
    try:
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError as error:
        missing = [str(error.name)]
    if missing:
        raise UsageError(f"--otel needs {missing[0]}: pip install 'loadgen[otel]'")


def _exporting() -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(OTLPMetricExporter())


def _has_name() -> bool:
    return "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
