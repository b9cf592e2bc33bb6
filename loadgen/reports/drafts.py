"""A file that is there whole or not at all: it is written beside its place, and moved there at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Where to write what shall be at `path`; nothing is, after an exception.  Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
