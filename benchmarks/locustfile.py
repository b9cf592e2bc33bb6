"""What Locust runs: GET and check, without waiting; at the end its own figures as a line of JSON."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from locust import FastHttpUser, HttpUser, constant, events, task


@events.init_command_line_parser.add_listener
def add_arguments(parser: ArgumentParser) -> None:
    """`--path /json`."""
    parser.add_argument("--path", default="/json")


@events.quitting.add_listener
def tell(environment: Any, **_: Any) -> None:
    """As `benchmarks.peers.Load`; the rate is over the time in which requests were made."""
    total = environment.stats.total
    span_s = total.last_request_timestamp - total.start_time
    spots = (total.get_response_time_percentile(share) for share in (0.5, 0.9, 0.99))
    names = ("p50_ms", "p90_ms", "p99_ms")
    load = {"requests": total.num_requests, "rate_per_s": total.num_requests / span_s}
    print(json.dumps({**load, **dict(zip(names, spots, strict=True))}), flush=True)


class Plain(HttpUser):
    """On requests."""

    wait_time = constant(0)

    @task
    def get(self) -> None:
        """One GET."""
        if self.client.get(self.environment.parsed_options.path).json()["ok"] is not True:
            raise ValueError("not ok")


class Fast(FastHttpUser):
    """On geventhttpclient."""

    wait_time = constant(0)

    @task
    def get(self) -> None:
        """One GET."""
        if self.client.get(self.environment.parsed_options.path).json()["ok"] is not True:
            raise ValueError("not ok")
