"""Brings a run's parts together: directory, ledger, queue, workers, sandbox, screen, signals.

`run` and `resume` differ only in where the run directory comes from.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from loadgen.cli import signals
from loadgen.cli.bridge import Bridge
from loadgen.cli.dash import Dash
from loadgen.cli.finish import finish
from loadgen.cli.lasting import lasting_console
from loadgen.cli.order import Order, identity_file
from loadgen.cli.outlets import Outlets
from loadgen.cli.prepare import Prepared, keep_scenario
from loadgen.cli.resumed import restored, still
from loadgen.cli.stage import Session, Stage
from loadgen.cli.steersman import Steersman
from loadgen.clock import SystemClock
from loadgen.control import Door, socket_path
from loadgen.errors import Incomplete, LedgerFailed, LoadgenError, Stopped, TargetDown
from loadgen.launch.local import LocalPlan, LocalWorker
from loadgen.launch.sandbox import SandboxProcess, access_log
from loadgen.ledger import directory as directories
from loadgen.ledger.lock import RunLock
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.master import Master
from loadgen.queues import token as tokens
from loadgen.queues.identity import Identity
from loadgen.queues.members import Restored
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.server import QueueManager
from loadgen.record import Ended, Event, Mark, Reopened, RunFacts
from loadgen.reports.advice import named
from loadgen.reports.sessions import RESUMED
from loadgen.sample import Outcome
from loadgen.view import QueueView

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WORKER_PATIENCE_S = 30.0
"""How long a local worker looks for a master that is gone."""
SHOW_CURSOR = b"\x1b[?25h\n"
"""The live lines hide the cursor, and end without a line break."""
LEAVE_S = 5.0
"""How long workers get to leave once the queue is drained."""


class Conductor:
    """Conducts one run; a context manager, because it holds a port, a lock, processes and signals."""

    def __init__(self, order: Order, identity: Identity, directory: Path | None = None) -> None:
        """`directory`: that of the run to be resumed; None: a new one will be made."""
        self._order = order
        self._directory = directory
        self._identity = identity
        self._clock = SystemClock()
        self._console = lasting_console(stderr=order.takes_stdout)
        self._stack = contextlib.ExitStack()
        self._dash = Dash(order.dashboard, self._clock, self._say)
        self._outlets = Outlets(order.events, order.influx, self._console, self._clock, order.otel)
        self._manager = QueueManager((order.host, order.port), identity)
        self._local: LocalWorker | None = None
        self._sandbox: SandboxProcess | None = None
        self._master: Master | None = None
        self._bridge: Bridge | None = None
        self._signalled = False

    def __enter__(self) -> Self:
        """Take the run and the port: the cheapest things to fail, and in this order they tell why."""
        if self._directory is not None:
            self._lock(self._directory)
        try:
            self._token = self._manager.bind()
            self._stack.callback(self._manager.close)
            self._stack.enter_context(self._dash)
        except LoadgenError:
            self._stack.close()
            raise
        self._token_file = tokens.token_file(os.environ, tokens.split_address(self._token.address, 0)[1])
        self._stack.enter_context(signals.handled(self._on_signal))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, prepared: Prepared, out: Path) -> int:
        """Run from the start; returns the exit code."""
        started_us = self._clock.now_us()
        directory = directories.make(out, directories.new_id(prepared.loaded.name, started_us))
        self._directory = directory
        self._lock(directory)
        self._identity.save(identity_file(directory.name))
        keep_scenario(directory, prepared.loaded)
        if prepared.sandbox is None:
            return self._begin(prepared, prepared.target, directory, started_us)
        name, options = prepared.sandbox.name, prepared.sandbox.options
        sandbox = self._sandbox = SandboxProcess.start(name, directory, *access_log(directory), *options)
        try:
            self._say(f"sandbox: {name.capitalize()} at {sandbox.url}, started for this run")
            return self._begin(prepared, sandbox.url, directory, started_us)
        except BaseException:  # it broke, there is nothing to resume: nobody will come back to the sandbox
            sandbox.stop()
            raise

    def _begin(self, prepared: Prepared, target: str, directory: Path, started_us: int) -> int:
        facts = prepared.facts(directory.name, target, self._settings(prepared))
        return self._conduct(prepared, facts, directory, started_us)

    def resume(
        self, prepared: Prepared, directory: Path, facts: RunFacts, *, reopen: Sequence[Outcome] = ()
    ) -> int:
        """Finish what an earlier session left open; returns the exit code.

        `reopen`: settled items with these outcomes are done again, as new attempts.
        """
        self._sandbox = SandboxProcess.find(directory) if facts.sandbox else None
        if facts.sandbox and self._sandbox is None:
            raise TargetDown(
                f"the {facts.sandbox} sandbox of run {facts.id} is gone with all it held: start a new run"
            )
        self._identity.save(identity_file(facts.id))
        with Reader(directory) as reader:
            started_us = reader.phases().started_us
        now = prepared.facts(facts.id, prepared.target, self._settings(prepared))
        if reopen:
            with contextlib.closing(Ledger(directory, started_us=started_us)) as ledger:
                ledger.submit([Reopened(tuple(reopen))]).wait()
        return self._conduct(prepared, still(now, facts), directory, started_us, restored(directory))

    def _settings(self, prepared: Prepared) -> dict[str, Any]:
        return {**self._order.settings(prepared), "listen": self._token.address}

    def _conduct(
        self,
        prepared: Prepared,
        facts: RunFacts,
        directory: Path,
        started_us: int,
        restored: Restored | None = None,
    ) -> int:
        self._stack.enter_context(self._outlets).started(facts, prepared.steps, resumed=restored is not None)
        ledger = Ledger(directory, started_us=started_us)
        try:
            ledger.begin(facts, prepared.steps)
            if restored is not None:
                ledger.submit([Event(self._clock.now_us(), RESUMED, "the run goes on")])
            stopped = self._attempt(prepared, facts, directory, ledger, restored)
            reason, code = ("", 0) if stopped is None else (str(stopped), int(stopped.exit_code))
            with contextlib.suppress(LedgerFailed):  # then that is the reason, and the report tells it
                ledger.submit([Ended(self._clock.now_us(), reason, code)]).wait()
        finally:
            ledger.close()
        verdict = finish(directory, self._console, stopped, self._order)
        self._dash.ended(verdict, directory)
        self._outlets.ended(verdict, directory)
        if not verdict.resumable:  # else a resume needs both
            if self._sandbox is not None:
                self._sandbox.stop()
            identity_file(facts.id).unlink(missing_ok=True)
        return verdict.exit_code

    def _attempt(
        self, prepared: Prepared, facts: RunFacts, directory: Path, ledger: Ledger, restored: Restored | None
    ) -> Incomplete | None:
        """Run to the end or to the reason why not."""
        session = Session(prepared, facts, directory, ledger, restored)
        try:
            with contextlib.ExitStack() as stack:
                self._perform(session, stack)
        except Incomplete as error:
            return error
        return None

    def _perform(self, session: Session, stack: contextlib.ExitStack) -> None:
        order = self._order
        stage = Stage(session, order, self._outlets, self._clock)
        self._master, queue_ = stage.master, stage.queue
        queue_.listen(self._dash.also(self._outlets.also(stage.hear)))
        self._open_doors(queue_, stack)
        self._open_control(session.directory, stage.steersman, stack)
        watching = self._dash.watching(session, stage.pulse, stage.steersman, stage.gates)
        shows = stack.enter_context(watching)
        bridge = stack.enter_context(Bridge(self._console, stage, session, order, self._clock))
        self._bridge = bridge
        stage.shown += [
            bridge.show,
            shows,
            lambda step, progress, view: self._outlets.look(step, view, progress),
        ]
        self._attended(lambda: self._prepare(session), lambda: stage.tick(None, queue_.view()))
        bridge.listen()  # before that, a scenario might ask for something
        self._start_workers(session, stack, stage)
        stage.master.await_workers(order.wait_for_workers, lambda _, view: stage.tick(None, view))
        try:
            stage.master.run(session.past, stage.tick)
        except LedgerFailed:
            if self._local is not None:  # it leaves by itself, with what it did in its spool
                self._local.wait(LEAVE_S)
            raise
        except Incomplete:
            self._await_departure(queue_)
            raise
        finally:
            self._note_phases(queue_.view(), session.ledger)
        stage.pulse.happened("all items are settled: verifying")
        last = session.prepared.steps[-1].index
        self._attended(stage.master.verify, lambda: stage.tick(last, queue_.view()))
        self._await_departure(queue_)

    def _prepare(self, session: Session) -> None:
        """Log in; set up, unless an earlier session of the run came to the end of it."""
        with Reader(session.directory) as reader:
            prepared = reader.phases().prepared_us is not None
        assert self._master is not None
        set_up = self._master.prepare(setup=not prepared)
        if not prepared:
            session.ledger.submit([set_up, Mark("prepared_us", self._clock.now_us())]).wait()

    def _open_doors(self, queue_: MemoryQueue, stack: contextlib.ExitStack) -> None:
        """Let workers in, and leave the token where workers of this machine find it."""
        port = tokens.split_address(self._token.address, 0)[1]
        path = self._token_file
        tokens.write(path, self._token)
        stack.callback(path.unlink, missing_ok=True)
        self._manager.serve(queue_)
        if self._order.host not in LOOPBACK:
            self._say(f"workers elsewhere: copy {path} there, then run")
            self._say(f"  loadgen worker --server THIS_HOST:{port} --token-file {path.name}")
        elif self._order.processes == 0:
            self._say(f"waiting for workers: loadgen worker --server localhost:{port}")

    def _open_control(self, directory: Path, steersman: Steersman, stack: contextlib.ExitStack) -> None:
        """Let the user's other terminals steer the run; it goes on without where that is not possible."""
        try:
            stack.enter_context(Door(socket_path(directory, os.environ), steersman.answer))
        except OSError as error:
            self._say(f"this run cannot be steered from another terminal: {error}")

    def _start_workers(self, session: Session, stack: contextlib.ExitStack, stage: Stage) -> None:
        if self._order.processes == 0:
            return
        host, port = tokens.split_address(self._token.address, 0)
        plan = LocalPlan(
            server=f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}",  # noqa: S104 - compared, not bound
            processes=self._order.processes,
            concurrency=self._order.concurrency,
            log=session.directory / "worker.log",
            patience_s=WORKER_PATIENCE_S,
        )

        self._local = LocalWorker(
            plan,
            str(self._token),
            os.environ,
            lambda text: stage.tell(Event(self._clock.now_us(), "local worker", text)),
        )
        stack.callback(self._local.kill)
        stage.tend = self._local.tend

    def _await_departure(self, queue_: MemoryQueue) -> None:
        """Drained workers leave by themselves; give them a moment to say so."""
        deadline_us = self._clock.monotonic_us() + round(LEAVE_S * 1_000_000)
        view = queue_.view()
        while any(worker.here for worker in view.workers) and self._clock.monotonic_us() < deadline_us:
            view = queue_.wait(0.05)
        if self._local is not None:
            self._local.wait(LEAVE_S)

    def _note_phases(self, view: QueueView, ledger: Ledger) -> None:
        if view.first_lease_us is None or view.last_lease_us is None:
            return  # a resume with nothing left to do keeps the times of the session that did it
        marks = [
            Mark("settled_us", self._clock.now_us()),
            Mark("first_lease_us", view.first_lease_us),
            Mark("draining_us", view.last_lease_us),
        ]
        with contextlib.suppress(LoadgenError):
            ledger.submit(marks).wait()

    def _attended(self, work: Callable[[], object], tick: Callable[[], None]) -> None:
        """Do something slow in a thread, so that signals and the screen are still served meanwhile."""
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def body() -> None:
            try:
                work()
            except BaseException as error:
                ended.put(error)
            else:
                ended.put(None)

        threading.Thread(target=body, name="attended", daemon=True).start()
        while True:
            try:
                error = ended.get(timeout=0.1)
            except queue.Empty:
                tick()
                if self._master is not None and self._master.stopped is not None:
                    raise self._master.stopped from None
            else:
                if error is not None:
                    raise error
                return

    def _lock(self, directory: Path) -> None:
        self._stack.callback(RunLock(directory).release)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """The first signal lets what is in flight settle; one after an order to stop leaves at once."""
        signals.leave_terminal(number)
        if self._master is None:
            raise SystemExit(128 + number)  # nothing is in flight yet; what was started ends on the way out
        again = self._signalled or self._master.was_asked_to_stop
        if again and signals.hangs_up(number):
            return
        if again:
            if self._local is not None:
                self._local.kill()
            self._token_file.unlink(missing_ok=True)
            if self._bridge is not None:
                self._bridge.release()
            if self._console.is_terminal:
                with contextlib.suppress(OSError):
                    os.write(self._console.file.fileno(), SHOW_CURSOR)
            if self._directory is not None:
                run = named(self._directory.name, self._directory)
                with contextlib.suppress(OSError):
                    os.write(2, f"left at once; to go on: loadgen resume {run}\n".encode())
            os._exit(128 + number)
        self._signalled = True
        self._master.stop(Stopped(f"stopped by {signal.Signals(number).name}"))

    def _say(self, text: str) -> None:
        if not self._order.quiet:
            self._console.print(text, soft_wrap=True, highlight=False, markup=False)
