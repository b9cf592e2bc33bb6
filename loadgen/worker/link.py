"""A worker's way to its master: found with patience, lost, and found again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from loadgen.clock import Clock, Skew
from loadgen.errors import MasterGone, Refused, TokenError
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import Beat, Hello, Report, Welcome
from loadgen.worker.spool import left_behind

FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 2.0

R = TypeVar("R")


class Link:
    """The connection of one worker to one run's master, whichever process that is.

    `find` makes a client for the master as it can be found now; it raises MasterGone while there is none.
    """

    def __init__(
        self,
        find: Callable[[], QueueClient],
        hello: Hello,
        patience_s: float,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self.hello = hello
        """What is said to the master, now and whenever it is met again."""
        self.patience_s = patience_s
        """How long to look for it."""
        self.lost = threading.Event()
        """Somebody found that it does not answer."""
        self.max_clock_error_us = 0
        """How well its clock has to be known in an open model."""
        self.client: QueueClient
        self._find = find
        self._clock = clock
        self._say = say
        self._first: Welcome | None = None

    def join(self) -> Welcome:
        """Say hello, with patience: the master may not be there yet, or may come back.

        Raises MasterGone, also when another run is there instead; TokenError and Refused the first time.
        """
        backoff_s, waited_s = FIRST_BACKOFF_S, 0.0
        while True:
            try:
                self.client = self._find()
                welcome = self.client.hello(self.hello)
            except MasterGone as error:
                if waited_s >= self.patience_s:
                    raise
                if not waited_s:
                    self._say(f"{error}; waiting for it")
                pause_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - not in step with other workers
                self._clock.sleep(pause_s)
                waited_s += pause_s
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
            except TokenError as error:
                if self._first is None:
                    raise
                raise MasterGone(f"the master of run {self._first.run} is gone: {error}") from error
            else:
                first = self._first = self._first or welcome
                if welcome.run != first.run:
                    raise MasterGone(f"the master of run {first.run} is gone: there is another one now")
                self.lost.clear()
                return welcome

    def take_slots(self, slots: int) -> None:
        """Have the hello name another number of slots from now on."""
        self.hello = msgspec.structs.replace(self.hello, slots=slots)

    def skew(self) -> Skew | None:
        """How far its clock is ahead; None: it is gone, or nothing in its run starts at a time of his.

        What was found stays: an item is late by the clock of the machine that calls, whatever the others'
        do meanwhile.  Raises Refused when it cannot be told well enough.
        """
        if self._first is None or self._first.max_lag_us is None:
            return None
        skew = Skew()
        for _ in range(Skew.LAST):
            asked_us = self._clock.monotonic_us()
            receipt = self.ask(lambda client: client.beat(Beat(self.hello.session, (), 0.0, 0)))
            if receipt is None:
                return None
            skew.observe(asked_us, self._clock.monotonic_us(), receipt.at_us)
        if skew.error_us > self.max_clock_error_us:
            raise Refused(
                f"the master's clock can be told to {skew.error_us / 1000:.1f} ms only on so slow a way: "
                "items would start so much too early or too late; --max-clock-error allows that"
            )
        return skew

    def hand_over(self, spool: Path, run: str) -> None:
        """Report what workers of this directory had done in this run when they died."""
        for path, session, batches in left_behind(spool, run, self.hello.session):
            self._say(
                f"handing over {sum(batch.harvest.ended for batch in batches)} results of a worker that died"
            )
            try:
                for batch in batches:  # each by itself: they may be large, and are few
                    self.client.report(Report(session, (batch,)))
            except Refused as error:  # the run never knew that worker: its file is for people to look at
                self._say(f"{path}: {error}")
            else:
                path.unlink(missing_ok=True)

    def ask(self, call: Callable[[QueueClient], R]) -> R | None:
        """Call the master; None when it was gone, or did not know us: hello must be said again."""
        try:
            return call(self.client)
        except (MasterGone, Refused):  # Refused: a restarted master does not know us
            self.lost.set()
            return None
