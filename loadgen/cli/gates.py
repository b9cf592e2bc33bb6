"""What may end or pause a run before its items do: thresholds with an action, and --fail-fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from loadgen.cli.order import Order
from loadgen.cli.prepare import Prepared
from loadgen.columns import Harvest
from loadgen.errors import Incomplete, ItemStopped, ThresholdCrossed
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import WarmedUp
from loadgen.queues.messages import Batch
from loadgen.record import Event, ItemCounts, StepFacts
from loadgen.reports.measured import WARM_UP, Measured
from loadgen.reports.watch import Standing, Watch
from loadgen.sample import Outcome
from loadgen.thresholds import Threshold, check_steps, parse
from loadgen.view import QueueView


def settle_thresholds(said: Sequence[str] | None, prepared: Prepared) -> tuple[Threshold, ...]:
    """Those that were said, else the scenario's, without what is about steps that this run leaves out.

    Raises ThresholdError.
    """
    steps = [step.name for step in prepared.steps]
    if said:
        thresholds = tuple(parse(text, "--threshold") for text in said)
        check_steps(thresholds, steps, "--threshold")
        return thresholds
    scenario = prepared.loaded.scenario
    check_steps(scenario.thresholds, [step.name for step in scenario.steps], scenario.location)
    return tuple(each for each in scenario.thresholds if each.of == "calls" or each.name in ("", *steps))


class Gatekeeper:
    """Looks at results as they come, and says when that is enough."""

    def __init__(
        self,
        order: Order,
        steps: Sequence[StepFacts],
        directory: Path,
        note: Callable[[Event], object],
        stop: Callable[[Incomplete], object],
        pause: Callable[[str, str], object],
    ) -> None:
        """`directory`: the run's.

        `note` gets what people should know, `stop` why to wind down, once; `pause` who pauses it, and why.
        """
        with Reader(directory) as reader:
            before = self._before = {step.name: reader.counts(step) for step in steps}
            self._measured = Measured.of(order.warm_up.text, steps, reader.events())
            self._warmed_up = bool(reader.warmed_up())
        self._ended = dict.fromkeys(before, ItemCounts())
        """What results told of items that are measured, in this session."""
        self._names = {step.index: step.name for step in steps}
        self._last = steps[-1].index
        watched = [each for each in order.thresholds if order.dashboard or each.action or each.window_us]
        self._watch = Watch(watched, self._names, before)
        self._open: tuple[int, ...] = (steps[0].index,)
        self._fail_fast = order.fail_fast
        self._note, self._stop, self._pause = note, stop, pause
        self._stopped = self._paused = False
        self._held_us: int | None = None
        self._failed = ""
        self._missed = False

    def record(self, batches: Sequence[Batch], now_us: int) -> None:
        """A worker's report is in the ledger."""
        for batch in batches:
            harvest = self._measured.harvest(batch.step, batch.harvest)
            self._count(self._names[batch.step], harvest)
            self._watch.record(batch.step, harvest, now_us)
            for result in batch.harvest.results:
                if result.outcome is Outcome.FAILED and result.retry_ms is None and not self._failed:
                    self._failed = f"{self._names[batch.step]}, item {result.item}: {result.error}"

    def look(self, step: int | None, view: QueueView, now_us: int) -> None:
        """See how it stands; `step`: the one that `view` shows, None before the first."""
        if step is not None:
            self._open = tuple(view.by_step) or (step,)
        self._time_warm_up(view, now_us)
        if step is None or self._stopped or (view.settled and self._last in (view.by_step or (step,))):
            return  # there is nothing that could be stopped
        if view.paused:
            if not self._paused:
                self._watch.hold(now_us)
            self._paused = True
            return
        if self._paused:
            self._paused = False
            self._watch.begin_anew(step, view.counts, now_us)
        reason = self._reason(step, view, now_us)
        if reason is not None:
            self._stopped = True
            self._stop(reason)

    def _time_warm_up(self, view: QueueView, now_us: int) -> None:
        """Say when a warm-up by time is over: a pause within it makes that later."""
        measured, warm_up, until_us = self._measured, self._measured.warm_up, self._measured.until_us
        text = ""
        if not warm_up.us or view.begun_us is None:
            return
        if until_us is None:
            until_us = view.begun_us + warm_up.us
            text = f"it is over {warm_up} after the first lease; what begins before that is not measured"
        elif view.paused and self._held_us is None:
            self._held_us = now_us
        elif not view.paused and self._held_us is not None:
            held_us, self._held_us = self._held_us, None
            if held_us < until_us:
                until_us += now_us - held_us
                text = f"it is over later: the run was paused for {(now_us - held_us) / 1_000_000:.1f} s"
        if text:
            measured.until_us = until_us
            self._note(Event(until_us, WARM_UP, text))

    def standings(self, now_us: int) -> list[Standing]:
        """How the thresholds stand, for those who watch.  Thread-safe."""
        return self._watch.standings(self._open, now_us)

    def _reason(self, step: int, view: QueueView, now_us: int) -> Incomplete | None:
        by_step = view.by_step or {step: view.counts}
        measured = {each: self._without_warm_up(each, counts) for each, counts in by_step.items()}
        crossings = self._watch.look(step, measured.get(step, view.counts), now_us, measured)
        for crossing in crossings:
            self._note(Event(now_us, "threshold", crossing.text))
            if crossing.acts and crossing.threshold.action == "pause":
                self._pause("by a threshold", crossing.text)
                self._watch.hold(now_us)
                self._paused = True  # it may go on before this is called again
        reasons = [
            crossing for crossing in crossings if crossing.acts and crossing.threshold.action == "abort"
        ]
        more = {self._names[n]: c.failed - self._before[self._names[n]].failed for n, c in by_step.items()}
        name = next((name for name, failed in more.items() if failed > 0), "")
        if self._fail_fast and name:
            if self._failed or self._missed:
                return ItemStopped(f"stopped by --fail-fast: {self._failed or f'an item of {name} failed'}")
            self._missed = True  # the result is about to be told, or there is none
        return ThresholdCrossed(f"stopped by a threshold: {reasons[0].text}") if reasons else None

    def warmed_up(self, view: QueueView, now_us: int) -> WarmedUp | None:
        """What the probes have read, when the warm-up has just come to its end."""
        if not self._measured.warm_up or self._warmed_up or not self._measured.is_over(now_us):
            return None
        if self._held_us is not None:  # its end is about to be moved
            return None
        self._warmed_up = True
        return WarmedUp({worker.number: worker.lag for worker in view.workers})

    def _count(self, step: str, harvest: Harvest) -> None:
        failed = sum(each.outcome is Outcome.FAILED and each.retry_ms is None for each in harvest.results)
        done = len(harvest.plain) + sum(each.outcome is Outcome.DONE for each in harvest.results)
        self._ended[step] = self._ended[step].plus(ItemCounts(done=done, failed=failed))

    def _without_warm_up(self, step: int, counts: ItemCounts) -> ItemCounts:
        """How items ended, for those who may end the run: no failure of a warm-up does.

        By the results: `counts` may know of one already that nobody has seen yet.
        """
        if not self._measured.warm_up:
            return counts
        name = self._names[step]
        known = self._before[name].plus(self._ended[name])
        return replace(counts, done=known.done, failed=known.failed)
