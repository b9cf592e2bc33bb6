"""Where a run's events go while it runs: a file, standard output, InfluxDB.

Each outlet has a thread and a queue of its own: a full disk, a closed pipe or a database that is slow or
gone costs a line of warning, and never the run a moment.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar
from urllib.parse import urlsplit

from loadgen.cli.telemetry import OtelSink, Told, check_installed
from loadgen.clock import Clock
from loadgen.errors import UsageError
from loadgen.ledger.reader import Reader
from loadgen.queues.messages import Batch
from loadgen.record import RunFacts, StepFacts
from loadgen.reports import influx
from loadgen.reports.flow import Flow
from loadgen.reports.pulse import Progress
from loadgen.reports.schema import Verdict
from loadgen.reports.stream import EventLine, Stream
from loadgen.reports.summary import total
from loadgen.view import QueueView

if TYPE_CHECKING:
    from rich.console import Console

STDOUT = "-"
TOKEN = "INFLUX_TOKEN"  # noqa: S105 - the name of a variable
_WAITING = 10_000
"""Events that may wait for a slow reader; further ones are left out."""
_PATIENCE_S = 3.0
"""How long the end of the run waits for what is still to be written, at most."""
_TIMEOUT_S = 5.0


T_contra = TypeVar("T_contra", contravariant=True)
T = TypeVar("T")


class Sink(Protocol[T_contra]):
    """Takes bytes, or what else it is for.  Every method may raise OSError."""

    def write(self, data: T_contra, /) -> None:
        """Write all of it, at once."""
        ...

    def close(self) -> None:
        """That was all."""
        ...


class FileSink:
    """A file that is appended to, or standard output: unbuffered, so that a reader sees each line at once."""

    def __init__(self, path: str) -> None:
        self._fd = (
            os.dup(1) if path == STDOUT else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        )

    def write(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Close it; standard output itself stays open."""
        os.close(self._fd)


class UdpSink:
    """A datagram for each event.  Nobody says whether it arrived."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind)
        self._socket.connect(address)

    def write(self, data: bytes) -> None:
        """Send it."""
        self._socket.send(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class HttpSink:
    """InfluxDB's write API; the token comes from INFLUX_TOKEN and goes nowhere else."""

    def __init__(self, url: str) -> None:
        import requests

        self._url = url
        self._http = requests.Session()
        if token := os.environ.get(TOKEN):
            self._http.headers["Authorization"] = f"Token {token}"

    def write(self, data: bytes) -> None:
        """Post it."""
        answer = self._http.post(self._url, data=data, timeout=_TIMEOUT_S)  # its exceptions are OSErrors
        if not answer.ok:
            raise OSError(f"answered {answer.status_code}: {' '.join(answer.text.split())[:200]}")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class Outlet(Generic[T]):
    """A sink with its queue and its thread."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], Sink[T]],
        encode: Callable[[Any], T],
        warn: Callable[[str], object],
    ) -> None:
        """`name`: for people; `warn` gets a line, at most once."""
        self._name, self._open, self._encode, self._warn = name, open_, encode, warn
        self._queue: queue.Queue[Any] = queue.Queue(_WAITING)
        self._broken = False
        self._thread = threading.Thread(target=self._work, name=f"outlet {name}", daemon=True)
        self._thread.start()

    def put(self, event: Any) -> None:
        """Write it when there is time.  Returns at once."""
        if self._broken:
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._give_up(f"its reader is too slow: {_WAITING} events wait")

    def close(self) -> None:
        """Write what waits, as far as it can be done in a moment."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        try:
            sink = self._open()
            try:
                while not self._broken and (event := self._queue.get()) is not None:
                    sink.write(self._encode(event))
            finally:
                sink.close()
        except Exception as error:  # whatever it is, the run is worth more
            self._give_up(getattr(error, "strerror", None) or str(error))

    def _give_up(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            self._warn(f"{self._name}: {reason}: no more events go there; the run goes on")


class Outlets:
    """All outlets of a run; a context manager, because they have threads.  Without any it does nothing."""

    def __init__(
        self, events: str | None, influx_: str | None, console: Console, clock: Clock, otel: bool = False
    ) -> None:
        self._wanted = (events, influx_)
        self._otel = otel
        self._telemetry: Outlet[Told] | None = None
        self._console, self._clock = console, clock
        self._outlets: list[Outlet[Any]] = []
        self._stream: Stream | None = None
        self.flow = Flow()
        """What `reports.prometheus.live` wants of the calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for outlet in self._outlets:
            outlet.close()

    def started(self, facts: RunFacts, steps: Sequence[StepFacts], *, resumed: bool) -> None:
        """Open them, and say what begins."""
        self.flow.paced = bool(facts.settings.get("pace"))
        events, influx_ = self._wanted
        if events is not None:
            self._outlets.append(
                Outlet(f"--events {events}", lambda: FileSink(events), _json_line, self._warn)
            )
        if influx_ is not None:
            name = f"--influx {shown(influx_)}"
            self._outlets.append(Outlet(name, lambda: influx_sink(influx_), _influx_line, self._warn))
        if self._otel:
            self._telemetry = Outlet("--otel", lambda: OtelSink(facts, self._warn), _as_it_is, self._warn)
            self._outlets.append(self._telemetry)
        if self._outlets:
            self._stream = Stream(facts, steps, self.flow)
            self._put([self._stream.started(self._clock.now_us(), resumed=resumed)])

    def also(self, listener: Callable[[Sequence[Batch]], None]) -> Callable[[Sequence[Batch]], None]:
        """A listener that tells the outlets what it hears; the same one when there are none."""
        if self._stream is None:
            return listener

        def both(batches: Sequence[Batch]) -> None:
            listener(batches)
            for batch in batches:
                self.flow.record(batch.harvest.samples)
                if self._telemetry is not None:
                    self._telemetry.put(batch.harvest.samples)

        return both

    def look(self, step: int | None, view: QueueView, progress: Progress) -> None:
        """This is how it stands now."""
        if self._stream is not None:
            self._put(self._stream.look(step, view, progress, self._clock.now_us()))

    def happened(self, kind: str, text: str) -> None:
        """Something that people should know."""
        if self._stream is not None:
            self._put([self._stream.happened(self._clock.now_us(), kind, text)])

    def ended(self, verdict: Verdict, directory: Path) -> None:
        """The run is over, or stopped."""
        if self._stream is not None:
            with Reader(directory) as reader:
                counts = total(reader)
            self._put([self._stream.ended(verdict, counts, self._clock.now_us())])

    def _put(self, events: Sequence[EventLine]) -> None:
        for event in events:
            for outlet in self._outlets:
                outlet.put(event)

    def _warn(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)


def influx_sink(where: str) -> Sink[bytes]:
    """The sink that `--influx` names."""
    if where.startswith(("http://", "https://")):
        return HttpSink(where)
    if where.startswith("udp://"):
        url = urlsplit(where)
        return UdpSink(url.hostname or "", url.port or 0)
    return FileSink(where)


def check_otel(wanted: bool) -> None:
    """Raises UsageError when it is wanted and not there."""
    if wanted:
        check_installed()


def check(option: str, where: str | None) -> None:
    """Raises UsageError for what can never be written to."""
    if where is None or where == STDOUT or where.startswith(("http://", "https://")):
        return
    if where.startswith("udp://"):
        try:
            url = urlsplit(where)
            known = bool(url.hostname and url.port)
        except ValueError:
            known = False
        if not known:
            raise UsageError(f"{option} {where}: expected udp://HOST:PORT")
        return
    path = Path(where)
    if path.is_dir() or not path.parent.is_dir():
        reason = "a folder" if path.is_dir() else "its folder does not exist"
        raise UsageError(f"{option} {where}: {reason}")


def shown(where: str) -> str:
    """The place, without a query that may hold a password."""
    return where.partition("?")[0] if "://" in where else where


def _json_line(event: EventLine) -> bytes:
    return (json.dumps(event, ensure_ascii=False) + "\n").encode()


def _influx_line(event: EventLine) -> bytes:
    return influx.line(event).encode()


def _as_it_is(told: Told) -> Told:
    return told
