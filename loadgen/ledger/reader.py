"""Reads a ledger, also while its run goes on: a read-only connection, and every SELECT of the house."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from loadgen.columns import Plain, Samples, unpack
from loadgen.errors import ExitCode, RunNotFound
from loadgen.lag import NO_LAG, Lag
from loadgen.ledger.migrations import MIGRATIONS
from loadgen.ledger.store import FILE, WarmedUp
from loadgen.pace.pacing import parse_duration
from loadgen.plan import Chunk
from loadgen.record import (
    AttemptRow,
    Attempts,
    CallTable,
    Event,
    ItemCounts,
    LeaseRecord,
    ManifestRow,
    OpenItem,
    Past,
    Phases,
    RunFacts,
    Settled,
    StepFacts,
    TryTable,
    Verified,
    WorkerFacts,
)
from loadgen.sample import Outcome


class Reader:
    """A run, as its ledger tells it."""

    def __init__(self, directory: Path) -> None:
        """Open the ledger in `directory`.  Raises RunNotFound when there is none that can be read."""
        self.directory = directory
        path = directory / FILE
        if not path.is_file():
            raise RunNotFound(f"{directory}: no run there (it has no {FILE})")
        try:
            self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise RunNotFound(f"{path}: cannot read the ledger: {error}") from error
        try:
            self._meta = self._read_meta(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_meta(self, path: Path) -> dict[str, str]:
        try:
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise RunNotFound(f"{path}: written by a newer loadgen (schema {version})")
            meta = dict(self._connection.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as error:
            raise RunNotFound(f"{path}: cannot read the ledger: {error}") from error
        if "facts" not in meta:
            raise RunNotFound(f"{self.directory}: the run ended before it began")
        return meta

    def facts(self) -> RunFacts:
        """What was known before the first item."""
        return msgspec.json.decode(self._meta["facts"], type=RunFacts)

    def phases(self) -> Phases:
        """When its parts began and ended."""
        fields = Phases.__struct_fields__
        return Phases(**{name: int(self._meta[name]) for name in fields if name in self._meta})

    def verified(self) -> Verified | None:
        """The verdict of the scenario's verify; None when it was not reached."""
        text = self._meta.get("verified")
        return msgspec.json.decode(text, type=Verified) if text else None

    def setup(self) -> Any:
        """What the scenario's setup returned; None when it returned nothing, or was not reached."""
        text = self._meta.get("setup")
        return None if text is None else msgspec.json.decode(text)

    def incomplete(self) -> str | None:
        """Why the run stopped early; None when it did not, or goes on."""
        return self._meta.get("incomplete") or None

    def stopped_with(self) -> int:
        """The exit code of a run that stopped early."""
        return int(self._meta.get("stopped_with", ExitCode.INCOMPLETE))

    def warmed_up(self) -> Mapping[int, Lag]:
        """What the probe of each worker had read when the warm-up was over; empty when it was not."""
        text = self._meta.get("warmed_up")
        return msgspec.json.decode(text, type=WarmedUp).lags if text else {}

    def steps(self) -> list[StepFacts]:
        """In the order in which they run."""
        return [
            StepFacts(*row) for row in self._all("SELECT id, name, items, delivery FROM step ORDER BY id")
        ]

    def counts(self, step: StepFacts) -> ItemCounts:
        """How the step's items ended so far."""
        rows = self._all("SELECT outcome, count(*) FROM item WHERE step = ? GROUP BY outcome", step.index)
        by_outcome = {Outcome(outcome).name.lower(): count for outcome, count in rows}
        ((done,),) = self._all("SELECT coalesce(sum(stop - start), 0) FROM done WHERE step = ?", step.index)
        counts = ItemCounts(**by_outcome).plus(ItemCounts(done=done))
        planned = counts.settled + len(self.doubtful(step.index)) if step.items < 0 else step.items
        return replace(counts, planned=planned)

    def time_left(self) -> bool:
        """Whether a run that goes on for a time has not had all of it."""
        length = self.facts().settings.get("course") or {}
        if not any(step.items < 0 for step in self.steps()):
            return False
        return (self.phases().timed_us or 0) < round(parse_duration(length["duration"]) * 1_000_000)

    def is_open(self, step: StepFacts) -> bool:
        """Whether there is something left to do of a step."""
        return bool(self.counts(step).pending) or (step.items < 0 and self.time_left())

    def attempts(self) -> Attempts:
        """How often items were tried."""
        ((resolved,),) = self._all(  # by a late result, or because it was looked for and found
            "SELECT coalesce(sum(resolved OR (outcome = ? AND NOT has_result)), 0) FROM item", Outcome.DONE
        )
        ((total, retries, duplicates, found),) = self._all(
            """SELECT coalesce(sum(NOT found), 0), coalesce(sum(attempt > 1 AND NOT found), 0),
                      coalesce(sum(final AND NOT counted), 0), coalesce(sum(found AND counted), 0)
               FROM attempt WHERE outcome != ?""",
            Outcome.DROPPED,
        )
        ((plain,),) = self._all("SELECT coalesce(sum(items), 0) FROM plain")
        return Attempts(total + plain, retries, duplicates, resolved, found)

    def lanes(self, step: StepFacts) -> array[int]:
        """By item: the number of its key; empty for a step without keys, and in a ledger of before them."""
        if not self._all("SELECT 1 FROM sqlite_master WHERE name = 'lane'"):
            return array("I")
        parts = self._connection.execute(
            "SELECT lanes FROM lane WHERE step = ? ORDER BY start", (step.index,)
        )
        return array("I", chain.from_iterable(unpack(part) for (part,) in parts))

    def fates(self) -> list[tuple[str, int]]:
        """Why items failed or are unknown of which no result came, and how many for that reason."""
        return self._all(
            """SELECT text.value, count(*) FROM item JOIN text ON text.id = item.reason
               WHERE NOT has_result AND outcome IN (?, ?) GROUP BY text.value ORDER BY text.value""",
            Outcome.FAILED,
            Outcome.UNKNOWN,
        )

    def try_tables(self) -> Iterator[TryTable]:
        """Tries that were alike: those of items that were done at the first attempt and returned nothing."""
        rows = self._connection.execute("SELECT step, worker, columns FROM plain ORDER BY rowid")
        decode = msgspec.msgpack.Decoder(Plain).decode
        return (TryTable(step, worker, decode(columns)) for step, worker, columns in rows)

    def attempt_rows(self) -> Iterator[AttemptRow]:
        """Every try at every item, each by itself."""
        started_us = self.phases().started_us
        for table in self.try_tables():
            for result in table.plain.results():
                start_us = result.start_us - started_us
                yield AttemptRow(
                    table.step,
                    result.item,
                    1,
                    table.worker,
                    Outcome.DONE,
                    start_us,
                    result.duration_us,
                    "",
                    counted=True,
                    lag_us=result.lag_us,
                )
        yield from self.other_attempts()

    def other_attempts(self) -> Iterator[AttemptRow]:
        """The tries that are in no table, in the order in which they were reported."""
        rows = self._connection.execute(
            """SELECT step, item, attempt, worker, outcome, start_us, duration_us,
                      coalesce(text.value, ''), counted, found, lag_us
               FROM attempt LEFT JOIN text ON text.id = attempt.error ORDER BY attempt.rowid"""
        )
        return (
            AttemptRow(a, b, c, d, Outcome(e), f, g, h, counted=bool(i), found=bool(j), lag_us=k)
            for a, b, c, d, e, f, g, h, i, j, k in rows
        )

    def call_tables(self) -> Iterator[CallTable]:
        """Every call, in the order in which they were reported."""
        rows = self._connection.execute("SELECT step, worker, columns FROM sample ORDER BY rowid")
        decode = msgspec.msgpack.Decoder(Samples).decode
        return (CallTable(step, worker, decode(columns)) for step, worker, columns in rows)

    def workers(self) -> list[WorkerFacts]:
        """Who took part."""
        rows = self._all(
            """SELECT id, name, host, slots,
                      (SELECT count(*) FROM attempt WHERE attempt.worker = worker.id AND counted)
                      + (SELECT coalesce(sum(items), 0) FROM plain WHERE plain.worker = worker.id),
                      (SELECT coalesce(sum(calls), 0) FROM sample WHERE sample.worker = worker.id),
                      cpu_s, alive_s, lost, lag, clock_error_us
               FROM worker ORDER BY id"""
        )
        return [
            WorkerFacts(a, b, c, d, e, f, g, h, bool(lost), _lag(lag), error_us)
            for a, b, c, d, e, f, g, h, lost, lag, error_us in rows
        ]

    def events(self, known: int = 0) -> list[Event]:
        """What happened, in order; without the first `known`."""
        query = "SELECT at_us, kind, text FROM event WHERE rowid > ? ORDER BY rowid"  # none is ever deleted
        return [Event(*row) for row in self._all(query, known)]

    def manifest(self) -> Iterator[ManifestRow]:
        """What the steps returned, by step and item."""
        rows = self._connection.execute(
            """SELECT step.name, item, value FROM item JOIN step ON step.id = item.step
               WHERE value IS NOT NULL ORDER BY step, item"""
        )
        return (ManifestRow(name, item, msgspec.msgpack.decode(value)) for name, item, value in rows)

    def values(self, step: int) -> Iterator[Any]:
        """What a step returned for its items that are done, in their order."""
        rows = self._connection.execute(
            "SELECT value FROM item WHERE step = ? AND value IS NOT NULL ORDER BY item", (step,)
        )
        return (msgspec.msgpack.decode(value) for (value,) in rows)

    def ended(self, step: int, outcome: Outcome) -> Iterator[int]:
        """Items of a step with this outcome, in their order; not for DONE, which has ranges of its own."""
        rows = self._connection.execute(
            "SELECT item FROM item WHERE step = ? AND outcome = ? ORDER BY item", (step, outcome)
        )
        return (item for (item,) in rows)

    def found_again(self, step: int) -> Iterator[int]:
        """Items of a step that were tried, then looked for and found: nobody knows what they returned."""
        rows = self._connection.execute(
            """SELECT item FROM item WHERE step = ?1 AND outcome = ?2 AND NOT has_result
               UNION SELECT item FROM attempt WHERE step = ?1 AND found AND counted AND attempt > 1
               ORDER BY item""",
            (step, Outcome.DONE),
        )
        return (item for (item,) in rows)

    def doubtful(self, step: int) -> list[int]:
        """Items of a step that may have been sent and have no outcome: what was in flight at the end.

        Also what waited for another try.
        """
        opened = self._all("SELECT item FROM open_item WHERE step = ? AND (in_doubt OR attempt > 1)", step)
        armed = {item for (item,) in opened}
        for lease in self._open_leases(step):
            items = list(lease.chunk)
            for start, stop in lease.armed:
                armed.update(items[start:stop])
        return sorted(item for item in armed if not self._is_settled(step, item))

    def _is_settled(self, step: int, item: int) -> bool:
        return bool(
            self._all(
                """SELECT 1 FROM item WHERE step = ?1 AND item = ?2
                   UNION ALL SELECT 1 FROM done WHERE step = ?1 AND start <= ?2 AND stop > ?2""",
                step,
                item,
            )
        )

    def past(self, step: int) -> Past:
        """What is known of a step's items and of the leases that are not over."""
        settled = self._all(
            "SELECT item, outcome, attempt, has_result FROM item WHERE step = ? ORDER BY item", step
        )
        opened = self._all(
            """SELECT item, attempt, lost, in_doubt FROM open_item
               WHERE step = ?1 AND item NOT IN (SELECT item FROM item WHERE step = ?1) ORDER BY item""",
            step,
        )  # those of them that are in `done` are passed over by whoever loads both
        return Past(
            settled=[
                Settled(item, Outcome(outcome), attempt, bool(r)) for item, outcome, attempt, r in settled
            ],
            opened=[OpenItem(item, attempt, lost, bool(doubt)) for item, attempt, lost, doubt in opened],
            leases=self._open_leases(step),
            done=self._all("SELECT start, stop FROM done WHERE step = ? ORDER BY start", step),
        )

    def _open_leases(self, step: int) -> list[LeaseRecord]:
        rows = self._all(
            """SELECT lease.id, session, chunk, verifying FROM lease JOIN worker ON worker.id = lease.worker
               WHERE step = ? AND NOT ended ORDER BY lease.id""",
            step,
        )
        return [
            LeaseRecord(
                lease,
                session,
                msgspec.msgpack.decode(chunk, type=Chunk),
                bool(verifying),
                tuple(self._all("SELECT start, stop FROM arm WHERE lease = ? ORDER BY start", lease)),
            )
            for lease, session, chunk, verifying in rows
        ]

    def sessions(self) -> dict[str, tuple[int, int]]:
        """By worker session: the worker's number and the last report that was acknowledged."""
        return {
            session: (number, seq)
            for session, number, seq in self._all("SELECT session, id, seq FROM worker")
        }

    def last_lease(self) -> int:
        """The highest lease number; 0 when there is none."""
        ((number,),) = self._all("SELECT coalesce(max(id), 0) FROM lease")
        return int(number)

    def _all(self, sql: str, *parameters: Any) -> list[Any]:
        return self._connection.execute(sql, parameters).fetchall()


def _lag(packed: bytes | None) -> Lag:
    return NO_LAG if packed is None else msgspec.msgpack.decode(packed, type=Lag)
