"""What files cannot do by themselves: be there whole or not at all, and belong to one process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write what is to stand at `path` when all of it is there.

    What is no ordinary file is written as it comes: a device or a pipe must not be replaced by a file.
    Nor must a link, as /dev/stdout is one: what it leads to is.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def lock(file: FileIO) -> bool:
    """Take it for as long as it is open, however its process ends; False: somebody has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(2**31 - 2)  # where nothing is ever read: locks there keep readers out
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
