"""The ledger's writer: what a ticket confirmed is on disk, and no failure leaves anybody waiting."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_values import START_US, a_report, a_result, a_run, a_sample, a_step

from loadgen.errors import LedgerFailed, RunDirectoryError
from loadgen.ledger import store
from loadgen.ledger.migrations import MIGRATIONS
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import FILE, Ledger
from loadgen.plan import Chunk
from loadgen.record import Acknowledged, Event, Granted, Mark, Verified
from loadgen.sample import Outcome

HERE = Path(__file__).parent


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path, started_us=START_US)
    yield ledger
    ledger.close()


def waited(ticket: store.Commit) -> store.Commit:
    """Fails instead of waiting for ever."""
    assert ticket.done.wait(10), "nobody answers this ticket"
    return ticket


def failure(ticket: store.Commit) -> LedgerFailed:
    with pytest.raises(LedgerFailed) as caught:
        waited(ticket).wait()
    return caught.value


def is_one_file(directory: Path) -> bool:
    """Whether a copy of the ledger is all that a reader needs, also where it may not write a WAL."""
    (file,) = directory.iterdir()
    return file.name == FILE and file.read_bytes()[18:20] == b"\1\1"  # the header: 2 is WAL


def test_what_is_confirmed_can_be_read(ledger: Ledger, tmp_path: Path) -> None:
    """By another connection, while the writer goes on."""
    ledger.begin(a_run(), [a_step()])
    for item in range(5):
        ledger.submit([a_report([a_result(item)])]).wait()
        with Reader(tmp_path) as reader:
            assert reader.counts(a_step()).done == item + 1


def test_submissions_are_kept_in_order(ledger: Ledger, tmp_path: Path) -> None:
    """Those of one thread, however they share commits."""
    ledger.begin(a_run(), [a_step()])
    tickets = [ledger.submit([Event(number, "kind", str(number))]) for number in range(300)]
    waited(tickets[-1]).wait()
    assert all(ticket.done.is_set() for ticket in tickets), "a later ticket confirms the earlier ones"
    with Reader(tmp_path) as reader:
        assert [event.at_us for event in reader.events()] == list(range(300))


def test_many_threads_submit_and_nothing_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    """Each waits for its own tickets."""
    ledger.begin(a_run(), [a_step(items=400)])

    def work(first: int) -> None:
        for item in range(first, first + 50):
            ledger.submit([a_report([a_result(item)], [a_sample(item)])]).wait()

    threads = [threading.Thread(target=work, args=(50 * number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Reader(tmp_path) as reader:
        assert [done.item for done in reader.past(0).settled] == list(range(400))
        assert sum(len(table.samples) for table in reader.call_tables()) == 400


def test_nothing_submitted_is_confirmed_too(ledger: Ledger) -> None:
    """A repeated report waits with an empty ticket for what was submitted before it."""
    waited(ledger.submit([])).wait()


def test_an_item_is_counted_once(ledger: Ledger, tmp_path: Path) -> None:
    """The first outcome stays; every attempt is kept."""
    ledger.begin(a_run(), [a_step()])
    ledger.submit([a_report([a_result(1, value="first")])]).wait()
    ledger.submit([a_report([a_result(1, 2, Outcome.FAILED)])]).wait()
    ledger.submit([a_report([a_result(1, 3)], counted=())]).wait()
    with Reader(tmp_path) as reader:
        assert [(done.item, done.outcome) for done in reader.past(0).settled] == [(1, Outcome.DONE)]
        assert [row.value for row in reader.manifest()] == ["first"]
        assert [(row.attempt, row.counted) for row in reader.attempt_rows()] == [
            (1, True),
            (2, True),
            (3, False),
        ]


def test_a_closed_ledger_is_one_file(tmp_path: Path) -> None:
    """Nothing hides in a WAL that a copy would forget; what was submitted last is there."""
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.begin(a_run(), [a_step()])
    ticket = ledger.submit([Event(1, "last", "word")])
    ledger.close()
    waited(ticket).wait()
    assert is_one_file(tmp_path)
    with Reader(tmp_path) as reader:
        assert reader.events() == [Event(1, "last", "word")]


def test_a_ledger_is_closed_under_a_reader(tmp_path: Path) -> None:
    """It loses nothing; the WAL stays for the reader."""
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.begin(a_run(), [a_step()])
    with Reader(tmp_path) as reader:
        rows = reader.attempt_rows()
        ledger.submit([a_report([a_result(0)])]).wait()
        ledger.close()
        assert reader.counts(a_step()).done == 1
        assert len(list(rows)) <= 1
    with Reader(tmp_path) as reader:
        assert reader.counts(a_step()).done == 1


def test_what_comes_after_the_end_is_refused(tmp_path: Path) -> None:
    """A worker's late report must not wait for ever, nor be confirmed."""
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.close()
    assert "closed" in str(failure(ledger.submit([Event(1, "too", "late")])))
    ledger.close()


def test_submitting_while_it_is_closed(tmp_path: Path) -> None:
    """Every ticket is answered: confirmed and there, or refused and not there."""
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.begin(a_run(), [a_step()])
    tickets: dict[int, store.Commit] = {}
    started = threading.Event()

    def work() -> None:
        for number in range(2000):
            tickets[number] = ledger.submit([Event(number, "kind", "")])
            started.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    started.wait(5)
    ledger.close()
    thread.join()
    confirmed = [number for number, ticket in tickets.items() if waited(ticket).error is None]
    with Reader(tmp_path) as reader:
        assert [event.at_us for event in reader.events()] == confirmed


@pytest.mark.parametrize(
    "poison",
    [
        a_report([a_result(2**63)]),
        Event(1, "kind", "\ud800"),
        Verified(1, 1, 0, 0, {"missing": ["\ud800"]}),
        "no entry at all",
    ],
)
def test_what_cannot_be_kept_is_told_to_all_who_wait(ledger: Ledger, poison: Any) -> None:
    """LedgerFailed, for this ticket and for all after it: never a thread that died in silence."""
    ledger.begin(a_run(), [a_step()])
    assert str(ledger.path) in str(failure(ledger.submit([poison])))
    assert failure(ledger.submit([Event(1, "kind", "text")])) is ledger.failed


def test_what_fails_leaves_nothing_behind(ledger: Ledger, tmp_path: Path) -> None:
    """A commit is whole or not at all."""
    ledger.begin(a_run(), [a_step()])
    ledger.submit([Event(1, "good", "")]).wait()
    failure(ledger.submit([Event(2, "half", ""), a_report([a_result(2**63)])]))
    ledger.close()
    assert is_one_file(tmp_path)
    with Reader(tmp_path) as reader:
        assert [event.kind for event in reader.events()] == ["good"]


def test_facts_that_cannot_be_kept(ledger: Ledger) -> None:
    """The caller is told, who is still at the start."""
    with pytest.raises(LedgerFailed):
        ledger.begin(a_run(options={"odd": object()}), [a_step()])


def test_a_new_ledger_is_of_the_newest_schema_and_safe(ledger: Ledger, tmp_path: Path) -> None:
    """WAL; numbered as the migrations are."""
    ledger.begin(a_run(), [])
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_ledger_is_opened_again(tmp_path: Path) -> None:
    """A resumed run goes on in the same file; labels are not kept twice."""
    for item in range(2):
        ledger = Ledger(tmp_path, started_us=START_US)
        ledger.begin(a_run(), [a_step()])
        ledger.submit([a_report([a_result(item, 1, Outcome.FAILED)], [a_sample(item)])]).wait()
        ledger.close()
    with Reader(tmp_path) as reader:
        assert [table.samples.texts("label") for table in reader.call_tables()] == [
            ["create POST /things"]
        ] * 2
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("SELECT count(*) FROM text").fetchone() == (1,)
    connection.close()


def test_a_ledger_of_a_newer_loadgen_is_left_alone(tmp_path: Path) -> None:
    """RunDirectoryError with what to do; not a byte is changed."""
    Ledger(tmp_path, started_us=START_US).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(RunDirectoryError, match=rf"newer loadgen \(schema {len(MIGRATIONS) + 1}\): install"):
        Ledger(tmp_path, started_us=START_US)
    tables = sqlite3.connect(f"file:{tmp_path / FILE}?mode=ro", uri=True)
    assert tables.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    tables.close()
    assert len((tmp_path / FILE).read_bytes()) == len(before)


@pytest.mark.parametrize("content", [b"this is no database, and long enough to be sure of it" * 40, None])
def test_a_ledger_that_cannot_be_opened(tmp_path: Path, content: bytes | None) -> None:
    """RunDirectoryError, with the path; the constructor does not wait for ever."""
    if content is None:
        (tmp_path / FILE).mkdir()
    else:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RunDirectoryError, match=FILE):
        Ledger(tmp_path, started_us=START_US)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """The same."""
    with pytest.raises(RunDirectoryError, match="cannot write the ledger"):
        Ledger(tmp_path / "gone", started_us=START_US)


# Real processes

WRITER = """
import sys
from pathlib import Path
from ledger_values import *
from loadgen.ledger.store import Ledger
from loadgen.plan import Chunk
from loadgen.record import Acknowledged
ledger = Ledger(Path(sys.argv[1]), started_us=START_US)
ledger.begin(a_run(), [a_step(items=10**6)])
ledger.submit([a_worker()]).wait()
item = 0
while True:
    results = [a_result(item + n, value=item + n) for n in range(10)]
    samples = [a_sample(item + n) for n in range(10)]
    ledger.submit([a_report(results, samples), Acknowledged(1, item // 10 + 1)]).wait()
    item += 10
    print(item, flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize("reports", [1, 7, 40])
def test_what_a_ticket_confirmed_survives_kill_9(tmp_path: Path, reports: int) -> None:
    """The process dies right after it was told; results, samples and the acknowledged number are there."""
    with start(WRITER, tmp_path) as process:
        assert process.stdout is not None
        confirmed = 0
        for _ in range(reports):
            confirmed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    with Reader(tmp_path) as reader:
        settled = [done.item for done in reader.past(0).settled]
        ((_, seq),) = reader.sessions().values()
        assert settled == list(range(len(settled))), "whole reports, in order"
        assert len(settled) >= confirmed
        assert seq * 10 == len(settled) == sum(len(table.samples) for table in reader.call_tables()), (
            "a commit is whole"
        )
        assert [row.value for row in reader.manifest()] == settled
    ledger = Ledger(tmp_path, started_us=START_US)
    ledger.submit([Acknowledged(1, seq + 1)]).wait()
    ledger.close()
    with Reader(tmp_path) as reader:
        assert reader.sessions() == {"s1": (1, seq + 1)}


FULL = """
import resource, sys
from pathlib import Path
from ledger_values import *
from loadgen.errors import LedgerFailed
from loadgen.ledger.store import Ledger
ledger = Ledger(Path(sys.argv[1]), started_us=START_US)
ledger.begin(a_run(), [a_step(items=10**6)])
ledger.submit([a_worker()]).wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
item = 0
try:
    while True:
        ledger.submit([a_report([a_result(item + n, value="x" * 50) for n in range(50)])]).wait()
        item += 50
except LedgerFailed as error:
    print(item, error.exit_code, error, flush=True)
    try:
        ledger.submit([a_report([a_result(item)])]).wait()
    except LedgerFailed as again:
        print(again is error)
ledger.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE")
def test_a_full_disk_is_told_and_keeps_what_was_confirmed(tmp_path: Path) -> None:
    """LedgerFailed (the run can be resumed); all that was confirmed before can be read, and no more."""
    with start(FULL, tmp_path) as process:
        out, errors = process.communicate(timeout=60)
    first, again = out.splitlines()
    confirmed, code, message = first.split(" ", 2)
    assert (process.returncode, errors) == (0, "")
    assert (code, again) == ("4", "True")
    assert message.startswith(f"{tmp_path / FILE}: cannot write the ledger: ")
    assert int(confirmed) > 0
    with Reader(tmp_path) as reader:
        assert [done.item for done in reader.past(0).settled] == list(range(int(confirmed)))
        assert len(list(reader.attempt_rows())) == int(confirmed)
    ledger = Ledger(tmp_path, started_us=START_US)  # with room again, the run goes on
    ledger.submit([Granted(1, 1, Chunk(0, 0, 5), verifying=False), Mark("settled_us", 5)]).wait()
    ledger.close()
