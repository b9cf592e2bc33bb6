"""Described steps: one thread that keeps thousands of calls in flight.

A lane's items are done one after the other, lanes side by side, each on a wire of the `Hub`.  What a call
is, what its answer means and what an item has come to is decided where scripted steps have it decided,
by the `Session` and the `Judge`; here is only the order of things.  There is one session for all lanes, so
one login and one cookie jar.  It is told before each of its tasks whose call it has in hand.

The thread never waits for anything but its sockets, with two exceptions: the login, before which no call
can be made anyway, and a client that has nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import requests

from loadgen.clock import Clock
from loadgen.execution.curl_hub import Hub, Wire
from loadgen.execution.http_messages import Outgoing, Received
from loadgen.execution.runner import Attempt, Errand, Judge, described_calls
from loadgen.execution.session import Session
from loadgen.sample import Result, Sample
from loadgen.scenario import Call

LONGEST_WAIT_S: Final = 1.0
ASK_AGAIN_S: Final = 0.01
"""How soon a gate is asked again that said: not now."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Items of one lease to be done one after the other."""

    lease: int
    errands: Sequence[Errand]
    """Asked for one by one, as far as the lane is gone."""
    token: Any = None
    """Its owner's name for it."""


class Client(Protocol):
    """Gives the work, says when it may be done, hears what came of it; in the engine's thread."""

    def take(self) -> Lane | None:
        """One more lane; None: nothing now.  When there is again, `Multi.wake` says so."""
        ...

    def wait_s(self) -> float | None:
        """How long until there is one to take, in seconds; None: nobody knows, `Multi.wake` will say so."""
        ...

    def wait(self) -> Lane | None:
        """The same when nothing is under way: may block; None: nothing will come any more."""
        ...

    def may_start(self, lease: int) -> bool | None:
        """Whether an item of the lease may be started.  None: ask again in a moment."""
        ...

    def may_go_on(self, lease: int) -> bool | None:
        """Whether an item that was started may make its next call.  None: ask again in a moment."""
        ...

    def done(self, lane: Lane, result: Result, samples: list[Sample]) -> None:
        """The lane's next item has ended."""
        ...

    def lost(self, lane: Lane, position: int, samples: list[Sample] | None) -> None:
        """The items from `position` on were not done; the first had made these calls; None: not started."""
        ...


class _Way:
    """A lane's way through its items."""

    __slots__ = ("attempt", "calls", "lane", "next", "outgoing", "position", "start_us", "wire")

    def __init__(self, lane: Lane, wire: Wire) -> None:
        self.lane = lane
        self.wire = wire
        self.position = 0
        self.attempt: Attempt | None = None
        """The item's that was started."""
        self.calls: Sequence[Call] = ()
        self.next = 0
        """Which of the calls is under way, or comes next."""
        self.outgoing: Outgoing | None = None
        self.start_us = 0


class Multi:
    """Executes described steps, up to `slots` items at a time; they may be changed while it runs."""

    def __init__(self, options: Any, session: Session, clock: Clock, slots: int, run: str = "") -> None:
        """`session`: makes no described call itself, but the login; `run`: as the Runner's."""
        self._options = options
        self._session = session
        self._clock = clock
        self._run = run
        self._judge = Judge(clock)
        self._hub = Hub(clock, session.http, session.connections)
        self.slots = slots
        self._in_flight = 0
        self._held: list[_Way] = []
        self._ask_us = 0

    def wake(self) -> None:
        """There is something new: a lane to take, a gate that has opened.  From any thread."""
        self._hub.wake()

    def run(self, client: Client) -> None:
        """Do what the client gives, until it has nothing more and all of it has ended."""
        while True:
            while self._in_flight + len(self._held) < self.slots and (lane := client.take()) is not None:
                self._advance(_Way(lane, self._hub.take()), client)
            if self._in_flight or self._held:
                for wire, received in self._hub.wait(self._longest_wait_s(client)):
                    self._in_flight -= 1
                    self._answered(wire.load, received, client)
                self._ask_again(client)
            elif (lane := client.wait()) is not None:
                self._advance(_Way(lane, self._hub.take()), client)
            else:
                return

    def close(self) -> None:
        """Close the connections."""
        self._hub.close()

    def _longest_wait_s(self, client: Client) -> float:
        if self._held:
            return ASK_AGAIN_S
        next_s = client.wait_s() if self._in_flight < self.slots else None
        return LONGEST_WAIT_S if next_s is None else min(next_s, LONGEST_WAIT_S)

    def _ask_again(self, client: Client) -> None:
        if self._held and self._clock.monotonic_us() >= self._ask_us:
            held, self._held = self._held, []
            self._ask_us = self._clock.monotonic_us() + round(ASK_AGAIN_S * 1_000_000)
            for way in held:
                self._advance(way, client)

    def _advance(self, way: _Way, client: Client) -> None:
        """On with the lane, until it is in flight, has to wait, or is at its end."""
        lane, lease = way.lane, way.lane.lease
        while way.attempt is not None or way.position < len(lane.errands):
            attempt = way.attempt
            if attempt is not None and way.next == len(way.calls):
                self._settle(way, attempt, client)
                continue
            if attempt is not None and self._session.needs_login and not self._log_in(way, attempt):
                continue  # before the gate is asked: logging in can take longer than a lease lives
            leave = client.may_start(lease) if attempt is None else client.may_go_on(lease)
            if leave is None:
                self._held.append(way)
                return
            if not leave:
                client.lost(lane, way.position, None if attempt is None else attempt.samples)
                break
            if attempt is None:
                self._start(way)
            elif self._send(way, attempt):
                self._in_flight += 1
                return
        self._hub.give_back(way.wire)

    def _start(self, way: _Way) -> None:
        """Start an item: have its calls described."""
        errand = way.lane.errands[way.position]
        way.attempt = attempt = Attempt(errand, self._clock.now_us(), self._clock.monotonic_us())
        way.calls, way.next = (), 0
        try:
            way.calls = described_calls(errand.step, errand.step.function(errand.argument, self._options))
        except BaseException as failure:
            attempt.raised = failure

    def _log_in(self, way: _Way, attempt: Attempt) -> bool:
        """Log in for all; False: the item has failed by it."""
        self._take_up(way, attempt)
        try:
            self._session.log_in()
        except BaseException as failure:
            attempt.raised = failure
            way.calls, way.next = (), 0
        attempt.samples += self._session.samples
        return attempt.raised is None

    def _send(self, way: _Way, attempt: Attempt) -> bool:
        """Make the next call; False: there is none to be made of it, and the item has failed."""
        session, call = self._session, way.calls[way.next]
        self._take_up(way, attempt)
        try:
            way.outgoing = outgoing = session.prepare_call(
                call.method,
                call.url,
                params=call.params,
                data=call.data,
                json=call.json,
                headers=call.headers,
                timeout=call.timeout,
            )
            if outgoing.method == "HEAD" and outgoing.body is not None:
                raise requests.RequestException("a HEAD request with a body cannot be sent")
            way.wire.load, way.start_us = way, self._clock.now_us()
            self._hub.start(way.wire, outgoing)
        except UnicodeEncodeError as broken:
            attempt.raised = requests.exceptions.InvalidHeader(f"not Latin-1: {broken.object!r}")
        except BaseException as failure:
            attempt.raised = failure
        if attempt.raised is not None:
            way.calls = ()
            way.next = 0
        return attempt.raised is None

    def _answered(self, way: _Way, received: Received, client: Client) -> None:
        """A call has ended."""
        session, call, attempt, outgoing = self._session, way.calls[way.next], way.attempt, way.outgoing
        assert attempt is not None
        assert outgoing is not None
        self._take_up(way, attempt)
        way.next += 1
        try:
            answer = session.settle(outgoing, received, way.start_us, call.name, call.expect)
            if session.failure is None and call.check is not None:
                attempt.value = call.check(answer)
        except BaseException as failure:
            attempt.raised = failure
        attempt.samples += session.samples
        attempt.refused, attempt.retry_after = session.failure, session.retry_after
        if attempt.raised is not None or attempt.refused is not None:
            way.next = len(way.calls)
        self._advance(way, client)

    def _take_up(self, way: _Way, attempt: Attempt) -> None:
        """The session has this item's call in hand."""
        errand = attempt.errand
        self._session.begin(errand.step.name, errand.item, errand.attempt, self._run)

    def _settle(self, way: _Way, attempt: Attempt, client: Client) -> None:
        """The item has ended."""
        client.done(way.lane, self._judge.judge(attempt), attempt.samples)
        way.attempt = None
        way.position += 1
