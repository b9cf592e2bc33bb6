"""The ledger's one writer: a thread that owns the one read-write connection.

Whoever has something to keep submits it and gets a ticket; what is submitted while a commit runs shares
the next one.  WAL with synchronous=FULL: what a ticket confirmed survives a power loss.  One connection
only, because SQLite before 3.51.3 has a bug in resetting the WAL that needs two.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from loadgen.columns import pack
from loadgen.errors import LedgerFailed, RunDirectoryError
from loadgen.lag import Lag
from loadgen.ledger.migrations import migrate
from loadgen.ledger.texts import Texts
from loadgen.record import (
    Acknowledged,
    Armed,
    Decided,
    Ended,
    Entry,
    Event,
    Granted,
    Joined,
    LeaseEnded,
    Mark,
    Reopened,
    Reported,
    RunFacts,
    SetUp,
    StepFacts,
    Verified,
    WorkerLoad,
)
from loadgen.sample import NOTHING, Result

FILE = "run.db"

_PART = 1 << 16
"""Items whose keys are in one row."""
_COUNT = """
    INSERT INTO item VALUES (?, ?, ?, ?, 1, ?, NULL, ?)
    ON CONFLICT DO UPDATE SET outcome = excluded.outcome, attempt = excluded.attempt, has_result = 1,
        resolved = excluded.resolved, reason = NULL, value = excluded.value
    WHERE has_result = 0
"""
"""An item is counted once: a result replaces only what was decided without one."""


class Commit:
    """A ticket: what was submitted, on its way to the disk."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.error: LedgerFailed | None = None
        self.done = threading.Event()

    def wait(self) -> None:
        """Return when it is on disk, and all that was submitted before it.  Raises LedgerFailed."""
        self.done.wait()
        if self.error is not None:
            raise self.error


class Ledger:
    """Writes a run's ledger."""

    def __init__(self, directory: Path, *, started_us: int) -> None:
        """Open the ledger in `directory`; times of samples are kept relative to `started_us`."""
        self.path = directory / FILE
        self._started_us = started_us
        self._submitted: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._failed: LedgerFailed | None = None
        self._texts: Texts
        self._closed = False
        self._gate = threading.Lock()
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        error = self._opened.get()
        if error is not None:
            raise error

    @property
    def failed(self) -> LedgerFailed | None:
        """Why nothing can be written any more; None while all is well."""
        return self._failed

    def begin(self, facts: RunFacts, steps: Sequence[StepFacts]) -> None:
        """Note what is known before the first item; a resumed run replaces it."""
        self.submit([_Begin(facts, tuple(steps)), Mark("started_us", self._started_us)]).wait()

    def begin_step(self, step: int, keys: Sequence[Hashable]) -> None:
        """Note which items of a step have the same key, by a number for each key; not the keys themselves."""
        numbers: dict[Hashable, int] = {}
        lanes = [numbers.setdefault(key, len(numbers)) for key in keys]
        parts = tuple((start, pack(lanes[start : start + _PART])) for start in range(0, len(lanes), _PART))
        self.submit([_Lanes(step, parts)])

    def submit(self, entries: Sequence[Entry | WarmedUp | _Begin | _Lanes]) -> Commit:
        """Have the entries committed, in order of submission; refused once the ledger is closed."""
        ticket = Commit(entries)  # type: ignore[arg-type]
        with self._gate:  # nothing comes behind the end, where nobody would answer it
            if not self._closed:
                self._submitted.put(ticket)
                return ticket
        ticket.error = self._failed or LedgerFailed(f"{self.path}: the ledger is closed")
        ticket.done.set()
        return ticket

    def close(self) -> None:
        """Commit what was submitted, fold the WAL into the file, and stop."""
        with self._gate:
            self._closed = True
            self._submitted.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = _open(self.path)
            self._texts = Texts(connection)
        except RunDirectoryError as error:
            self._opened.put(error)
            return
        except Exception as error:
            self._opened.put(RunDirectoryError(f"{self.path}: cannot write the ledger: {error}"))
            return
        self._opened.put(None)
        try:
            for tickets in self._rounds():
                self._write(connection, tickets)
        finally:
            _fold(connection)

    def _rounds(self) -> Iterator[list[Commit]]:
        """All that waits, again and again, until close()."""
        open_ = True
        while open_:
            ticket = self._submitted.get()
            tickets = []
            while True:
                if ticket is None:
                    open_ = False
                    break
                tickets.append(ticket)
                try:
                    ticket = self._submitted.get_nowait()
                except queue.Empty:
                    break
            if tickets:
                yield tickets

    def _write(self, connection: sqlite3.Connection, tickets: list[Commit]) -> None:
        if self._failed is None and any(ticket.entries for ticket in tickets):
            try:
                connection.execute("BEGIN IMMEDIATE")
                for ticket in tickets:
                    for entry in ticket.entries:
                        self._keep(connection, entry)
                connection.execute("COMMIT")
            except Exception as error:  # also a number or a text that SQLite does not take: somebody waits
                self._failed = LedgerFailed(f"{self.path}: cannot write the ledger: {error}")
                with contextlib.suppress(sqlite3.Error):
                    connection.rollback()
        for ticket in tickets:
            ticket.error = self._failed
            ticket.done.set()

    def _keep(self, connection: sqlite3.Connection, entry: Entry | WarmedUp | _Begin | _Lanes) -> None:
        if isinstance(entry, Reported):
            self._keep_reported(connection, entry)
        elif isinstance(entry, Decided):
            self._keep_decided(connection, entry)
        else:
            _KEEPERS[type(entry)](connection, entry)

    def _keep_reported(self, connection: sqlite3.Connection, entry: Reported) -> None:
        if entry.plain:
            connection.executemany(
                "INSERT INTO done VALUES (?, ?, ?)", [(entry.step, *span) for span in entry.plain.spans]
            )
            connection.execute(
                "INSERT INTO plain VALUES (?, ?, ?, ?)",
                (entry.step, entry.worker, len(entry.plain), msgspec.msgpack.encode(entry.plain)),
            )
        if entry.counted:
            connection.executemany(_COUNT, _items(entry))
        connection.executemany(
            "INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._attempt(entry, result) for result in entry.results],
        )
        if entry.samples:
            connection.execute(
                "INSERT INTO sample VALUES (?, ?, ?, ?)",
                (entry.step, entry.worker, len(entry.samples), msgspec.msgpack.encode(entry.samples)),
            )

    def _keep_decided(self, connection: sqlite3.Connection, entry: Decided) -> None:
        connection.executemany(
            "INSERT OR IGNORE INTO item VALUES (?, ?, ?, ?, 0, 0, ?, NULL)",
            [
                (entry.step, fate.item, int(fate.outcome), fate.attempt, self._texts.number(fate.reason))
                for fate in entry.fates
            ],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO open_item VALUES (?, ?, ?, ?, ?)",
            [(entry.step, item.item, item.attempt, item.lost, item.in_doubt) for item in entry.opened],
        )

    def _attempt(self, entry: Reported, result: Result) -> tuple[Any, ...]:
        return (
            entry.step,
            result.item,
            result.attempt,
            entry.worker,
            int(result.outcome),
            result.start_us - self._started_us,
            result.duration_us,
            self._texts.number(result.error) if result.error else None,
            result.retry_ms is None,
            (result.item, result.attempt) in entry.counted,
            result.found,
            result.lag_us,
        )


class WarmedUp(msgspec.Struct, frozen=True):
    """The warm-up is over: what was read until then is no matter of the times that are measured."""

    lags: dict[int, Lag]
    """By worker."""


class _Begin(msgspec.Struct, frozen=True):
    facts: RunFacts
    steps: tuple[StepFacts, ...]


class _Lanes(msgspec.Struct, frozen=True):
    step: int
    parts: tuple[tuple[int, bytes], ...]
    """First item, column."""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _fold(connection: sqlite3.Connection) -> None:
    """Close, leaving one file: nothing of a finished run hides in a WAL that a copy would forget."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connection):
        connection.execute("PRAGMA journal_mode = DELETE")


def _items(entry: Reported) -> list[tuple[Any, ...]]:
    return [
        (
            entry.step,
            result.item,
            int(result.outcome),
            result.attempt,
            result.item in entry.resolved,
            _value(result),
        )
        for result in entry.results
        if (result.item, result.attempt) in entry.counted
    ]


def _value(result: Result) -> bytes | None:
    raw = bytes(result.value)
    return None if raw == bytes(NOTHING) else raw


def _keep_begin(connection: sqlite3.Connection, entry: _Begin) -> None:
    _set(connection, "facts", msgspec.json.encode(entry.facts).decode())
    _set(connection, "incomplete", "")
    connection.execute("DELETE FROM meta WHERE key IN ('verified', 'verified_us')")
    connection.executemany(
        "INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?)",
        [(step.index, step.name, step.items, step.delivery) for step in entry.steps],
    )


def _keep_lanes(connection: sqlite3.Connection, entry: _Lanes) -> None:
    rows = [(entry.step, *part) for part in entry.parts]
    connection.executemany("INSERT OR REPLACE INTO lane VALUES (?, ?, ?)", rows)


def _keep_joined(connection: sqlite3.Connection, entry: Joined) -> None:
    connection.execute(
        "INSERT INTO worker (id, session, name, host, slots) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET slots = excluded.slots",
        (entry.worker, entry.session, entry.name, entry.host, entry.slots),
    )


def _keep_load(connection: sqlite3.Connection, entry: WorkerLoad) -> None:
    connection.execute(
        "UPDATE worker SET cpu_s = ?, alive_s = ?, lost = ?, lag = ?, clock_error_us = ? WHERE id = ?",
        (
            entry.cpu_s,
            entry.alive_s,
            entry.lost,
            msgspec.msgpack.encode(entry.lag),
            entry.clock_error_us,
            entry.worker,
        ),
    )


def _keep_granted(connection: sqlite3.Connection, entry: Granted) -> None:
    connection.execute(
        "INSERT INTO lease (id, worker, step, chunk, verifying) VALUES (?, ?, ?, ?, ?)",
        (entry.lease, entry.worker, entry.chunk.step, msgspec.msgpack.encode(entry.chunk), entry.verifying),
    )


def _keep_armed(connection: sqlite3.Connection, entry: Armed) -> None:
    connection.execute("INSERT OR IGNORE INTO arm VALUES (?, ?, ?)", (entry.lease, entry.start, entry.stop))


def _keep_lease_ended(connection: sqlite3.Connection, entry: LeaseEnded) -> None:
    connection.execute("UPDATE lease SET ended = 1 WHERE id = ?", (entry.lease,))
    connection.execute("DELETE FROM arm WHERE lease = ?", (entry.lease,))


def _keep_acknowledged(connection: sqlite3.Connection, entry: Acknowledged) -> None:
    connection.execute("UPDATE worker SET seq = ? WHERE id = ?", (entry.seq, entry.worker))


def _keep_reopened(connection: sqlite3.Connection, entry: Reopened) -> None:
    chosen = f"outcome IN ({', '.join(str(int(outcome)) for outcome in entry.outcomes)})"
    connection.execute(
        "INSERT OR REPLACE INTO open_item "  # noqa: S608 - numbers of an enum
        f"SELECT step, item, attempt + 1, 0, 0 FROM item WHERE {chosen}"
    )
    connection.execute(f"DELETE FROM item WHERE {chosen}")  # noqa: S608 - the same


def _keep_warmed_up(connection: sqlite3.Connection, entry: WarmedUp) -> None:
    _set(connection, "warmed_up", msgspec.json.encode(entry).decode())


def _keep_event(connection: sqlite3.Connection, entry: Event) -> None:
    connection.execute("INSERT INTO event VALUES (?, ?, ?)", (entry.at_us, entry.kind, entry.text))


def _keep_mark(connection: sqlite3.Connection, entry: Mark) -> None:
    _set(connection, entry.phase, str(entry.at_us))


def _keep_setup(connection: sqlite3.Connection, entry: SetUp) -> None:
    _set(connection, "setup", entry.value.decode())


def _keep_verified(connection: sqlite3.Connection, entry: Verified) -> None:
    _set(connection, "verified", msgspec.json.encode(entry).decode())


def _keep_ended(connection: sqlite3.Connection, entry: Ended) -> None:
    _set(connection, "ended_us", str(entry.at_us))
    _set(connection, "incomplete", entry.reason)
    _set(connection, "stopped_with", str(entry.exit_code))


def _set(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


_KEEPERS: dict[type, Callable[[sqlite3.Connection, Any], object]] = {
    _Begin: _keep_begin,
    _Lanes: _keep_lanes,
    Joined: _keep_joined,
    WorkerLoad: _keep_load,
    Granted: _keep_granted,
    Armed: _keep_armed,
    LeaseEnded: _keep_lease_ended,
    Reopened: _keep_reopened,
    Acknowledged: _keep_acknowledged,
    Event: _keep_event,
    WarmedUp: _keep_warmed_up,
    Mark: _keep_mark,
    SetUp: _keep_setup,
    Ended: _keep_ended,
    Verified: _keep_verified,
}
