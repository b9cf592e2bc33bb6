"""The terminal that a run was started on: what it shows of the run, and the keys that steer it.

Keys go to the steersman, as what other terminals and the dashboard ask for does.
"""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console

from loadgen.cli import keyboard, keys
from loadgen.cli.order import Order
from loadgen.cli.stage import Session, Stage
from loadgen.clock import Clock
from loadgen.errors import LoadgenError
from loadgen.reports.progress import LiveProgress, display
from loadgen.reports.pulse import Progress, Second
from loadgen.reports.screen import Scene, State
from loadgen.reports.watch import Standing
from loadgen.reports.words import count
from loadgen.steering import Limits, shown
from loadgen.view import QueueView

_SECONDS, _NOTICES = 200, 3
"""How many of the last ones are kept to be shown."""


class Bridge:
    """A context manager; `show` is for the stage."""

    def __init__(self, console: Console, stage: Stage, session: Session, order: Order, clock: Clock) -> None:
        self._console = console
        self._stage, self._order, self._clock = stage, order, clock
        self._pace = session.prepared.pace
        self._display = display(console, quiet=order.quiet)
        self._is_live = isinstance(self._display, LiveProgress)
        self._stack = contextlib.ExitStack()
        self._keyboard: keyboard.Keyboard | None = None
        self._drawing = self._leaving = self._explains = False
        self._seconds: deque[Second] = deque(maxlen=_SECONDS)
        self._next = clock.now_us() // 1_000_000
        self._standings: Sequence[Standing] = ()
        self._notices: deque[tuple[float, str]] = deque(maxlen=_NOTICES)
        self._event = ""
        self._rate_now = 0.0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._display)
        if self._is_live and hasattr(signal, "SIGTSTP"):
            before = signal.signal(signal.SIGTSTP, self._on_suspend)
            self._stack.callback(signal.signal, signal.SIGTSTP, before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._keyboard = None

    def listen(self) -> None:
        """From now on keys are taken, if there is a keyboard and somebody sees what they do."""
        if self._is_live and keyboard.is_there():
            self._keyboard = self._stack.enter_context(keyboard.Keyboard(self._on_keys))

    def release(self) -> None:
        """Give the keyboard back at once: somebody is about to leave without unwinding."""
        if self._keyboard is not None:
            self._keyboard.release()

    def show(self, step: int | None, progress: Progress, view: QueueView) -> None:
        """How it stands now."""
        stopping = self._stage.master.stopped is not None
        how = state(step, progress, view, stopping=stopping)
        if not self._is_live:
            self._display.show(Scene(progress, how))
            return
        self._remember(progress, lasting=not how.well)
        if not keyboard.in_foreground(self._console.file.fileno()):
            return  # others are writing there
        self._drawing = True
        self._display.show(self._scene(how, progress, view))
        self._drawing = False
        if self._leaving:
            self._suspend()

    def _scene(self, how: State, progress: Progress, view: QueueView) -> Scene:
        standing, here = self._stand(view), self._keyboard is not None
        return Scene(
            progress,
            state=how,
            limits=limits_text(standing.limits, view, progress.workers),
            workers=view.workers,
            standings=self._standings,
            seconds=tuple(self._seconds),
            notices=tuple(self._notices),
            keys=keys.footer(standing) if here else "",
            help=keys.explained(standing) if here and self._explains else (),
        )

    def _remember(self, progress: Progress, *, lasting: bool) -> None:
        """Keep what lists and curves show; `lasting`: what goes on is said again and again."""
        self._rate_now = progress.rate_now
        now_us = self._clock.now_us()
        since, now = self._next, now_us // 1_000_000
        if now > since:
            self._standings = self._stage.gates.standings(now_us)
            told = {second.at: second for second in self._stage.pulse.seconds(since, now)}
            self._seconds += [told.get(at) or nothing(at) for at in range(max(since, now - _SECONDS), now)]
            self._next = now
        if progress.event and progress.event != self._event:
            fuller = bool(self._event) and progress.event.startswith(self._event)
            if fuller:  # the same, with what to do about it
                self._notices.popleft()
            if fuller or not (lasting and progress.event in (text for _, text in self._notices)):
                self._notices.appendleft((progress.elapsed_s, progress.event))
            self._event = progress.event

    def _stand(self, view: QueueView) -> keys.Standing:
        limits = self._stage.steersman.limits
        slots = [each.slots for each in view.workers if each.here]
        found_out = slots[0] // max(self._order.processes, 1) if len(slots) == 1 else None
        return keys.Standing(
            paused=bool(view.paused),
            stopping=self._stage.master.stopped is not None,
            asked=self._stage.master.was_asked_to_stop,
            limits=limits,
            own_rate=(self._pace.steady_rate or self._rate_now) if self._pace.is_open else None,
            slots=sum(slots),
            width=limits.concurrency or self._order.concurrency or found_out,
        )

    # Keys: in the keyboard's thread

    def _on_keys(self, text: str) -> None:
        for key in keys.pressed(text):
            if key in "?hH":
                self._explains = not self._explains
                continue
            request = keys.order(key, self._stand(self._stage.queue.view()))
            if request is None:
                continue
            try:
                self._stage.steersman.heed(request)
            except LoadgenError as error:
                self._stage.pulse.happened(str(error))

    # Ctrl-Z: in the main thread

    def _on_suspend(self, _number: int, _frame: FrameType | None) -> None:
        if self._drawing:
            self._leaving = True  # with the line that is being written
        else:
            self._suspend()

    def _suspend(self) -> None:
        """Leave the terminal as it was, stop, and come back when told to go on."""
        self._leaving = False
        self._display.hide()
        if self._keyboard is not None:
            self._keyboard.release()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)  # here it stands until SIGCONT
        signal.signal(signal.SIGTSTP, self._on_suspend)
        if self._keyboard is not None:
            self._keyboard.take_again()


def state(step: int | None, progress: Progress, view: QueueView, *, stopping: bool) -> State:
    """How the run is, in a word.  Pure."""
    if stopping:
        return State("STOPPING", well=False)
    if view.paused:
        return State(f"PAUSED {view.paused}", well=False)
    if progress.task:
        return State(progress.task.upper(), why=count(progress.task_calls, "call"))
    if step is None or not (view.counts.planned or view.left_s):
        return State("STARTING")
    if not progress.workers and (view.counts.pending or view.left_s):
        return State("WAITING for workers")
    return State()


def limits_text(limits: Limits, view: QueueView, workers: int) -> str:
    """What the run is kept to, and who does not keep to it yet; empty: nothing.  Pure."""
    kept: Sequence[str] = [f"{name} {value}" for name, value in shown(limits).items() if value != "none"]
    if view.late and workers and (kept or view.paused):
        kept = [*kept, f"not yet on {view.late} of {count(workers, 'worker')}"]
    return ", ".join(kept)


def nothing(at: int) -> Second:
    """A second in which nothing was reported."""
    return Second(at, 0, 0, 0, 0, None, None, None)
