"""A pool's child process: threads that execute items, one thread for all that describe their calls."""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from loadgen import options as _options
from loadgen.clock import SystemClock
from loadgen.errors import LoadgenError
from loadgen.execution import cores
from loadgen.execution.agenda import Agenda
from loadgen.execution.errands import errands
from loadgen.execution.gate import Gate
from loadgen.execution.multi import Lane, Multi
from loadgen.execution.outbox import Outbox
from loadgen.execution.pipe import (
    Broken,
    Cancel,
    Drop,
    Fence,
    Limit,
    Ready,
    Setup,
    Stop,
    Task,
    Tasks,
    ToChild,
    Width,
)
from loadgen.execution.runner import LeaseLost, Runner, TopUpRunner, explain, open_session
from loadgen.execution.session import Session
from loadgen.execution.valve import Valve
from loadgen.loader import Loaded, load
from loadgen.sample import Outcome, Result, Sample
from loadgen.scenario import Step

SWITCH_S = 0.0005
"""How long a thread may keep the others waiting: with Python's 5 ms, one that computes delays all calls."""
YOUNG = 2000
"""New objects after which Python looks for cycles among them; its own 700 are a few dozen calls."""
Tasks_: TypeAlias = "queue.SimpleQueue[Task | None] | Agenda"

LOOKERS = 16
"""Threads where all steps describe their calls: to look for items in doubt."""


class Child:
    """The threads of one process."""

    def __init__(self, setup: Setup, loaded: Loaded, outbox: Outbox) -> None:
        self._setup = setup
        self._loaded = loaded
        self._outbox = outbox
        self._options: Any = _options.unpack(loaded.scenario.options, setup.options)
        self._steps = [loaded.step(name) for name in setup.steps]
        self._gate = Gate(SystemClock())
        self._valve = Valve(outbox.keep)
        self._tasks = self._queue()
        self._engine: Engine | None = None
        if loaded.scenario.transport == "curl" and any(step.described for step in self._steps):
            multi = Multi(self._options, self._session(), SystemClock(), setup.threads, setup.run)
            doors = (self._gate, self._valve)
            self._engine = Engine(multi, self._queue(), self._steps, doors, outbox, self._drop)
        scripted = self._engine is None or any(not step.described for step in self._steps)
        self._most = None if scripted else LOOKERS
        self._threads: list[threading.Thread] = []
        self._width = self._wanted = 0
        self._allowed: int | None = None
        self._widened = threading.Condition()

    def start(self) -> None:
        """Start the threads."""
        self.widen(self._setup.threads)
        if self._engine is not None:
            self._engine.start()

    def widen(self, threads: int) -> None:
        """Let so many threads work: those that are missing are started, those above that number rest."""
        if self._engine is not None:
            self._engine.multi.slots = threads if self._allowed is None else min(threads, self._allowed)
        self._wanted = threads
        with self._widened:
            self._width = threads if self._most is None else min(threads, self._most)
            self._widened.notify_all()
        while len(self._threads) < self._width:
            number = len(self._threads)
            thread = threading.Thread(target=self._work, args=(number,), name=f"slot-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def limit(self, message: Limit) -> None:
        """Let so many items be in flight at most."""
        self._allowed = message.most
        self._valve.limit(message.serial, message.most)
        if message.most == 0:
            for agenda in self._agendas:
                for task in agenda.clear():
                    self._outbox.skip(task, task.items)
        self.widen(self._wanted)

    def obey(self, message: ToChild) -> bool:
        """Do what the parent says; False: it says stop."""
        if isinstance(message, Stop):
            return False
        self._heed(message)
        for agenda in self._agendas:
            agenda.tidy()
        if self._engine is not None:
            self._engine.multi.wake()
        return True

    def _heed(self, message: ToChild) -> None:
        match message:
            case Tasks():
                for task in message.tasks:
                    self._assign(task)
            case Cancel():
                self._gate.cancel(message.leases)
            case Drop():
                self._gate.drop(message.leases)
            case Fence():
                self._gate.fence(message.until_us)
            case Width():
                self.widen(message.threads)
            case Limit():
                self.limit(message)

    def finish(self) -> None:
        """Let the threads end what they were given, as long as it may be started."""
        self._gate.close()
        with self._widened:  # those that rest are to end, too
            self._width = len(self._threads)
            self._widened.notify_all()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        if self._engine is not None:
            self._engine.finish()

    @property
    def _agendas(self) -> list[Agenda]:
        """Of an open model."""
        queues = [self._tasks] if self._engine is None else [self._tasks, self._engine.tasks]
        return [tasks for tasks in queues if isinstance(tasks, Agenda)]

    def _queue(self) -> Tasks_:
        """Where tasks wait for a slot."""
        max_lag_us = self._setup.max_lag_us
        if max_lag_us is None:
            return queue.SimpleQueue()
        return Agenda(SystemClock(), max_lag_us, self._drop)

    def _drop(self, task: Task) -> None:
        """No slot was free in time."""
        clock, (due_us,) = SystemClock(), task.due_us
        late_us, waited_s = clock.monotonic_us() - due_us, (self._setup.max_lag_us or 0) / 1_000_000
        error = f"no slot was free within {waited_s:g} s of its time"
        attempt = task.attempts[0] if task.attempts else 1
        dropped = Result(
            task.items[0], attempt, Outcome.DROPPED, clock.now_us() - late_us, 0, error, lag_us=late_us
        )
        self._outbox.add(task, dropped, ())

    def _assign(self, task: Task) -> None:
        if task.due_us and self._allowed == 0:  # for others: here it would wait for its time
            self._outbox.skip(task, task.items)
            return
        looked_for = task.verifying or self._setup.top_up
        if self._engine is not None and self._steps[task.step].described and not looked_for:
            self._engine.tasks.put(task)
        else:
            self._tasks.put(task)

    def _session(self) -> Session:
        setup, scenario = self._setup, self._loaded.scenario
        connections = setup.connections
        return open_session(scenario, setup.target, self._options, SystemClock(), connections=connections)

    def _work(self, number: int) -> None:
        with self._session() as session:
            slot = Slot(self._steps, session, (self._gate, self._valve), self._outbox, self._drop)
            kind = TopUpRunner if self._setup.top_up else Runner
            runner = kind(self._options, session, SystemClock(), self._setup.run)
            while (task := self._next_task(number)) is not None:
                slot.do(task, runner)

    def _next_task(self, number: int) -> Task | None:
        while True:
            if number >= self._width:
                with self._widened:
                    self._widened.wait_for(lambda: number < self._width)
            task = self._tasks.get()
            if task is None or number < self._width:
                return task
            self._tasks.put(task)  # while it waited for it, it was told to rest: it is for another


class Slot:
    """One thread's way through its tasks."""

    def __init__(
        self,
        steps: Sequence[Step[..., Any]],
        session: Session,
        doors: tuple[Gate, Valve],
        outbox: Outbox,
        drop: Callable[[Task], None],
    ) -> None:
        """`drop` is called with a task that was not let in in time."""
        self._drop = drop
        self._steps = steps
        self._session = session
        self._gate, self._valve = doors
        self._outbox = outbox
        self._lease = 0
        session.before_call = self._go_on

    def do(self, task: Task, runner: Runner) -> None:
        """Do a task's items one after the other, as long as the lease is ours."""
        self._lease = task.lease
        for position, errand in enumerate(errands(task, self._steps[task.step])):
            entered = self._enter(task)
            if entered is None:
                self._drop(task)
                return
            if not entered:
                self._outbox.skip(task, task.items[position:])
                return
            try:
                if task.verifying:
                    self._outbox.add_verdict(task, errand.item, *runner.look(errand))
                else:
                    self._outbox.add(task, *runner.run(errand))
            except LeaseLost:
                samples, _ = self._session.finish()
                self._outbox.skip(task, task.items[position:], samples)
                return
            finally:
                self._valve.leave()

    def _enter(self, task: Task) -> bool | None:
        """Wait for both doors to be open; at the gate nobody stands in the valve.  None: not in time."""
        # Most are let in at once: only who is not gets ready to wait.
        while entered := self._valve.enter() or self._valve.await_entry(self._patience_s(task)):
            opens = self._gate.may_start(task.lease)
            if opens:
                return True
            self._valve.leave()
            if opens is False or not self._gate.await_start(task.lease):
                return False
        return entered

    @staticmethod
    def _patience_s(task: Task) -> float | None:
        """How long it waits for a slot still; None: for ever."""
        if not task.until_us:
            return None
        return max(task.until_us - SystemClock().monotonic_us(), 0) / 1_000_000

    def _go_on(self) -> None:
        if not self._gate.await_call(self._lease):
            raise LeaseLost


class Engine:
    """The thread of the described steps: its tasks are the lanes of `Multi`."""

    def __init__(
        self,
        multi: Multi,
        tasks: Tasks_,
        steps: Sequence[Step[..., Any]],
        doors: tuple[Gate, Valve],
        outbox: Outbox,
        drop: Callable[[Task], None],
    ) -> None:
        """`drop` is called with a task that was not let in in time."""
        self._drop = drop
        self._late: Task | None = None
        self.multi = multi
        self.tasks = tasks
        self._gate, self._valve = doors
        self.may_go_on = self._gate.may_go_on
        self._steps = steps
        self._outbox = outbox
        self._finishing = False
        self._thread = threading.Thread(target=self._run, name="multi", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self) -> None:
        """Let it end what it was given."""
        self.tasks.put(None)
        self.multi.wake()
        self._thread.join()

    def take(self) -> Lane | None:
        """For `Multi`: the next task that is there."""
        try:
            return self._lane(self.tasks.get_nowait())
        except queue.Empty:
            return None

    def wait_s(self) -> float | None:
        """For `Multi`: when to ask for the next task."""
        return self.tasks.wait_s() if isinstance(self.tasks, Agenda) else None

    def wait(self) -> Lane | None:
        """For `Multi`: the next task that comes."""
        return None if self._finishing else self._lane(self.tasks.get())

    def may_start(self, lane: Lane) -> bool | None:
        """For `Multi`: whether both doors are open; who stands at the valve for too long is dropped."""
        opens = self._gate.may_start(lane.lease)
        if not opens:
            return opens
        entered, task = self._valve.enter(), lane.token
        if entered is None and 0 < task.until_us < SystemClock().monotonic_us():
            self._late = task
            return False
        return entered

    def done(self, lane: Lane, result: Result, samples: list[Sample]) -> None:
        """For `Multi`: an item has ended."""
        self._valve.leave()
        self._outbox.add(lane.token, result, samples)

    def lost(self, lane: Lane, position: int, samples: list[Sample] | None) -> None:
        """For `Multi`: the rest of a lane is not to be done."""
        task: Task = lane.token
        if task is self._late:
            self._drop(task)
            return
        if samples is not None:
            self._valve.leave()
        self._outbox.skip(task, task.items[position:], samples or ())

    def _lane(self, task: Task | None) -> Lane | None:
        if task is None:
            self._finishing = True
            return None
        return Lane(task.lease, errands(task, self._steps[task.step]), task)

    def _run(self) -> None:
        try:
            self.multi.run(self)
        finally:
            self.multi.close()


def _quieten() -> None:
    """Let Python's own housekeeping disturb the timing as little as it can."""
    gc.collect()
    gc.freeze()  # what the scenario and the libraries made stays: no need to walk through it again and again
    gc.set_threshold(YOUNG)
    sys.setswitchinterval(SWITCH_S)


def _die(failure: threading.ExceptHookArgs) -> None:
    """A thread of ours broke: what it had would wait for ever, but a process that dies is replaced."""
    sys.__excepthook__(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(70)


def main(connection: Connection) -> None:
    """Run a child until the parent says stop, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    decoder = msgspec.msgpack.Decoder(ToChild)
    outbox = Outbox(connection)
    try:
        setup = decoder.decode(connection.recv_bytes())
        if not isinstance(setup, Setup):
            return
        try:
            child = Child(setup, load(Path(setup.scenario)), outbox)
        except LoadgenError as error:
            outbox.send(Broken(explain(error)))
            return
        outbox.send(Ready())
    except (EOFError, OSError):
        return
    _quieten()
    threading.excepthook = _die
    core = cores.claim()
    flusher = threading.Thread(target=outbox.run, name="flush", daemon=True)
    flusher.start()
    outbox.probe.start()
    child.start()
    try:
        while child.obey(decoder.decode(connection.recv_bytes())):
            pass
    except (EOFError, OSError):
        os._exit(1)  # the parent died: what is in flight can be told to nobody
    child.finish()
    outbox.close()
    flusher.join()
    if core is not None:
        core.close()
    connection.close()
