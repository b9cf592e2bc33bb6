"""From words to a run that could start: scenario, options, target, plan, facts."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadgen import options as scenario_options
from loadgen.cli.course import CourseOrder
from loadgen.cli.pace import PaceOrder
from loadgen.cli.sandbox_target import SandboxTarget
from loadgen.errors import UsageError, sayable
from loadgen.loader import Loaded, Work, load, make_work
from loadgen.master import Job
from loadgen.record import RunFacts, StepFacts
from loadgen.version import __version__

CLOSED = PaceOrder()
ONCE = CourseOrder()
KEPT = "scenario"
"""The folder of a run directory that keeps the scenario as it was run."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario with its options, planned."""

    loaded: Loaded
    options: Any
    work: Work
    target: str
    """Base URL, or `sandbox:NAME` with its options."""
    sandbox: SandboxTarget | None = None
    """The sandbox that is the target; None: it is a URL."""
    pace: PaceOrder = CLOSED
    """When items are meant to start."""
    course: CourseOrder = ONCE
    """How long it goes on, how many items are in flight, which steps are mixed."""

    @property
    def steps(self) -> list[StepFacts]:
        """The steps, for the ledger."""
        plan = self.work.plan
        return [StepFacts(step.index, step.name, step.items, step.delivery) for step in plan.steps]

    def job(self, target: str, spent_us: int) -> Job:
        """What the master is to run; `spent_us`: of its time, in earlier sessions."""
        course = self.course
        return Job(self.loaded, self.options, target, self.work, course.duration_us, spent_us, course.levels)

    def facts(self, run: str, target: str, settings: dict[str, Any]) -> RunFacts:
        """What is known before the first item."""
        return RunFacts(
            id=run,
            scenario=self.loaded.name,
            title=self.loaded.title,
            path=str(self.loaded.path.resolve()),
            digest=self.loaded.bundle.digest,
            target=target,
            sandbox=self.sandbox.name if self.sandbox else "",
            options=scenario_options.shown(self.options),
            undoable="teardown" in self.loaded.scenario.hooks and not self.sandbox,
            settings=settings,
            seed=self.course.seed if self.pace.seed is None else self.pace.seed,
            versions=versions(),
        )


def prepare(
    loaded: Loaded,
    options: Any,
    target: str | None,
    *,
    steps: Sequence[str] = (),
    chunk: int | None = None,
    pace: PaceOrder = CLOSED,
    course: CourseOrder = ONCE,
) -> Prepared:
    """Plan a run.  Raises UsageError (ScenarioError, FeedError, OptionError)."""
    wanted = target or loaded.scenario.target
    if not wanted:
        raise UsageError(f"{loaded.path}: names no target; give one with --target URL")
    sandbox = SandboxTarget.parse(wanted)
    if sandbox is None:
        _check_url(wanted)
    work = make_work(loaded, options, steps=steps, chunk=chunk)
    plan = pace.lay(course.lay(work.plan, loaded), course.duration_us)
    return Prepared(loaded, options, work.planned(plan), wanted, sandbox, pace, course)


def check_top_up(prepared: Prepared) -> None:
    """Raises UsageError when there are items that cannot be looked for."""
    for planned in prepared.work.plan.steps:
        if planned.items and prepared.loaded.step(planned.name).exists_function is None:
            raise UsageError(
                f"--top-up: step {planned.name} has no exists, so nobody can tell which of its items are "
                "missing; choose others with --step"
            )


def kept_scenario(directory: Path) -> Loaded:
    """The scenario of a run, as it was run."""
    folder = directory / KEPT
    entry = folder / (folder / "ENTRY").read_text(encoding="utf-8")
    return load(entry)


def keep_scenario(directory: Path, loaded: Loaded) -> None:
    """Keep the scenario with its run, for `clean`."""
    folder = directory / KEPT
    loaded.bundle.unpack(folder)
    (folder / "ENTRY").write_text(loaded.bundle.entry, encoding="utf-8")


def parse_chunk(text: str) -> int | None:
    """`auto` (None) or a number of items.  Raises UsageError."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--chunk {text}: expected a number of items, or auto")
    return int(text)


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {
        "loadgen": __version__,
        "python": platform.python_version(),
        "pycurl": version("pycurl"),
        "requests": version("requests"),
        "platform": platform.platform(),
        "cpus": str(os.cpu_count()),
    }


def _check_url(target: str) -> None:
    try:
        url = urlsplit(target)
        valid = url.scheme in ("http", "https") and url.hostname and (url.port or True)
    except ValueError:
        valid = False
    if not valid or sayable(target) != target:
        raise UsageError(
            f"target {sayable(target)}: expected http://HOST[:PORT] or https://..., or sandbox:azkaban"
        )
    if url.password:
        raise UsageError("target: a password in the URL would stand in the ledger; use the scenario's login")
