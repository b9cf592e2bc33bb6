"""Error messages and reasons: each is kept once, and however many there are, so many and no more.

A target may put an id or a time into every answer.  The first messages are kept as they are; when there
are many, what comes next is kept by its kind, and when there are too many kinds, as no more than an error.
"""

from __future__ import annotations

import sqlite3

from loadgen.kinds import fingerprint

MOST_TEXTS = 1000
"""Messages that are kept as they are."""
MOST = 2000
"""Messages and kinds."""
OTHER = "another error: there were too many kinds to keep them apart"


class Texts:
    """The ledger's table of texts, remembered.  It may be that of an earlier session."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, int] = dict(connection.execute("SELECT value, id FROM text"))

    def number(self, value: str) -> int:
        """The id under which a text, or what stands for it, is kept."""
        found = self._numbers.get(value)
        if found is None and len(self._numbers) < MOST_TEXTS:
            return self._keep(value)
        return self._of_kind(fingerprint(value)) if found is None else found

    def _of_kind(self, kind: str) -> int:
        found = self._numbers.get(kind)
        if found is None and len(self._numbers) < MOST:
            return self._keep(kind)
        return self._numbers.get(OTHER) or self._keep(OTHER) if found is None else found

    def _keep(self, value: str) -> int:
        self._connection.execute("INSERT INTO text (value) VALUES (?)", (value,))
        (number,) = self._connection.execute("SELECT id FROM text WHERE value = ?", (value,)).fetchone()
        self._numbers[value] = number
        return int(number)
