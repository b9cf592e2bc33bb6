"""Results on the worker's disk until the master has them: a worker that is killed loses none that it had.

One file a session: frames of length, CRC-32 and a batch as MessagePack, appended as the pool returns
them, emptied when all are acknowledged.  The next worker of the same directory hands over what it finds;
the master ignores what it has already.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadgen.queues.messages import Batch

_HEAD = struct.Struct(">II")
SUFFIX = ".spool"


class Spool:
    """The file of one session."""

    def __init__(self, directory: Path, run: str, session: str) -> None:
        folder = directory / run
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{session}-{os.getpid()}{SUFFIX}"
        self._file = self.path.open("wb", buffering=0)
        self._encoder = msgspec.msgpack.Encoder()

    def add(self, batches: list[Batch]) -> list[int]:
        """Keep batches; returns their sizes in bytes."""
        frames = [self._encoder.encode(batch) for batch in batches]
        data = b"".join(_HEAD.pack(len(f), zlib.crc32(f)) + f for f in frames)
        with contextlib.suppress(OSError):  # a full disk here must not stop the work: the master has its own
            self._file.write(data)
        return [len(frame) for frame in frames]

    def clear(self) -> None:
        """All is acknowledged."""
        if self._file.tell():
            self._file.seek(0)
            self._file.truncate()

    def close(self) -> None:
        """Close; a file with nothing in it is removed."""
        empty = not self._file.tell()
        self._file.close()
        if empty:
            self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()


def left_behind(directory: Path, run: str, own_session: str) -> Iterator[tuple[Path, str, list[Batch]]]:
    """Files of workers that died in this run: path, session, batches."""
    for path in sorted((directory / run).glob(f"*{SUFFIX}")):
        session, _, pid = path.stem.rpartition("-")
        if session != own_session and not _alive(int(pid)):
            with contextlib.suppress(FileNotFoundError):  # another worker of this directory was faster
                yield path, session, list(_batches(path.read_bytes()))


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


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # ours now, after its worker died
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
