"""What a run is ordered to be: the settings, and the identity that its workers know it by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from loadgen.breaker import Rule
from loadgen.cli import words
from loadgen.cli.course import cautions
from loadgen.cli.limits import kept
from loadgen.cli.outlets import check, check_otel
from loadgen.cli.prepare import Prepared
from loadgen.errors import UsageError
from loadgen.queues import token as tokens
from loadgen.queues.identity import Identity, new_identity
from loadgen.scenario import Connections, Scenario
from loadgen.steering import Limits
from loadgen.thresholds import Threshold
from loadgen.warmup import WarmUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line, the environment, the configuration and the scenario settled."""

    processes: int
    concurrency: int | None
    """Items in flight a process; None: nobody said, so workers find out, from `width` to `widest`."""
    width: int
    widest: int
    connections: Connections
    host: str
    port: int
    wait_for_workers: int
    json: Path | None
    quiet: bool
    correlate: bool
    strict: bool
    top_up: bool
    warm_up: WarmUp
    thresholds: tuple[Threshold, ...]
    fail_fast: bool
    limits: Limits
    breaker: Rule | None
    lease_ttl_s: float
    events: str | None = None
    influx: str | None = None
    otel: bool = False
    dashboard: tuple[str, int] | None
    """Where it is served, or from which port on; None: nowhere."""

    @classmethod
    def settle(
        cls,
        scenario: Scenario,
        *,
        processes: int | None,
        concurrency: int | None,
        connections: str | None,
        listen: str,
        json: Path | None,
        **rest: Any,
    ) -> Order:
        """Fill in what was not said.  Raises UsageError."""
        if json is not None and json != Path("-") and (json.is_dir() or not json.parent.is_dir()):
            raise UsageError(f"--json {json}: {'a folder' if json.is_dir() else 'its folder does not exist'}")
        check("--events", rest.get("events"))
        check("--influx", rest.get("influx"))
        check_otel(rest.get("otel", False))
        if [str(json), rest.get("events"), rest.get("influx")].count("-") > 1:
            raise UsageError("only one of --json, --events and --influx can have standard output")
        host, port = tokens.split_address(listen, words.PORT)
        chosen = scenario.processes if processes is None else processes
        concurrency = concurrency or scenario.concurrency
        described = all(step.described for step in scenario.steps)
        return cls(
            processes=os.cpu_count() or 1 if chosen is None else chosen,
            concurrency=concurrency,
            width=concurrency or words.CONCURRENCY,
            widest=concurrency or (words.WIDEST_DESCRIBED if described else words.WIDEST),
            connections=parse_connections(connections) or scenario.connections,
            host=host or "127.0.0.1",
            port=port,
            json=json,
            **rest,
        )

    @property
    def takes_stdout(self) -> bool:
        """Whether standard output is for a machine: people read the other one then."""
        return self.json == Path("-") or "-" in (self.events, self.influx)

    def cautions(self, prepared: Prepared) -> Iterator[str]:
        """What will not be as the user may think, in a line each."""
        course, plan = prepared.course, prepared.work.plan
        width, _ = course.width(plan.steps, self.width, self.widest, self.processes)
        settled = self.concurrency is not None and self.processes > 0
        return cautions(course, plan, width * self.processes, settled=settled)

    def settings(self, prepared: Prepared) -> dict[str, Any]:
        """For the ledger."""
        return {
            "processes": self.processes,
            "concurrency": self.concurrency,
            "connections": self.connections,
            "lease_ttl_s": self.lease_ttl_s,
            "chunk": prepared.work.plan.steps[0].chunk or "auto",
            "steps": [step.name for step in prepared.steps],
            "correlate": self.correlate,
            "strict": self.strict,
            "top_up": self.top_up,
            "target": prepared.target,
            "warm_up": self.warm_up.text if self.warm_up else None,
            "thresholds": [each.text for each in self.thresholds],
            "fail_fast": self.fail_fast,
            "pace": asdict(prepared.pace) if prepared.pace.is_open else None,
            "course": asdict(prepared.course),
            **kept(self.limits, self.breaker),
        }


def parse_connections(text: str | None) -> Connections | None:
    """`keep` or `new`.  Raises UsageError."""
    if text is not None and text not in get_args(Connections):
        raise UsageError(f"--connections {text}: expected keep or new")
    return text  # type: ignore[return-value]


def identity_file(run: str) -> Path:
    """Where the identity of an unfinished run lies: its resume is the same master to its workers."""
    return tokens.state_directory(os.environ) / "runs" / f"{run}.identity"


def lasting_identity_file() -> Path:
    """Where the identity lies that `loadgen token` makes."""
    return tokens.state_directory(os.environ) / "identity"


def identity_for(run: str | None = None) -> Identity:
    """The identity of an unfinished run, else the lasting one, else a new one.  Raises TokenError."""
    kept = [lasting_identity_file()] if run is None else [identity_file(run), lasting_identity_file()]
    return next((Identity.load(path) for path in kept if path.exists()), None) or new_identity()
