"""Metrics for OpenTelemetry: in memory, and received by a real server over OTLP."""

from __future__ import annotations

import gzip
import http.server
import threading
from typing import Any

import pytest

from loadgen.cli import telemetry
from loadgen.cli.outlets import Outlet
from loadgen.cli.telemetry import OtelSink, check_installed
from loadgen.columns import Samples
from loadgen.errors import UsageError
from loadgen.record import RunFacts
from loadgen.sample import Sample

metrics_service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
export = pytest.importorskip("opentelemetry.sdk.metrics.export")

FACTS = RunFacts(
    id="r1",
    scenario="s",
    title="",
    path="",
    digest="",
    target="http://x",
    options={},
    settings={},
    versions={},
)
PROGRESS = {
    "event": "progress",
    "done": 7,
    "failed": 1,
    "unknown": 0,
    "pending": 12,
    "in_flight": 3,
    "workers": 2,
}
CALLS = Samples.of(
    [
        Sample(0, 1, "GET /", 1, 4_000, status=200),
        Sample(1, 1, "GET /", 1, 40_000, status=500, error="HTTP 500"),
        Sample(2, 1, "GET /", 1, 6_000, error="refused"),
    ]
)


def points(reader: Any) -> dict[str, list[Any]]:
    (resource,) = reader.get_metrics_data().resource_metrics
    assert resource.resource.attributes["loadgen.run"] == "r1"
    assert resource.resource.attributes["service.name"] == "mine"
    return {
        metric.name: list(metric.data.data_points)
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_what_is_measured(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    reader, said = export.InMemoryMetricReader(), []
    sink = OtelSink(FACTS, said.append, lambda: reader)
    sink.write(CALLS)
    sink.write({"event": "joined"})
    sink.write(PROGRESS)
    found = points(reader)
    calls = {
        (point.attributes.get("http.response.status_code"), point.attributes.get("error.type")): point
        for point in found["loadgen.call.duration"]
    }
    assert set(calls) == {(200, None), (500, "500"), (None, "no_answer")}
    assert (calls[500, "500"].count, calls[500, "500"].sum) == (1, 0.04)
    ends = {point.attributes["outcome"]: point.value for point in found["loadgen.items"]}
    assert ends == {"done": 7, "failed": 1, "unknown": 0}
    assert [found[name][0].value for name in ("loadgen.items.in_flight", "loadgen.workers")] == [3, 2]
    sink.close()
    assert said == []


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP, or refuses."""

    seen: list[Any]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.seen.append((self.path, metrics_service.ExportMetricsServiceRequest.FromString(body)))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("status", "warnings"), [(200, 0), (400, 1)])
def test_a_collector_gets_it_or_the_run_goes_on(monkeypatch, status, warnings):
    said: list[str] = []
    Collector.seen, Collector.status = [], status
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        outlet: Outlet[Any] = Outlet("--otel", lambda: OtelSink(FACTS, said.append), lambda x: x, said.append)
        outlet.put(CALLS)
        outlet.put(PROGRESS)
        outlet.close()
        server.shutdown()
        thread.join()
    (path, request) = Collector.seen[-1]
    assert path == "/v1/metrics"
    (resource,) = request.resource_metrics
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (named["service.name"], named["loadgen.scenario"]) == ("loadgen", "s")
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert sum(point.count for point in metrics["loadgen.call.duration"].histogram.data_points) == 3
    assert metrics["loadgen.call.duration"].unit == "s"
    assert len(said) == warnings


def test_without_the_extra_it_is_one_clear_line(monkeypatch):
    check_installed()
    monkeypatch.setattr(telemetry, "_NEEDED", ("opentelemetry.nothing.there",))
    with pytest.raises(UsageError, match=r"pip install 'loadgen\[otel\]'"):
        check_installed()
