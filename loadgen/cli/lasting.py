"""A console whose terminal may go away: what is said then goes nowhere, and the run goes on.

A terminal that is closed also sends SIGHUP, but not to every process, and who is writing at that moment
hears of it by an error.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, TextIO, cast

from rich.console import Console


def lasting_console(*, stderr: bool) -> Console:
    """A console on standard output, or on standard error."""
    return Console(file=cast("TextIO", Lasting(sys.stderr if stderr else sys.stdout)))


class Lasting:
    """A stream, until its terminal is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, or lose it with the terminal.  Raises OSError for any other reason."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """As `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        if error.errno != errno.EIO:
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._stream.flush()
