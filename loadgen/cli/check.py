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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgen.cli import words

if TYPE_CHECKING:
    from loadgen.cli.prepare import Prepared
    from loadgen.cli.rehearsal import Rehearsed
    from loadgen.thresholds import Threshold


def check(
    scenario: words.ScenarioFile,
    target: words.Target = None,
    allow_target: words.AllowTarget = False,
    settings: words.Settings = None,
    step: Annotated[
        list[str] | None, typer.Option("--step", metavar="NAME", help="This step only; may be repeated.")
    ] = None,
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
    from loadgen.errors import ExitCode
    from loadgen.launch.sandbox import SandboxProcess
    from loadgen.loader import load

    loaded = load(scenario)
    options: Any = scenario_options.parse(loaded.scenario.options, settings or (), os.environ)
    prepared = prepare(loaded, options, target, steps=step or ())
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
        line = f"Step       {plan.name}: {count(plan.items, 'item')}, {plan.delivery}"
        if rows is not None:
            line += f", rows of {sum(len(msgspec.msgpack.encode(row)) for row in rows):,} bytes"
        yield line if keys is None else f"{line}, {count(len(set(keys)), 'key')}"
    yield f"Plan       {count(prepared.work.plan.items, 'item')} in all"


def _held(prepared: Prepared, thresholds: Sequence[Threshold]) -> Iterator[str]:
    """What a run would be held to by its scenario, and from when on."""
    if thresholds:
        yield f"Thresholds {', '.join(threshold.text for threshold in thresholds)}"
    if prepared.loaded.scenario.warm_up:
        yield f"Warm-up    {prepared.loaded.scenario.warm_up}: done, but not measured"


def _estimated(prepared: Prepared, done: list[Rehearsed]) -> Iterator[str]:
    """What the whole run would take, if all items were like the first, however many are in flight."""
    from loadgen.reports.words import count, duration

    if not done:
        return
    scenario, work = prepared.loaded.scenario, prepared.work
    processes = scenario.processes or os.cpu_count() or 1
    width = scenario.concurrency or words.CONCURRENCY
    alone_s = together_s = 0.0
    shares = []
    for each in done:
        keys = work.keys[each.plan.index]
        lanes = each.plan.items if keys is None else len(set(keys))
        alone_s += each.plan.items * each.seconds
        together_s += each.plan.items * each.seconds / max(min(processes * width, lanes), 1)
        shares.append(
            f"           {each.plan.name}: {count(each.plan.items, 'item')} of {duration(each.seconds)},"
            f" {each.bytes_out:,} bytes out and {each.bytes_in:,} in each"
        )
    sent = sum(each.plan.items * each.bytes_out for each in done)
    received = sum(each.plan.items * each.bytes_in for each in done)
    yield ""
    yield (
        f"Estimate   {duration(alone_s)} one after the other, {duration(together_s)}"
        f" with {processes} x {width} in flight:"
    )
    yield "           from one item of each step, and as if the target were as fast with all of them"
    yield from shares
    yield f"Sizes      about {sent:,} bytes out, {received:,} bytes in"
