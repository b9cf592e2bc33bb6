"""What people see while a run goes on: a few calm lines on a terminal, a line now and then in a CI log."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from loadgen.reports.painter import Painter
from loadgen.reports.pulse import Progress
from loadgen.reports.screen import Scene, draw, rates, remaining, times, troubles, where
from loadgen.reports.words import clean, count, duration, percent

REFRESH_S = 0.25
"""How often a screen is drawn while only numbers change."""
EVERY_S = 5.0
"""How often a log gets a line while something changes."""
QUIET_S = 60.0
"""How often it gets one while nothing does: long silence gets CI jobs killed."""


class Display(Protocol):
    """Shows the progress of a run, between enter and exit."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def show(self, scene: Scene) -> None:
        """This is how it stands now.  Cheap: may be called as often as one likes."""
        ...

    def hide(self) -> None:
        """Be gone, until it is shown again."""
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

    def show(self, scene: Scene) -> None:
        """Nothing."""

    def hide(self) -> None:
        """It is."""


class PlainProgress:
    """Writes a line at the start and every few seconds: for logs, where nothing can be taken back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: Scene | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, scene: Scene) -> None:
        """A line, when it is time for one: also when the master begins with something itself."""
        if not self._is_due(scene):
            return
        self._last, progress = scene, scene.progress
        told = [word for word in (_alarm(scene), plain_line(progress)) if word]
        line = clean("; ".join(told), self._console.encoding)
        self._console.out(line, highlight=False)

    def _is_due(self, scene: Scene) -> bool:
        if self._last is None:
            return True
        last, progress = self._last.progress, scene.progress
        if _alarm(self._last) != _alarm(scene) or progress.task not in ("", last.task):
            return True
        return progress.elapsed_s - last.elapsed_s >= (EVERY_S if _news(last, progress) else QUIET_S)

    def hide(self) -> None:
        """What is in a log stays there."""


def _alarm(scene: Scene) -> str:
    """That it is paused, or winds down; empty: all is well."""
    return "" if scene.state.well else scene.state.word


class LiveProgress:
    """Keeps a screen of lines at the bottom of the terminal; they are gone when the run is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._painter = Painter(console)
        self._last: Scene | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._painter.stop()

    def show(self, scene: Scene) -> None:
        """New lines, when it is time for them, or something else than numbers has changed."""
        last = self._last
        if last is not None:
            passed_s = scene.progress.elapsed_s - last.progress.elapsed_s
            if passed_s < REFRESH_S and (scene.state, scene.help) == (last.state, last.help):
                return
        self._last = scene
        self._painter.start()
        size = self._console.size
        self._painter.paint(draw(scene, size.width, max(size.height - 1, 1), self._console.encoding))

    def hide(self) -> None:
        """Leave the terminal to others."""
        self._last = None
        self._painter.stop()


def plain_line(progress: Progress) -> str:
    """The progress in one line."""
    run, passed = progress.run_counts, f"after {duration(round(progress.elapsed_s))}"
    if progress.task:
        return f"{progress.task}: {count(progress.task_calls, 'call')}, {passed}"
    left = f", {left}" if (left := remaining(progress)) else ""
    settled = f"{run.settled} of {run.planned} ({percent(run.settled, run.planned)})"
    if progress.timed is not None:
        settled = count(run.settled, "item")
    return (
        f"{where(progress)}: {settled}"
        f"{troubles(run)}, {rates(progress)}{times(progress)}, {progress.in_flight} in flight,"
        f" {count(progress.workers, 'worker')}, {passed}{left}"
    )


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
