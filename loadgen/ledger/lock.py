"""Keeps a second master out of a run directory.

An exclusive transaction on an empty SQLite file: it works on every platform, and the operating system
lets go of it when the process dies, however it dies.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from loadgen.errors import RunDirectoryError

FILE = "lock.db"


class RunLock:
    """Held from construction to `release`.  Raises RunDirectoryError when another process holds it."""

    def __init__(self, directory: Path) -> None:
        try:
            self._connection = sqlite3.connect(
                directory / FILE, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise RunDirectoryError(f"{directory}: cannot lock it: {error}") from error
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            reason = "another master is running it" if busy else f"cannot lock it: {error}"
            raise RunDirectoryError(f"{directory}: {reason}") from error

    @staticmethod
    def is_held(directory: Path) -> bool:
        """Whether another process holds it; takes nothing, makes nothing."""
        path = directory / FILE
        if not path.is_file():
            return False
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0)
        except sqlite3.Error:
            return False
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema")
        except sqlite3.Error as error:
            return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
        finally:
            connection.close()
        return False

    def release(self) -> None:
        """Let the next master in."""
        self._connection.close()
