"""What people see while a run goes on: a few calm lines on a terminal, a line now and then in a CI log."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadgen.record import ItemCounts
from loadgen.reports.grid import cut
from loadgen.reports.pulse import Progress
from loadgen.reports.words import Glyphs, clean, count, duration, glyphs, percent, three

REFRESHES_PER_S = 4
EVERY_S = 5.0
"""How often a log gets a line while something changes."""
QUIET_S = 60.0
"""How often it gets one while nothing does: long silence gets CI jobs killed."""
_WIDEST = 120


class Display(Protocol):
    """Shows the progress of a run, between enter and exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """This is how it stands now.  Cheap: may be called as often as one likes."""
        ...


def display(console: Console, *, quiet: bool) -> Display:
    """The display that fits."""
    if quiet:
        return NoProgress()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console)
    return PlainProgress(console)


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """Nothing."""


class PlainProgress:
    """Writes a line at the start and every few seconds: for logs, where nothing can be taken back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, progress: Progress) -> None:
        """A line, when it is time for one."""
        last = self._last
        if last is not None:
            passed_s = progress.elapsed_s - last.elapsed_s
            if passed_s < (EVERY_S if _news(last, progress) else QUIET_S):
                return
        self._last = progress
        line = clean(plain_line(progress), self._console.encoding)
        self._console.out(line, highlight=False)


class LiveProgress:
    """Keeps a few lines at the bottom of the terminal up to date; they are gone when the run is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=REFRESHES_PER_S, transient=True, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """New lines; they are drawn at the next refresh."""
        lines = live_lines(progress, min(self._console.width, _WIDEST), self._console.encoding)
        first = Text(lines[0], "bold")
        self._live.update(Text("\n").join([first, *map(Text, lines[1:])]))


def plain_line(progress: Progress) -> str:
    """The progress in one line."""
    run = progress.run_counts
    left = ""
    if (run.pending or progress.timed is not None) and progress.eta_s is not None:
        left = f", {duration(round(progress.eta_s))} left"
    settled = f"{run.settled} of {run.planned} ({percent(run.settled, run.planned)})"
    if progress.timed is not None:
        settled = count(run.settled, "item")
    return (
        f"{_where(progress)}: {settled}"
        f"{_troubles(run)}, {_rates(progress)}{_times(progress)}, {progress.in_flight} in flight,"
        f" {count(progress.workers, 'worker')}, after {duration(round(progress.elapsed_s))}{left}"
    )


def live_lines(progress: Progress, width: int, encoding: str) -> list[str]:
    """The progress in four or five lines, none wider than `width`."""
    marks = glyphs(encoding)
    run, step = progress.run_counts, progress.step_counts
    part, whole = (run.settled, run.planned) if progress.timed is None else (progress.timed, 1)
    share = percent(part, whole)
    head = _where(progress)
    if progress.steps > 1 and progress.step and progress.timed is None:
        head = f"{head}: {step.settled} of {step.planned}"
    times = f"{duration(round(progress.elapsed_s))} elapsed"
    if (run.pending or progress.timed is not None) and progress.eta_s is not None:
        times += f", about {duration(round(progress.eta_s))} left"
    flow = f"{progress.in_flight} in flight, {count(progress.workers, 'worker')}"
    lines = [
        _sides(head, times, width),
        _bar(part, whole, width - len(" 100 %"), marks) + f"{share:>6}",
        (f"{run.settled} of " if progress.timed is None else "") + f"{_items(progress)}{_troubles(run)}",
        f"{_rates(progress)}{_times(progress)}, {flow}",
    ]
    if progress.event:
        lines.append(clean(progress.event, encoding))
    return [cut(line, width, marks.ellipsis) for line in lines]


def _where(progress: Progress) -> str:
    if not progress.step:
        return "getting ready"
    return (
        progress.step
        if progress.steps == 1
        else f"{progress.step} (step {progress.number} of {progress.steps})"
    )


def _troubles(run: ItemCounts) -> str:
    """What did not go well; nothing when all did."""
    kinds = ("failed", "unknown", "dropped", "cancelled")
    return "".join(f", {getattr(run, kind)} {kind}" for kind in kinds if getattr(run, kind))


def _rates(progress: Progress) -> str:
    return f"{three(progress.rate_now)}/s now, {three(progress.rate_mean)}/s mean"


def _times(progress: Progress) -> str:
    if progress.p50_ms is None:
        return ""
    return f", p50 {three(progress.p50_ms)} ms, p95 {three(progress.p95_ms)} ms"


def _sides(left: str, right: str, width: int) -> str:
    gap = width - cell_len(left) - cell_len(right)
    return f"{left}{' ' * gap}{right}" if gap > 1 else f"{left}, {right}"


def _items(progress: Progress) -> str:
    run = progress.run_counts
    return count(run.planned if progress.timed is None else run.settled, "item")


def _bar(part: float, whole: float, width: int, marks: Glyphs) -> str:
    """Full only when all is settled."""
    full = int(part * width // whole) if whole else 0
    return marks.done * full + marks.todo * (width - full)


def _news(last: Progress, progress: Progress) -> bool:
    """Whether more than time has passed, and what follows from time alone."""
    return last != replace(
        progress,
        elapsed_s=last.elapsed_s,
        rate_now=last.rate_now,
        rate_mean=last.rate_mean,
        eta_s=last.eta_s,
        p50_ms=last.p50_ms,
        p95_ms=last.p95_ms,
    )
