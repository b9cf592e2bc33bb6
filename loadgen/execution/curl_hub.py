"""Thousands of transfers at once in one thread: libcurl's multi interface, and one selector for all of it.

Three findings shape this file; each was measured against a server that answers at once.

libcurl looks for a free connection by walking over all those that it has: 13 us a call with 32 in flight
became 44 with 2,000.  So the transfers are spread over many multi handles (`_Ring`) of 32 each, which
keeps a call at 14 us however many there are.  Free wires are taken from the end that was last used, so
that little work runs on few connections.

Between two calls libcurl tells us to stop watching the connection, and then to watch it again: two system
calls, 4 us.  So a connection's socket stays with the selector until it is closed, or has something to say
while nobody listens.  libcurl does not tell when it closes one, but when it opens the next with the same
number (it could: but pycurl cannot call back for a handle that is in no multi at that moment).

Nothing of Python runs between the reading of two answers that are there at the same time: libcurl takes
the time of each when it reads it, and our work on the first would be the latency of the second.
"""

from __future__ import annotations

import select
import selectors
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pycurl

from loadgen.execution.curl import CurlTransport
from loadgen.execution.http_messages import Received

if TYPE_CHECKING:
    from loadgen.clock import Clock
    from loadgen.execution.http_messages import Outgoing
    from loadgen.scenario import Connections, Http

_RING_SIZE: Final = 32
_NEVER: Final = float("inf")
FINE_S: Final = 0.05
"""A wait that is shorter is meant to the microsecond."""
_WANTED: Final = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
"""The selector's words are those that `socket_action` understands, too."""


class Wire(CurlTransport):
    """One easy handle, which carries one transfer at a time among others."""

    def __init__(self, ring: _Ring, http: Http, connections: Connections) -> None:
        self.ring = ring
        self.request: Outgoing | None = None
        self.load: Any = None
        """Whatever its user wants to find again when the transfer has ended."""
        super().__init__(http, connections)

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self._curl.setopt(pycurl.SOCKOPTFUNCTION, self.ring.watch.opened)


class Hub:
    """As many transfers at once as there are wires taken.  All but `wake` is for one thread."""

    def __init__(self, clock: Clock, http: Http = "1.1", connections: Connections = "keep") -> None:
        self._clock = clock
        self._http, self._connections = http, connections
        self._watch = _Watch()
        self._rings: list[_Ring] = []
        self._due_us: list[float] = []
        """By ring: when libcurl wants to be called without an event."""
        self._free: list[Wire] = []
        self._wires: dict[pycurl.Curl, Wire] = {}
        self._stirred: set[_Ring] = set()
        """Rings to be run: with new transfers, or with other things due than we know."""

    def take(self) -> Wire:
        """A wire to send with; to be given back."""
        if self._free:
            return self._free.pop()
        if len(self._wires) == _RING_SIZE * len(self._rings):
            self._rings.append(_Ring(self._watch, len(self._rings)))
            self._due_us.append(_NEVER)
        wire = Wire(self._rings[-1], self._http, self._connections)
        self._wires[wire.handle] = wire
        return wire

    def give_back(self, wire: Wire) -> None:
        """It is not needed any more, for now."""
        self._free.append(wire)

    def start(self, wire: Wire, request: Outgoing) -> None:
        """Start a transfer with the next `wait`.  Raises UnicodeEncodeError for what no header can hold."""
        wire.aim(request)
        wire.request = request
        wire.ring.multi.add_handle(wire.handle)
        wire.ring.busy += 1
        self._stirred.add(wire.ring)

    def wake(self) -> None:
        """End a `wait` that is going on, or the next one; from any thread."""
        self._watch.wake()

    def wait(self, longest_s: float) -> list[tuple[Wire, Received]]:
        """Let the transfers go on; what has ended since the last time, as soon as something has.

        Comes back with nothing after `longest_s` seconds, on `wake`, or when only libcurl had to do.
        """
        ready = self._run(self._stirred)
        self._stirred.clear()
        due_us = min(self._due_us, default=_NEVER)
        wait_s = 0.0 if ready else min(longest_s, (due_us - self._clock.monotonic_us()) / 1_000_000)
        for ring, number, event in self._watch.wait(max(0.0, wait_s)):
            if ring.act(number, event)[1] < ring.busy:
                ready.add(ring)
            self._stirred.add(ring)  # what is due may have changed
        now_us = self._clock.monotonic_us()
        if due_us <= now_us:
            pairs = zip(self._rings, self._due_us, strict=True)
            ready |= self._run([ring for ring, due in pairs if due <= now_us])
        return self._ended(ready)

    def close(self) -> None:
        """Give up what is under way, and close the connections."""
        for ring in self._rings:
            ring.multi.close()
        for handle in self._wires:
            handle.close()
        self._watch.close()

    def _run(self, rings: Iterable[_Ring]) -> set[_Ring]:
        """Start what was added, and do what is due; the rings where something has ended."""
        ready = set()
        for ring in rings:
            if ring.act(pycurl.SOCKET_TIMEOUT, 0)[1] < ring.busy:
                ready.add(ring)
            wait_ms = ring.multi.timeout()
            due_us = _NEVER if wait_ms < 0 else self._clock.monotonic_us() + wait_ms * 1000
            self._due_us[ring.number] = due_us
        return ready

    def _ended(self, rings: Iterable[_Ring]) -> list[tuple[Wire, Received]]:
        ended = []
        for ring in rings:
            _, good, bad = ring.multi.info_read()
            ring.busy -= len(good) + len(bad)
            for handle in good:
                ring.multi.remove_handle(handle)
                wire = self._wires[handle]
                ended.append((wire, wire.received()))
            for handle, code, why in bad:
                wire, request = self._wires[handle], self._wires[handle].request
                ring.multi.remove_handle(handle)
                if request is not None:
                    ended.append((wire, wire.failed(request, code, why)))
        return ended


class _Ring:
    """Some wires that share connections."""

    def __init__(self, watch: _Watch, number: int) -> None:
        self.watch = watch
        self.number = number
        self.busy = 0
        """Transfers that have been started, and have not been found to have ended."""
        self.multi = pycurl.CurlMulti()
        self.act: Callable[[int, int], tuple[int, int]] = self.multi.socket_action
        self.multi.setopt(pycurl.M_PIPELINING, 0)
        self.multi.setopt(pycurl.M_MAXCONNECTS, _RING_SIZE)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, partial(watch.wants, self))


class _Watch:
    """The sockets that the selector knows."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._ears, self._mouth = socket.socketpair()
        for end in (self._ears, self._mouth):
            end.setblocking(False)
        self._selector.register(self._ears, selectors.EVENT_READ, None)
        # epoll and kqueue are lists in the kernel, off which a socket drops when it is closed.
        self._outlives = hasattr(self._selector, "fileno")
        self._ours: set[int] = set()
        """Sockets of connections."""
        self._held: dict[int, int] = {}
        """What the selector looks for; negative: libcurl does not want to know now."""
        self._owner: dict[int, _Ring] = {}
        """For whom: asking the selector takes longer."""

    def opened(self, number: int, _: int) -> int:
        """For SOCKOPTFUNCTION: a new connection's socket, whatever had this number before."""
        self._forget(number)
        if self._outlives:
            self._ours.add(number)
        return pycurl.SOCKOPT_OK

    def wants(self, ring: _Ring, what: int, number: int, *_: object) -> None:
        """For M_SOCKETFUNCTION."""
        held = self._held.get(number, 0)
        if held and self._owner[number] is not ring:  # another ring's, closed long ago
            self._forget(number)
            self._ours.discard(number)  # this one, libcurl's own for resolving names, was not announced
            held = 0
        if what == pycurl.POLL_REMOVE:
            if number in self._ours:
                self._held[number] = -abs(held)
            else:
                self._forget(number)
            return
        self._held[number] = wanted = _WANTED[what]
        if not held:
            self._owner[number] = ring
            self._selector.register(number, wanted, ring)
        elif abs(held) != wanted:
            self._selector.modify(number, wanted, ring)

    def wait(self, longest_s: float) -> list[tuple[_Ring, int, int]]:
        """What there is to hear: ring, socket, and READ or WRITE."""
        heard = []
        if 0 < longest_s < FINE_S and self._outlives:
            # epoll counts whole milliseconds; select does not, and an epoll is a file that it can watch
            select.select([self._selector], [], [], longest_s)
            longest_s = 0
        for key, event in self._selector.select(longest_s):
            if key.data is None:
                self._listen()
            elif self._held[key.fd] > 0:
                heard.append((key.data, key.fd, event))
            else:
                self._forget(key.fd)  # closed by the server: libcurl sees that when it wants to use it
        return heard

    def wake(self) -> None:
        """Make `wait` come back."""
        try:
            self._mouth.send(b".")
        except BlockingIOError:
            return  # it has been called often enough

    def close(self) -> None:
        """Nothing more is heard."""
        self._selector.close()
        self._ears.close()
        self._mouth.close()

    def _listen(self) -> None:
        try:
            while self._ears.recv(4096):
                pass
        except BlockingIOError:
            return

    def _forget(self, number: int) -> None:
        if self._held.pop(number, 0):
            self._selector.unregister(number)
