"""The dashboard of a run, from its address to its last message; or none."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

import msgspec

from loadgen.cli import words
from loadgen.clock import Clock
from loadgen.errors import UsageError
from loadgen.ledger.reader import Reader
from loadgen.queues.token import split_address
from loadgen.record import Event, RunFacts
from loadgen.reports.pulse import Progress, Pulse
from loadgen.reports.schema import Summary, Verdict
from loadgen.view import QueueView

if TYPE_CHECKING:
    from loadgen.cli.gates import Gatekeeper
    from loadgen.cli.prepare import Prepared
    from loadgen.cli.steersman import Steersman
    from loadgen.control import Answer, Request
    from loadgen.dashboard.access import Access
    from loadgen.dashboard.board import Board
    from loadgen.queues.messages import Batch
    from loadgen.reports.flow import Flow

TOKEN_VARIABLE = "LOADGEN_DASHBOARD_TOKEN"  # noqa: S105 - where it is looked for
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


class Session(Protocol):
    """What one session of a run works on."""

    @property
    def prepared(self) -> Prepared:
        """Its work."""
        ...

    @property
    def facts(self) -> RunFacts:
        """What is known of the run."""
        ...

    @property
    def directory(self) -> Path:
        """The run's."""
        ...


Show: TypeAlias = Callable[[int | None, Progress, QueueView], None]


def dashboard_address(text: str, *, off: bool) -> tuple[str, int] | None:
    """Host and port; None: there is to be none.  Raises UsageError."""
    if off:
        return None
    host, port = split_address(text, split_address(words.DASHBOARD, 0)[1])
    return host or split_address(words.DASHBOARD, 0)[0], port


class Dash:
    """A context manager: from `__enter__` on it can be visited, and tells what is known so far."""

    def __init__(self, address: tuple[str, int] | None, clock: Clock, say: Callable[[str], None]) -> None:
        """`address`: None for no dashboard; `say` gets the line that tells where it is."""
        self._address = address
        self._clock = clock
        self._say = say
        self._stack = contextlib.ExitStack()
        self._board: Board | None = None
        self._steersman: Steersman | None = None
        self._paced = False
        self._flow: Flow | None = None
        """Counts calls from the first scrape on: a run that nobody scrapes does not pay for it."""

    def __enter__(self) -> Self:
        """Raises UsageError: it cannot be there."""
        if self._address is None:
            return self
        from loadgen.dashboard.board import Board
        from loadgen.dashboard.parts import Parts
        from loadgen.dashboard.server import Dashboard, listen

        listener = listen(*self._address)
        access = access_for(self._address[0], listener.getsockname()[1], os.environ.get(TOKEN_VARIABLE, ""))
        self._board = Board(secrets.token_hex(8), self._clock.now_us)
        self._stack.enter_context(Dashboard(listener, Parts(access, self._board, self._steer, self._metrics)))
        self._say(f"dashboard: {url(self._address[0], access)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def watching(
        self, session: Session, pulse: Pulse, steersman: Steersman, gates: Gatekeeper
    ) -> Iterator[Show]:
        """While the run goes on: who gets to see how it stands."""
        if self._board is None:
            yield lambda _step, _progress, _view: None
            return
        from loadgen.dashboard.board import About, Sources

        self._steersman, facts = steersman, session.facts
        self._paced = bool(facts.settings.get("pace"))
        about = About(
            run=facts.id,
            scenario=facts.scenario,
            title=facts.title,
            target=facts.target,
            options=facts.options,
            settings=facts.settings,
            steps=tuple(session.prepared.steps),
            directory=str(session.directory.resolve()),
        )

        def events(known: int) -> list[Event]:
            with Reader(session.directory) as reader:
                return reader.events(known)

        sources = Sources(
            pulse=pulse,
            standing=steersman.standing,
            thresholds=lambda: gates.standings(self._clock.now_us()),
            events=events,
        )
        self._board.open(about, sources)
        try:
            yield self._board.show
        finally:
            self._steersman = None
            self._board.close()

    def also(self, listener: Callable[[Sequence[Batch]], None]) -> Callable[[Sequence[Batch]], None]:
        """A listener that tells the dashboard what it hears; the same one when there is none."""
        if self._board is None:
            return listener

        def both(batches: Sequence[Batch]) -> None:
            listener(batches)
            if self._flow is not None:
                for batch in batches:
                    self._flow.record(batch.harvest.samples)

        return both

    def ended(self, verdict: Verdict, directory: Path) -> None:
        """What became of it; `directory` has its summary, if it could be written."""
        if self._board is None:
            return
        from loadgen.dashboard.board import end_of

        summary = None
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            summary = msgspec.json.decode((directory / "summary.json").read_bytes(), type=Summary)
        self._board.end(end_of(verdict, summary))

    def _metrics(self) -> str:
        """For Prometheus; nothing before the run begins."""
        from loadgen.reports.flow import Flow
        from loadgen.reports.prometheus import live

        progress = None if self._board is None else self._board.progress
        if progress is None:
            return ""
        flow = self._flow = self._flow or Flow(paced=self._paced)
        return live(progress, flow.so_far())

    def _steer(self, request: Request) -> Answer:
        steersman = self._steersman
        if steersman is None:
            raise UsageError("the run cannot be steered now")
        return steersman.answer(request)


def access_for(host: str, port: int, token: str) -> Access:
    """The rules for a dashboard that listens there; `token`: the user's own.  Raises UsageError."""
    from loadgen.dashboard.access import LOOPBACK_NAMES, SHORTEST_TOKEN, Access

    if token and len(token) < SHORTEST_TOKEN:
        raise UsageError(f"{TOKEN_VARIABLE}: {SHORTEST_TOKEN} characters at least")
    if host in LOOPBACK_NAMES:
        return Access(LOOPBACK_NAMES, port, token=token)
    names = {*LOOPBACK_NAMES, host.lower(), socket.gethostname().lower()}
    return Access(
        frozenset(names), port, addresses=host in ANYWHERE, token=token or secrets.token_urlsafe(24)
    )


def url(host: str, access: Access) -> str:
    """What to open in a browser; the token stands where no server and no log gets to see it."""
    name = socket.gethostname() if host in ANYWHERE else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{access.port}/" + (f"#token={access.token}" if access.token else "")
