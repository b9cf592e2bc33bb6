"""The tables, as numbered steps.  A step that was released never changes; new ones are added below.

Times are microseconds: `start_us` since the run's first start (small numbers are stored in few bytes),
`at_us` since 1970.  Most items are alike (done at the first attempt, nothing returned): they are settled
as ranges, in `done`, and their attempts lie as columns in `plain`.  Any other item has a row in `item`
once it is settled, and in `attempt` for every try.  Calls lie as columns in `sample`.  The columns are
those of `loadgen.columns`, in MessagePack, their times since 1970.  Histograms and timings come from
`plain`, `attempt` and `sample`, counts from `done` and `item`.  What is neither settled nor new is in
`open_item`; `lease` and `arm` tell what was handed out and may have been sent.  `lane` tells which items of
a step have the same key: a number for each key, in columns, from item `start` on.
"""

from __future__ import annotations

import sqlite3

from loadgen.errors import RunDirectoryError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE step (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, items INTEGER NOT NULL, delivery TEXT NOT NULL
    );
    CREATE TABLE worker (
        id INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE, name TEXT NOT NULL, host TEXT NOT NULL,
        slots INTEGER NOT NULL, seq INTEGER NOT NULL DEFAULT 0, cpu_s REAL NOT NULL DEFAULT 0,
        alive_s REAL NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0, lag BLOB,
        clock_error_us INTEGER
    );
    CREATE TABLE lease (
        id INTEGER PRIMARY KEY, worker INTEGER NOT NULL, step INTEGER NOT NULL, chunk BLOB NOT NULL,
        verifying INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE arm (
        lease INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
        PRIMARY KEY (lease, start, stop)
    ) WITHOUT ROWID;
    CREATE TABLE open_item (
        step INTEGER NOT NULL, item INTEGER NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL,
        in_doubt INTEGER NOT NULL, PRIMARY KEY (step, item)
    ) WITHOUT ROWID;
    CREATE TABLE text (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE);
    CREATE TABLE item (
        step INTEGER NOT NULL, item INTEGER NOT NULL, outcome INTEGER NOT NULL, attempt INTEGER NOT NULL,
        has_result INTEGER NOT NULL, resolved INTEGER NOT NULL, reason INTEGER, value BLOB,
        PRIMARY KEY (step, item)
    ) WITHOUT ROWID;
    CREATE TABLE done (
        step INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, PRIMARY KEY (step, start)
    ) WITHOUT ROWID;
    CREATE TABLE plain (
        step INTEGER NOT NULL, worker INTEGER NOT NULL, items INTEGER NOT NULL, columns BLOB NOT NULL
    );
    CREATE TABLE attempt (
        step INTEGER NOT NULL, item INTEGER NOT NULL, attempt INTEGER NOT NULL, worker INTEGER NOT NULL,
        outcome INTEGER NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,
        error INTEGER, final INTEGER NOT NULL, counted INTEGER NOT NULL, found INTEGER NOT NULL,
        lag_us INTEGER NOT NULL
    );
    CREATE TABLE sample (
        step INTEGER NOT NULL, worker INTEGER NOT NULL, calls INTEGER NOT NULL, columns BLOB NOT NULL
    );
    CREATE TABLE event (at_us INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL);
    """,
    """
    CREATE TABLE lane (
        step INTEGER NOT NULL, start INTEGER NOT NULL, lanes BLOB NOT NULL, PRIMARY KEY (step, start)
    ) WITHOUT ROWID;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version, one transaction a step.

    Raises RunDirectoryError when the file is of a newer loadgen.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise RunDirectoryError(
            f"the ledger was written by a newer loadgen (schema {version}): install that one"
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
