"""`loadgen compare A B [C...]`: what changed from one run to the next, and whether it is more than noise."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words
from loadgen.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from loadgen.ledger.reader import Reader
    from loadgen.reports.compare import Comparison, Side
    from loadgen.reports.timeline import Timeline

FORMS = ("terminal", "json")
_BUCKETS = 60
_FEWEST = 2
"""Runs."""


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]", help="Runs, the base first: ids, parts of them, directories, or `latest`."
        ),
    ],
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if the runs are unlike.")] = False,
    fail_on_regression: Annotated[
        str | None,
        typer.Option(
            "--fail-on-regression",
            metavar="PERCENT",
            help="Exit code 1 when a time or a rate is worse by more than that, noise allowed for; like 10%.",
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="terminal or json.")] = FORMS[0],
    out: words.Out = words.OUT,
) -> int:
    """Compare runs with the first one: rates, times and errors, with their noise."""
    import msgspec

    if len(names) < _FEWEST:
        raise UsageError("compare: name two runs, or more; the first is what the others are compared with")
    if form not in FORMS:
        raise UsageError(f"no comparison format {form!r}: choose one of {', '.join(FORMS)}")
    limit = None if fail_on_regression is None else parse_percent(fail_on_regression)
    found, timelines = _compared(names, out, anyway=anyway)
    lost = [comparison.regressions(limit) if limit is not None else [] for comparison in found]
    if form == "json":
        told = [
            {**msgspec.to_builtins(comparison), "regressions": msgspec.to_builtins(lines)}
            for comparison, lines in zip(found, lost, strict=True)
        ]
        text = msgspec.json.format(msgspec.json.encode({"schema": 1, "comparisons": told}), indent=2)
        sys.stdout.write(text.decode() + "\n")
    else:
        from rich.console import Console

        from loadgen.reports.compare_page import show, show_timelines

        console = Console()
        for comparison, lines in zip(found, lost, strict=True):
            show(console, comparison, lines)
        show_timelines(console, timelines)
    return ExitCode.INTERNAL if any(lost) else ExitCode.OK


def parse_percent(text: str) -> float:
    """A share.  Raises UsageError.

    >>> parse_percent("10%")
    10.0
    """
    found = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?) ?%", text)
    if found is None:
        raise UsageError(f"--fail-on-regression {text}: expected a percentage, like 10%")
    return float(found[1])


def _compared(
    names: Sequence[str], out: Path, *, anyway: bool
) -> tuple[list[Comparison], list[tuple[str, Timeline]]]:
    """Each run but the first with the first.  Raises UsageError when they are unlike."""
    from contextlib import ExitStack

    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.reports.compare import compare as compare_sides
    from loadgen.reports.likeness import cautions

    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(directory.find(out, name))) for name in names]
        unlike = [_unlike(readers[0], reader) for reader in readers[1:]]
        told = [
            f"{reader.facts().id}: {'; '.join(each)}"
            for reader, each in zip(readers[1:], unlike, strict=True)
            if each
        ]
        if told and not anyway:
            raise UsageError(
                f"the runs are unlike {readers[0].facts().id}: {' | '.join(told)} (--anyway compares them)"
            )
        sides, timelines = zip(*map(_read, readers), strict=True)
        base, *others = sides
        comparisons = [
            compare_sides(base, side, each, [*cautions(base.summary), *cautions(side.summary)])
            for side, each in zip(others, unlike, strict=True)
        ]
        return comparisons, [(f"{chr(65 + n)}", line) for n, line in enumerate(timelines)]


def _unlike(base: Reader, other: Reader) -> tuple[str, ...]:
    from loadgen.reports.likeness import differences

    return differences(base.facts(), other.facts(), base.steps(), other.steps())


def _read(reader: Reader) -> tuple[Side, Timeline]:
    from loadgen.cli.finish import verdict_now
    from loadgen.reports.compare import Side
    from loadgen.reports.slices import sliced
    from loadgen.reports.summary import summarize
    from loadgen.reports.timeline import TimelineBuilder

    timeline = TimelineBuilder(reader.phases().started_us, _BUCKETS)
    summary = summarize(reader, verdict_now(reader), timeline.add)
    return Side(summary, sliced(reader)), timeline.build()
