"""Steers a run while it goes on: for people at another terminal, for the breaker, for thresholds."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Self

from loadgen.breaker import Breaker, Decision, Rule
from loadgen.clock import Clock
from loadgen.control import Answer, Continue, Pause, Request, Set, Stop
from loadgen.errors import Incomplete, Stopped, one_line
from loadgen.master import Master
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import Batch
from loadgen.record import ItemCounts
from loadgen.sample import Outcome
from loadgen.steering import (
    BY_BREAKER,
    BY_HAND,
    CHANGED,
    Change,
    Limits,
    Steering,
    parse_settings,
    shown,
)
from loadgen.view import QueueView

EFFECT_S = 2.0
"""How long who asks is kept waiting until all workers keep to it."""
TRIAL_SHARE = 8
"""One of so many slots has an item in flight while the breaker does not trust the target yet."""


class Steersman:
    """What changes about a run while it goes on, changes here.  Thread-safe, where it says so."""

    def __init__(
        self,
        queue_: MemoryQueue,
        master: Master,
        clock: Clock,
        rule: Rule | None,
        show: Callable[[str], None],
        run: str,
    ) -> None:
        """`rule`: the breaker's; None: there is none.  `show` gets what people should see now.

        `run`: as commands are told of it.
        """
        self._run = run
        self._queue = queue_
        self._master = master
        self._clock = clock
        self._breaker = Breaker(rule) if rule is not None else None
        self._lock = threading.Lock()
        self._show = show
        self._counts = ItemCounts()
        self._limits = Limits()
        self._pace = self._duration = ""
        self._probes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def knowing(self, pace: str, duration: str) -> Self:
        """The same; items come by themselves like this, and for so long, as people say it; empty: not so."""
        self._pace, self._duration = pace, duration
        self._steer(lambda steering: steering.come(pace))
        return self

    def answer(self, request: Request) -> Answer:
        """Do what somebody asks for, and say how it stands when it is so, or after a while.

        Thread-safe.  Raises UsageError.
        """
        self.heed(request)
        deadline_us = self._clock.monotonic_us() + round(EFFECT_S * 1_000_000)
        view = self._queue.view()
        while view.late and self._clock.monotonic_us() < deadline_us and not isinstance(request, Stop):
            view = self._queue.wait(0.05)
        return self._answer(view)

    def heed(self, request: Request) -> None:
        """Do what somebody asks for.  Thread-safe.  Raises UsageError."""
        match request:
            case Pause():
                self.pause(BY_HAND)
            case Continue():
                self._steer(lambda steering: steering.go_on(BY_HAND))
            case Stop():
                self._master.stop(Stopped("stopped by hand"))
            case Set():
                for setting in parse_settings(request.settings):
                    self._steer(lambda steering, setting=setting: setting.apply(steering, BY_HAND))  # type: ignore[misc]

    @property
    def limits(self) -> Limits:
        """What the run is kept to.  Thread-safe."""
        return self._limits

    def standing(self) -> Answer:
        """How it stands.  Thread-safe."""
        return self._answer(self._queue.view())

    def pause(self, by: str, why: str = "") -> None:
        """Pause the run.  Thread-safe."""
        self._steer(lambda steering: steering.pause(by, why))

    def record(self, batches: Sequence[Batch], now_us: int) -> None:
        """A worker's report is in the ledger.  Thread-safe."""
        if self._breaker is None:
            return
        ended = failed = 0
        for batch in batches:
            results = [result for result in batch.harvest.results if result.retry_ms is None]
            sent = sum(result.outcome is not Outcome.DROPPED for result in results)
            ended += sent + len(batch.harvest.plain)
            failed += sum(result.outcome is Outcome.FAILED for result in results)
        with self._lock:
            self._breaker.record(ended, failed, now_us)
            if failed:  # at once: a target that is down fails thousands of items between two looks
                self._obey(self._breaker.look(now_us))

    def look(self, view: QueueView, counts: ItemCounts, now_us: int) -> None:
        """See how it stands; `counts`: how the items of the run ended so far.  Called by one thread."""
        self._counts = counts
        if view.paused and self._master.stopped is None:
            self._show(f"paused {view.paused}; loadgen continue {self._run}")
        if self._breaker is None:
            return
        with self._lock:
            paused = self._queue.view().paused  # as it is now: the lock is what keeps the two together
            if paused != (BY_BREAKER if self._breaker.state in ("open", "probing") else ""):
                self._breaker.reset()
            if not self._probes.empty():
                self._obey(self._breaker.probed(self._probes.get(), now_us))
            if not paused or paused == BY_BREAKER:
                self._obey(self._breaker.look(now_us))

    def _obey(self, decision: Decision | None) -> None:
        """Do what the breaker has decided, unless people have decided something else."""
        if decision is None:
            return
        match decision.action:
            case "pause":
                self.pause(BY_BREAKER, decision.text)
            case "probe":
                threading.Thread(target=self._probe, name="probe", daemon=True).start()
            case "continue":
                slots = sum(worker.slots for worker in self._queue.view().workers if worker.here)
                trial = max(slots // TRIAL_SHARE, 1)
                self._steer(
                    lambda steering: (
                        steering.go_on(BY_BREAKER, decision.text, trial)
                        if steering.paused == BY_BREAKER
                        else []
                    )
                )
            case "trust":
                self._steer(lambda steering: steering.trust(BY_BREAKER, decision.text))
            case "stop":
                self._master.stop(Incomplete(f"stopped by the breaker: {decision.text}"))

    def _probe(self) -> None:
        try:
            self._master.probe()
        except Exception as error:
            self._probes.put(one_line(error) or type(error).__name__)
        else:
            self._probes.put("")

    def _steer(self, change: Callable[[Steering], list[Change]]) -> None:
        def noted(steering: Steering) -> list[Change]:
            changes = change(steering)
            self._limits = steering.limits
            return changes

        for made in self._queue.steer(noted):
            self._show(made.text if made.kind == CHANGED else f"{made.kind} {made.text}")

    def _answer(self, view: QueueView) -> Answer:
        self._steer(lambda _: [])  # to see the limits
        here = [worker for worker in view.workers if worker.here]
        return Answer(
            paused=view.paused,
            stopping=self._master.stopped is not None,
            settled=self._counts.settled,
            planned=self._counts.planned,
            in_flight=sum(worker.in_flight for worker in here),
            workers=len(here),
            late=view.late,
            limits=shown(self._limits),
            pace=self._pace_now,
        )

    @property
    def _pace_now(self) -> str:
        if not self._pace or self._limits.rate is None:
            return self._pace and f"its own rate, {self._pace}"
        items = f": as many items, whatever --duration {self._duration} says" if self._duration else ""
        return f"not its own, {self._pace}{items}"
