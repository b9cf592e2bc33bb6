"""A run, as its ledger tells it: also while it goes on."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from ledger_values import START_US, a_report, a_result, a_run, a_sample, a_step, a_worker

from loadgen.errors import RunNotFound
from loadgen.lag import Lag
from loadgen.ledger.migrations import MIGRATIONS
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import FILE, Ledger
from loadgen.plan import Chunk
from loadgen.record import (
    Acknowledged,
    Armed,
    Attempts,
    Decided,
    Ended,
    Entry,
    Event,
    Fate,
    Granted,
    ItemCounts,
    LeaseEnded,
    LeaseRecord,
    ManifestRow,
    Mark,
    OpenItem,
    Past,
    Phases,
    Reopened,
    Settled,
    Verified,
    WorkerFacts,
    WorkerLoad,
)
from loadgen.sample import NO_ITEM, Outcome


@dataclass(frozen=True)
class Book:
    """A ledger that is written, and its reader."""

    ledger: Ledger
    reader: Reader

    def keep(self, *entries: Entry) -> None:
        self.ledger.submit(entries).wait()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.begin(a_run(), [a_step(0, "create", 10), a_step(1, "run", 5)])
    with Reader(tmp_path) as reader:
        yield Book(ledger, reader)
    ledger.close()


def again(book: Book) -> Reader:
    return Reader(book.reader.directory)


def test_a_run_that_has_begun(book: Book) -> None:
    """Facts and steps; nothing else yet."""
    reader = book.reader
    assert reader.facts() == a_run()
    assert reader.steps() == [a_step(0, "create", 10), a_step(1, "run", 5)]
    assert reader.phases() == Phases(started_us=START_US)
    assert reader.counts(a_step(0)) == ItemCounts(planned=10)
    assert (reader.verified(), reader.incomplete()) == (None, None)
    assert (reader.attempts(), reader.last_lease(), reader.sessions()) == (Attempts(), 0, {})
    assert (reader.past(0), reader.workers(), reader.events()) == (Past([], [], [], []), [], [])
    assert (list(reader.attempt_rows()), list(reader.call_tables()), list(reader.manifest())) == ([], [], [])


def test_phases_verdict_and_end(book: Book) -> None:
    """As they were marked last."""
    verified = Verified(3, 2, 1, 0, {"missing": ["é"]})
    book.keep(Mark("first_lease_us", 5), Mark("first_lease_us", 7), verified, Ended(9, "no worker is left"))
    with again(book) as reader:
        assert reader.phases() == Phases(started_us=START_US, first_lease_us=7, ended_us=9)
        assert reader.verified() == verified
        assert reader.incomplete() == "no worker is left"
    book.keep(Ended(10, ""))
    with again(book) as reader:
        assert reader.incomplete() is None


def test_a_resumed_run_replaces_its_facts(book: Book) -> None:
    """The target may have moved; the steps are the same."""
    book.keep(a_report([a_result(0)]))
    book.ledger.begin(a_run(target="http://127.0.0.1:2"), [a_step(0, "create", 10), a_step(1, "run", 5)])
    with again(book) as reader:
        assert reader.facts().target == "http://127.0.0.1:2"
        assert len(reader.steps()) == 2
        assert reader.counts(a_step()).done == 1


def test_counts_are_by_step_and_outcome(book: Book) -> None:
    """Every outcome has its own number."""
    outcomes = [
        Outcome.DONE,
        Outcome.FAILED,
        Outcome.UNKNOWN,
        Outcome.DROPPED,
        Outcome.CANCELLED,
        Outcome.DONE,
    ]
    book.keep(a_report([a_result(item, 1, outcome) for item, outcome in enumerate(outcomes)]))
    book.keep(a_report([a_result(0)], step=1))
    assert book.reader.counts(a_step(0, items=10)) == ItemCounts(10, 2, 1, 1, 1, 1)
    assert book.reader.counts(a_step(1, items=5)) == ItemCounts(5, 1)
    assert book.reader.past(0).settled == [
        Settled(item, outcome, 1, has_result=True) for item, outcome in enumerate(outcomes)
    ]
    assert book.reader.past(1).settled == [Settled(0, Outcome.DONE, 1, has_result=True)]


def test_attempts(book: Book) -> None:
    """Tries before a retry, tries of items that are not settled, and a second execution."""
    failed = Outcome.FAILED
    book.keep(a_report([a_result(3, 1, failed, retry_ms=0), a_result(3, 2, failed, retry_ms=0)]))
    book.keep(a_report([a_result(4, 1, failed, retry_ms=0), a_result(4, 2)]))
    book.keep(a_report([a_result(4, 3)], counted=()))
    book.keep(a_report([a_result(3, 5, failed, retry_ms=0)], step=1))
    assert book.reader.attempts() == Attempts(total=6, retries=4, duplicate_executions=1)


def test_attempt_rows(book: Book) -> None:
    """In the order of the reports, times relative to the start, errors as text."""
    book.keep(a_report([a_result(2, 1, Outcome.FAILED), a_result(1)]))
    rows = list(book.reader.attempt_rows())
    assert [(row.item, row.outcome, row.error, row.counted) for row in rows] == [
        (2, Outcome.FAILED, "it failed", True),
        (1, Outcome.DONE, "", True),
    ]
    assert [(row.start_us, row.duration_us, row.worker) for row in rows] == [(2000, 500, 1), (1000, 500, 1)]


def test_sample_rows(book: Book) -> None:
    """Every phase of every call, also of those outside any item."""
    sample = a_sample(
        NO_ITEM, connect_us=1, tls_us=2, first_byte_us=3, bytes_out=4, bytes_in=5, error="HTTP 503"
    )
    book.keep(a_report([], [sample, a_sample(7)]))
    (table,) = book.reader.call_tables()
    assert (table.step, table.worker) == (0, 1)
    assert list(table.samples.rows()) == [sample, a_sample(7)]


def test_an_error_that_is_spelled_like_a_label(book: Book) -> None:
    """Texts are kept once, whatever they are for."""
    book.keep(a_report([], [a_sample(1, error="create POST /things")]))
    (table,) = book.reader.call_tables()
    (sample,) = table.samples.rows()
    assert sample.label == sample.error == "create POST /things"


def test_workers_sessions_and_leases(book: Book) -> None:
    """What a resumed run must know of those who took part."""
    a_chunk = Chunk(0, 0, 5)
    book.keep(
        a_worker(1, "s1"),
        a_worker(2, "s2"),
        Acknowledged(2, 8),
        Granted(41, 1, a_chunk, verifying=False),
        Granted(40, 2, a_chunk, verifying=False),
    )
    book.keep(a_report([a_result(0), a_result(1)], [a_sample(0)]))
    lag = Lag((5, 7), (0, 1), 10, 20, 30)
    book.keep(WorkerLoad(1, cpu_s=1.5, alive_s=3.0, lost=True, lag=lag), a_worker(1, "s1"))
    assert book.reader.sessions() == {"s1": (1, 0), "s2": (2, 8)}
    assert book.reader.last_lease() == 41
    assert book.reader.workers() == [
        WorkerFacts(1, "host-1", "host", 4, 2, 1, 1.5, 3.0, lost=True, lag=lag),
        WorkerFacts(2, "host-2", "host", 4, 0, 0, 0.0, 0.0, lost=False),
    ]


def test_events_in_order(book: Book) -> None:
    """Of arrival, as clocks may differ."""
    events = [Event(5, "worker joined", "w"), Event(3, "lease expired", "é")]
    book.keep(*events)
    assert book.reader.events() == events


def test_the_manifest(book: Book) -> None:
    """By step and item, with what was returned; what returned nothing has no row."""
    book.keep(a_report([a_result(0, value=[1])], step=1))
    book.keep(
        a_report([a_result(5, value={"id": 5}), a_result(2, value="é"), a_result(3), a_result(4, value=0)])
    )
    assert list(book.reader.manifest()) == [
        ManifestRow("create", 2, "é"),
        ManifestRow("create", 4, 0),
        ManifestRow("create", 5, {"id": 5}),
        ManifestRow("run", 0, [1]),
    ]


def test_reading_while_writing(book: Book) -> None:
    """A reader sees whole commits, and is never in the writer's way."""
    ended = threading.Event()

    def write() -> None:
        for item in range(0, 600, 3):
            book.keep(a_report([a_result(item + n) for n in range(3)], [a_sample(item)]))
        ended.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    seen = [0]
    while not ended.is_set():
        with again(book) as reader:
            done = reader.counts(a_step()).done
        assert done % 3 == 0
        assert done >= seen[-1]
        seen.append(done)
    writer.join()
    assert book.reader.counts(a_step()).done == 600


def test_a_long_read_sees_one_moment(book: Book) -> None:
    """Rows that are written meanwhile do not mix in."""
    book.keep(a_report([a_result(item) for item in range(50)]))
    rows = book.reader.attempt_rows()
    first = next(rows)
    book.keep(a_report([a_result(item) for item in range(50, 100)]))
    assert len([first, *rows]) == 50


def test_a_reader_cannot_write(book: Book) -> None:
    """The connection is read-only."""
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        book.reader._connection.execute("DELETE FROM event")


def wrong(directory: Path) -> str:
    with pytest.raises(RunNotFound) as caught:
        Reader(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_run_there(tmp_path: Path) -> None:
    """A missing folder, an empty one."""
    assert wrong(tmp_path / "gone") == f"{tmp_path / 'gone'}: no run there (it has no {FILE})"
    assert "no run there" in wrong(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no database at all, but of some length" * 100])
def test_a_file_that_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    """Empty, or something else."""
    (tmp_path / FILE).write_bytes(content)
    assert wrong(tmp_path).startswith(f"{tmp_path / FILE}: cannot read the ledger: ")


def test_a_run_that_never_began(tmp_path: Path) -> None:
    """The master died before it noted what it was about to do."""
    Ledger(tmp_path, started_us=START_US).close()
    assert wrong(tmp_path) == f"{tmp_path}: the run ended before it began"


@pytest.mark.parametrize("tables", ["", "CREATE TABLE meta (key TEXT, value TEXT);"])
def test_a_ledger_of_a_newer_loadgen(tmp_path: Path, tables: str) -> None:
    """It is told as such, whatever its tables are by then."""
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(f"CREATE TABLE other (x); {tables} PRAGMA user_version = {len(MIGRATIONS) + 1};")
    connection.close()
    assert wrong(tmp_path) == f"{tmp_path / FILE}: written by a newer loadgen (schema {len(MIGRATIONS) + 1})"


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    """`?`, `#` and `%` mean something in SQLite's URIs."""
    directory = tmp_path / "a?b#c%20 é"
    directory.mkdir()
    ledger = Ledger(directory, started_us=START_US)
    ledger.begin(a_run(), [a_step()])
    ledger.close()
    with Reader(directory) as reader:
        assert reader.facts() == a_run()


def test_what_an_earlier_session_left_of_a_step(book: Book) -> None:
    """Outcomes with and without a result, open items, and leases that are not over with their marks."""
    book.keep(
        a_worker(1, "s1"), Granted(7, 1, Chunk(0, 0, 6), verifying=False), Armed(7, 0, 2), Armed(7, 4, 5)
    )
    book.keep(Granted(8, 1, Chunk(0, lanes=((9,),)), verifying=True))
    book.keep(Granted(9, 1, Chunk(0, 6, 8), verifying=False), Armed(9, 0, 1), LeaseEnded(9))
    book.keep(Granted(10, 1, Chunk(1, 0, 3), verifying=False))
    book.keep(a_report([a_result(1, 2)]))
    lost = Fate(2, Outcome.UNKNOWN, 1, "lost")
    book.keep(Decided(0, (lost,), (OpenItem(2, 1, 1, in_doubt=True), OpenItem(9, 3, 2, in_doubt=True))))
    past = book.reader.past(0)
    assert past.settled == [
        Settled(1, Outcome.DONE, 2, has_result=True),
        Settled(2, Outcome.UNKNOWN, 1, has_result=False),
    ]
    assert past.opened == [OpenItem(9, 3, 2, in_doubt=True)]
    assert past.leases == [
        LeaseRecord(7, "s1", Chunk(0, 0, 6), verifying=False, armed=((0, 2), (4, 5))),
        LeaseRecord(8, "s1", Chunk(0, lanes=((9,),)), verifying=True, armed=()),
    ]


def test_a_result_ends_a_doubt_and_nothing_ends_a_result(book: Book) -> None:
    """What was decided without a result gives way to one; a second result does not count."""
    book.keep(Decided(0, (Fate(3, Outcome.UNKNOWN, 1, "lost"),), ()))
    assert book.reader.counts(a_step()).unknown == 1
    report = a_report([a_result(3, value="late")])
    book.keep(dataclasses.replace(report, resolved={3}))
    book.keep(
        Decided(0, (Fate(3, Outcome.UNKNOWN, 1, "lost"),), ()), a_report([a_result(3, 2, Outcome.FAILED)])
    )
    assert book.reader.counts(a_step()) == ItemCounts(10, done=1)
    assert [row.value for row in book.reader.manifest()] == ["late"]
    assert book.reader.attempts().in_doubt_resolved == 1


def test_an_item_that_was_looked_for_and_found_is_a_doubt_resolved(book: Book) -> None:
    book.keep(Decided(0, (Fate(3, Outcome.DONE, 1, "found on the target"),), ()), a_report([a_result(4)]))
    attempts = book.reader.attempts()
    assert (attempts.total, attempts.in_doubt_resolved) == (1, 1)
    assert book.reader.counts(a_step()).done == 2


def test_items_are_opened_again_by_their_outcome(book: Book) -> None:
    """As the next attempt; those of other outcomes stay."""
    book.keep(a_report([a_result(0), a_result(1, 3, Outcome.FAILED)]))
    book.keep(Decided(0, (Fate(2, Outcome.UNKNOWN, 1, "lost"),), ()))
    book.keep(Reopened((Outcome.FAILED, Outcome.UNKNOWN)))
    past = book.reader.past(0)
    assert [done.item for done in past.settled] == [0]
    assert past.opened == [OpenItem(1, 4, 0, in_doubt=False), OpenItem(2, 2, 0, in_doubt=False)]


def test_which_items_share_a_key(book: Book) -> None:
    """By a number for each key, in the order in which they come; a step without keys has none."""
    book.keep()
    book.ledger.begin_step(0, ["b", "a", ("b", 1), "a", "b"])
    book.keep()
    assert list(book.reader.lanes(a_step())) == [0, 1, 2, 1, 0]
    assert list(book.reader.lanes(a_step(index=1))) == []
    book.ledger.begin_step(0, ["a"] * 70_000)
    book.keep()
    assert list(book.reader.lanes(a_step())) == [0] * 70_000


def test_a_ledger_of_before_keys_were_kept(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE)
    facts = msgspec.json.encode(a_run()).decode()
    connection.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
    connection.execute("INSERT INTO meta VALUES ('facts', ?)", (facts,))
    connection.commit()
    connection.close()
    with Reader(tmp_path) as reader:
        assert list(reader.lanes(a_step())) == []
