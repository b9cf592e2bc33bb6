"""The access log: what the target was really asked, one JSON line a request.

A line is written with one unbuffered write before the answer leaves, so a `kill -9` of the sandbox
loses no request that a client has an answer to.  Only the event loop's thread writes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from loadgen.errors import UsageError

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from loadgen.sandbox.messages import Request

SECRETS = frozenset({"password", "session.id"})
"""Query parameters whose values stay out of the log."""


class AccessLog:
    """Appends to a file; one that is opened for None swallows everything."""

    def __init__(self, path: Path | None) -> None:
        """Raise UsageError when the file cannot be opened."""
        self._file: FileIO | None = None
        if path is not None:
            try:
                self._file = path.open("ab", buffering=0)
            except OSError as error:
                raise UsageError(f"cannot write the access log {path}: {error.strerror}") from error

    def write(self, line: dict[str, object]) -> None:
        """One request."""
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def describe(request: Request) -> dict[str, object]:
    """What a line says about the request itself."""
    return {
        "method": request.method,
        "path": f"{request.path}?{masked(request.query)}" if request.query else request.path,
        "action": _action(request),
        "project": _first(request, "project", "projectName", "name"),
        "run": request.headers.get("x-loadgen-run"),
        "item": _integer(request.headers.get("x-loadgen-item")),
        "attempt": _integer(request.headers.get("x-loadgen-attempt")),
    }


def iso(time_us: int) -> str:
    """`2025-01-31T12:00:00.123+00:00`, from microseconds since 1970."""
    seconds, rest = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat(timespec="milliseconds")


def masked(query: str) -> str:
    """The query string with the values of secrets replaced by stars."""
    return "&".join(
        f"{name}=***" if unquote_plus(name) in SECRETS else name + equals + value
        for name, equals, value in (pair.partition("=") for pair in query.split("&"))
    )


def _action(request: Request) -> str | None:
    named = _first(request, "ajax", "action")
    if named is None:
        return next((name for name in ("delete", "purge", "logout") if name in request.params), None)
    return named


def _first(request: Request, *names: str) -> str | None:
    """Of a multipart body only the parts count, as Azkaban has it."""
    source = request.params if request.parts is None else request.parts
    return next((value for name in names if isinstance(value := source.get(name), str)), None)


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
