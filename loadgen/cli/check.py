"""`loadgen check SCENARIO.py`: a dry run that is not quite dry: one item of each step, with all that passes.

What one item shows is what ten thousand would do: the requests as they go out, what comes back, how much of
it there will be, and about how long.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgen.cli import course as course_words
from loadgen.cli import pace as pace_words
from loadgen.cli import words

if TYPE_CHECKING:
    from loadgen.cli.prepare import Prepared
    from loadgen.cli.rehearsal import Rehearsed
    from loadgen.plan import StepPlan
    from loadgen.thresholds import Threshold


def check(
    context: typer.Context,
    scenario: words.ScenarioFile,
    target: words.Target = None,
    allow_target: words.AllowTarget = False,
    settings: words.Settings = None,
    step: Annotated[
        list[str] | None, typer.Option("--step", metavar="NAME", help="This step only; may be repeated.")
    ] = None,
    rate: pace_words.Rate = None,
    stages: pace_words.Stages = None,
    arrivals: pace_words.Arrivals = None,
    duration: course_words.Duration = None,
    ramp: course_words.Ramp = None,
    think_time: course_words.ThinkTime = None,
    mix: course_words.Mix = None,
    no_call: Annotated[
        bool, typer.Option("--no-call", help="Load, plan and print only: nothing is sent.")
    ] = False,
) -> int:
    """Log in, set up, and really do one item of each step, showing all that is sent and answered."""
    from loadgen import options as scenario_options
    from loadgen.cli.admit import admit
    from loadgen.cli.gates import settle_thresholds
    from loadgen.cli.prepare import prepare
    from loadgen.cli.rehearsal import Rehearsal
    from loadgen.cli.said import Said
    from loadgen.errors import ExitCode
    from loadgen.launch.sandbox import SandboxProcess
    from loadgen.loader import load

    loaded = load(scenario)
    options: Any = scenario_options.parse(loaded.scenario.options, settings or (), os.environ)
    said = Said.of(
        context,
        rate=rate,
        stages=stages,
        arrivals=arrivals,
        duration=duration,
        ramp=ramp,
        think_time=think_time,
        mix=mix,
    ).heard(paced=bool(loaded.scenario.rate or loaded.scenario.stages))
    pace = pace_words.PaceOrder.settle(
        loaded.scenario, **said.pick("rate", "stages", "arrivals"), seed=None, max_lag=None
    )
    course = course_words.CourseOrder.settle(
        loaded.scenario, pace, **said.pick("duration", "ramp", "think_time", "mix"), seed=None
    )
    prepared = prepare(loaded, options, target, steps=step or (), pace=pace, course=course)
    said.check(pace, prepared.work.plan)
    thresholds = settle_thresholds(None, prepared)
    _say(_planned(prepared))
    _say(_held(prepared, thresholds))
    if no_call:
        return ExitCode.OK
    with ExitStack() as stack:
        url = prepared.target
        if prepared.sandbox:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            sandbox = SandboxProcess.start(prepared.sandbox.name, Path(folder), *prepared.sandbox.options)
            stack.callback(sandbox.stop)
            url = sandbox.url
        else:
            admit(prepared.target, prepared.work.plan.items, allow=allow_target)
        rehearsal = Rehearsal(prepared, url)
        _say(rehearsal.lines())
    _say(_estimated(prepared, rehearsal.done))
    if rehearsal.failures:
        _say(["", f"FAILED  {'; '.join(rehearsal.failures)}"])
    return ExitCode.ITEMS if rehearsal.failures else ExitCode.OK


def _say(lines: Iterator[str] | list[str]) -> None:
    """Line by line, as they come; what the target answered must not move the cursor."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        plain = "".join(char if char.isprintable() else " " for char in line.rstrip())
        sys.stdout.write(plain.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()


def _planned(prepared: Prepared) -> Iterator[str]:
    """What a run would do."""
    import msgspec

    from loadgen import options as scenario_options
    from loadgen.reports.load import load as load_line
    from loadgen.reports.words import count

    loaded, files = prepared.loaded, prepared.loaded.bundle.files
    yield f"Scenario   {loaded.name} ({loaded.bundle.digest[:12]}): {loaded.title}".rstrip(": ")
    yield f"Target     {prepared.target}"
    shown = scenario_options.shown(prepared.options)
    if shown:
        yield f"Options    {', '.join(f'{name}={value}' for name, value in shown.items())}"
    yield f"Travels    {count(len(files), 'file')}, {sum(map(len, files.values())):,} bytes"
    for plan, rows, keys in zip(
        prepared.work.plan.steps, prepared.work.rows, prepared.work.keys, strict=True
    ):
        items = f"items for {prepared.course.duration}" if plan.endless else count(plan.items, "item")
        line = f"Step       {plan.name}: {items}, {plan.delivery}"
        if rows is not None:
            line += f", rows of {sum(len(msgspec.msgpack.encode(row)) for row in rows):,} bytes"
        yield line if keys is None else f"{line}, {count(len(set(keys)), 'key')}"
    planned = prepared.work.plan.items
    yield "Plan       " + (
        "no fixed number of items" if planned is None else f"{count(planned, 'item')} in all"
    )
    pace, course = replace(prepared.pace, seed=None), replace(prepared.course, seed=None)  # not the run's
    asked = load_line({"pace": asdict(pace) if pace.is_open else None, "course": asdict(course)})
    yield f"Load       {asked}"


def _held(prepared: Prepared, thresholds: Sequence[Threshold]) -> Iterator[str]:
    """What a run would be held to by its scenario, and from when on."""
    if thresholds:
        yield f"Thresholds {', '.join(threshold.text for threshold in thresholds)}"
    if prepared.loaded.scenario.warm_up:
        yield f"Warm-up    {prepared.loaded.scenario.warm_up}: done, but not measured"


def _estimated(prepared: Prepared, done: list[Rehearsed]) -> Iterator[str]:
    """What the whole run would take, if all items were like the first, however many are in flight."""
    from loadgen.cli.estimate import Known, estimate
    from loadgen.reports.words import count, duration

    if not done:
        return
    course, plan = prepared.course, prepared.work.plan
    processes, width = _slots(prepared)
    found = estimate(
        plan,
        [Known(each.plan, each.seconds, _lanes(prepared, each.plan)) for each in done],
        slots=processes * width,
        levels=course.levels,
        duration_s=None if course.duration_us is None else course.duration_us / 1_000_000,
    )
    items = found.items
    sent = sum(items[each.plan.index] * each.bytes_out for each in done)
    received = sum(items[each.plan.index] * each.bytes_in for each in done)
    alone_s = sum(items[each.plan.index] * each.seconds for each in done)
    yield ""
    if prepared.pace.is_open:
        yield f"Estimate   {duration(found.seconds)} by its schedule, {prepared.pace.words}:"
    else:
        alone = "" if plan.items is None else f"{duration(alone_s)} one after the other, "
        thinks = ", think times included" if any(step.think for step in plan.steps) else ""
        yield f"Estimate   {alone}{duration(found.seconds)} with {processes} x {width} in flight{thinks}:"
    yield "           from one item of each step, and as if the target were as fast with all of them"
    for each in done:
        about = "about " if each.plan.endless else ""
        yield (
            f"           {each.plan.name}: {about}{count(items[each.plan.index], 'item')} of"
            f" {duration(each.seconds)}, {each.bytes_out:,} bytes out and {each.bytes_in:,} in each"
        )
    yield f"Sizes      about {sent:,} bytes out, {received:,} bytes in"


def _slots(prepared: Prepared) -> tuple[int, int]:
    """Processes on this machine, and items in flight in each, to begin with."""
    scenario, steps = prepared.loaded.scenario, prepared.work.plan.steps
    processes = scenario.processes or os.cpu_count() or 1
    width = scenario.concurrency or words.CONCURRENCY
    return processes, prepared.course.width(steps, width, scenario.concurrency or words.WIDEST, processes)[0]


def _lanes(prepared: Prepared, plan: StepPlan) -> int:
    """Items of a step that may be in flight at the same time."""
    keys = prepared.work.keys[plan.index]
    return plan.items if keys is None else len(set(keys))
