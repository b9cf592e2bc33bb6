"""What a sandbox was changed to, on disk, so that it survives a restart and a `kill -9`: JSON lines.

One line an accepted change, written with one unbuffered write before its answer leaves.  Of all changes
to one subject only the last counts: what a later one says, it says completely.  So the journal is
compacted without knowing what it is about, each time that it is opened: into a new file, which then takes
the old one's name.  Where no change says all, who applied them does: what they came to is written instead.
"""

from __future__ import annotations

import logging
import operator
import os
from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec

from loadgen.errors import UsageError
from loadgen.files import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from io import FileIO
    from pathlib import Path

HEADER = b'{"type":"loadgen-sandbox","format":1}\n'
"""The first line: nobody's other file is taken for a journal, and written over."""


class Event(msgspec.Struct, frozen=True, tag=True):
    """A change that was accepted."""

    @property
    def subject(self) -> Hashable:
        """What it is about: a later event of the same subject makes this one superfluous.

        None: each counts, until all are summed up.
        """
        raise NotImplementedError


class Journal:
    """Events in a file; one that is opened for None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._file: FileIO | None = None
        self._old: FileIO | None = None
        """The file as it was before it was compacted: locked for as long as this one is."""

    def restore(
        self,
        appliers: Mapping[type[Event], Callable[[Any], None]],
        sum_up: Callable[[], Iterable[Event]] = tuple,
    ) -> None:
        """Hand each event that the file holds to its type's applier, compact it, and go on writing there.

        `sum_up` tells what all the events without a subject came to.
        An applier raises LookupError or ValueError for an event that cannot be.  Raises UsageError for a
        file that cannot be read, written or understood, and names the line, or that another sandbox has.
        """
        if self._path is None:
            return
        try:
            self._old = self._locked(self._path)
            data = self._path.read_bytes()
            kept = self._kept(data, msgspec.json.Decoder(reduce(operator.or_, appliers)))
            for number, line, event in kept:
                try:
                    appliers[type(event)](event)
                except (LookupError, ValueError) as error:
                    raise self._damaged(number, f"{error}: {_start(line)}") from error
            lines = [line for _, line, event in kept if event.subject is not None]
            lines += map(self._encoder.encode, sum_up())
            self._file = self._written_anew(self._path, lines)
        except OSError as error:
            raise UsageError(f"cannot keep the state in {self._path}: {error.strerror}") from error

    def record(self, event: Event) -> None:
        """Keep it.  Raises OSError; the file then is as before."""
        if self._file is None:
            return
        line = self._encoder.encode(event) + b"\n"
        before = self._file.tell()
        try:
            if self._file.write(line) != len(line):
                raise OSError(f"{self._path}: the disk is full")
        except OSError:
            self._file.truncate(before)
            raise

    def close(self) -> None:
        """Close the file."""
        for file in (self._file, self._old):
            if file is not None:
                file.close()

    def _kept(self, data: bytes, decoder: msgspec.json.Decoder[Any]) -> list[tuple[int, bytes, Event]]:
        """The last event of each subject, and all without, with line numbers and lines, oldest first."""
        *lines, torn = data.split(b"\n")
        if data and not data.startswith(HEADER) and not HEADER.startswith(data):
            raise self._damaged(1, f"this is no sandbox's journal: {_start(data)}")
        if torn and lines:
            logging.getLogger(__name__).warning(
                "%s:%d: the last line is torn, and is left out: %s", self._path, len(lines) + 1, _start(torn)
            )
        kept: dict[Hashable, tuple[int, bytes, Event]] = {}
        for number, line in enumerate(lines[1:], start=2):
            try:
                event: Event = decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise self._damaged(number, f"{error}: {_start(line)}") from error
            subject = number if event.subject is None else event.subject
            kept.pop(subject, None)
            kept[subject] = (number, line, event)
        return list(kept.values())

    def _written_anew(self, path: Path, lines: list[bytes]) -> FileIO:
        fresh = path.with_name(f"{path.name}.new")
        with fresh.open("wb") as file:
            file.write(HEADER)
            file.writelines(line + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        if os.name != "posix":  # there what is open cannot be replaced
            self.close()
            fresh.replace(path)
            return path.open("ab", buffering=0)
        locked = self._locked(fresh)
        fresh.replace(path)
        return locked

    def _locked(self, path: Path) -> FileIO:
        """The file, for this sandbox alone where there are such locks.  Raises OSError and UsageError."""
        file = path.open("ab", buffering=0)
        if os.name == "posix" and not lock(file):
            file.close()
            raise UsageError(f"{self._path}: another sandbox keeps its state there")
        return file

    def _damaged(self, number: int, why: str) -> UsageError:
        return UsageError(f"{self._path}:{number}: {why}")


def _start(line: bytes) -> str:
    text = line[:60].decode("utf-8", "replace").split("\n")[0]
    return text if len(line) <= len(text) else f"{text}..."
