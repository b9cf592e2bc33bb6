"""Results on the worker's disk until the master has them: a worker that is killed loses none that it had.

One file a session: frames of length, CRC-32 and a batch as MessagePack, appended as the pool returns
them.  It is emptied when all are acknowledged, and written anew without those that are when they pile up.
The next worker of the same directory hands over what it finds; the master ignores what it has already.

Its worker holds a lock on the file, which ends with the process, however that ends: so it is known whose
files nobody will come back for, also where several containers share a directory and count their processes
from 1 each.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import msgspec

from loadgen.errors import UsageError
from loadgen.files import lock
from loadgen.queues.messages import Batch

_HEAD = struct.Struct(">II")
SUFFIX = ".spool"
MOST_DEAD = 16 * 1024 * 1024
"""Bytes of acknowledged batches that may lie in front of the others."""


class Spool:
    """The file of one session."""

    def __init__(self, directory: Path, run: str, session: str) -> None:
        """Begin one.  Raises UsageError where that is not possible."""
        folder = directory / run
        self.path = folder / f"{session}{SUFFIX}"
        # It is locked before it can be found.  Windows does not rename what is open.
        place = self.path if sys.platform == "win32" else self.path.with_suffix(".new")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = FileIO(place, "w+b")
            lock(self._file)
            if place != self.path:
                place.replace(self.path)
        except OSError as error:
            raise UsageError(f"{folder}: cannot keep results there: {error.strerror}") from error
        self._encoder = msgspec.msgpack.Encoder()
        self._sizes: deque[int] = deque()
        """What each batch that is not acknowledged takes in the file."""
        self._dead = 0
        """What those take that are."""

    def add(self, batches: list[Batch]) -> list[int]:
        """Keep batches; returns their sizes in bytes."""
        frames = [self._encoder.encode(batch) for batch in batches]
        for frame in frames:
            self._sizes.append(self._append(_HEAD.pack(len(frame), zlib.crc32(frame)) + frame))
        return [len(frame) for frame in frames]

    def forget(self, count: int) -> None:
        """So many batches, the oldest ones, are acknowledged."""
        self._dead += sum(self._sizes.popleft() for _ in range(count))
        if not self._sizes:
            self._cut(0)
            self._dead = 0
        elif self._dead > MOST_DEAD:
            with contextlib.suppress(OSError):  # it goes on growing then
                self._write_anew()

    def close(self) -> None:
        """Close; a file with nothing in it is removed."""
        empty = not self._file.tell()
        self._file.close()
        if empty:
            self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()

    def _append(self, frame: bytes) -> int:
        """How much of it is there: all or nothing, for what comes after half a frame is never found."""
        place = self._file.tell()
        try:
            if self._file.write(frame) == len(frame):
                return len(frame)
        except OSError:
            pass  # a full disk here must not stop the work: the master has its own
        self._cut(place)
        return 0

    def _cut(self, place: int) -> None:
        if self._file.tell() != place:
            self._file.seek(place)
            self._file.truncate()

    def _write_anew(self) -> None:
        """In a file of its own, that takes the other's name when it is whole."""
        self._file.seek(self._dead)
        rest = self._file.readall()
        path = self.path.with_suffix(".new")
        with contextlib.ExitStack() as failed:
            failed.callback(path.unlink, missing_ok=True)
            fresh = failed.enter_context(FileIO(path, "w+b"))
            lock(fresh)
            if fresh.write(rest) != len(rest):
                raise OSError
            path.replace(self.path)
            failed.pop_all()
        self._file.close()
        self._file, self._dead = fresh, 0


def left_behind(directory: Path, run: str, own_session: str) -> Iterator[tuple[Path, str, list[Batch]]]:
    """Files of workers that died in this run: path, session, batches."""
    for path in sorted((directory / run).glob(f"*{SUFFIX}")):
        if path.stem == own_session:
            continue
        with contextlib.suppress(OSError), FileIO(path, "r+b") as file:  # else another worker was faster
            if lock(file) and _is_at(file, path):
                yield path, path.stem, list(_batches(file.readall()))


def _batches(data: bytes) -> Iterator[Batch]:
    """The whole frames; what was cut off while it was written was never acknowledged to anybody."""
    decoder = msgspec.msgpack.Decoder(Batch)
    position = 0
    while position + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, position)
        frame = data[position + _HEAD.size : position + _HEAD.size + length]
        if len(frame) < length or zlib.crc32(frame) != crc:
            return
        yield decoder.decode(frame)
        position += _HEAD.size + length


def _is_at(file: FileIO, path: Path) -> bool:
    """Whether the file still has this name: its worker may have written it anew, or removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
