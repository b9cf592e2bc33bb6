"""`files=`: the bytes that requests would send, without reading files on disk into memory.

requests builds the whole body as one string; a run that uploads a 200 MB archive from 32 threads
cannot.  The framing (boundaries, part headers) is made by the same urllib3 code that requests uses;
files on disk stay files between the pieces of framing, and are read while they are sent.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

from requests.utils import guess_filename, to_key_val_list
from urllib3.fields import RequestField
from urllib3.filepost import choose_boundary

if TYPE_CHECKING:
    from collections.abc import Iterator


def encode(files: Any, data: Any) -> tuple[bytes | Multipart, str]:
    """Body and Content-Type for `files` and `data` in any of requests' forms.

    Bytes when all parts are in memory, else a `Multipart` stream.
    Raises ValueError when `data` is no collection of fields.
    """
    if isinstance(data, (str, bytes)):
        raise ValueError("Data must not be a string.")  # noqa: TRY004  (as requests does)
    boundary = choose_boundary()
    pieces: list[bytes | _Span] = []
    for field, content in [*_fields(data), *_files(files)]:
        pieces += [f"--{boundary}\r\n{field.render_headers()}".encode(), content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    body = Multipart(pieces)
    content_type = f"multipart/form-data; boundary={boundary}"
    return (body if any(isinstance(piece, _Span) for piece in pieces) else body.read()), content_type


class Multipart:
    """A body of pieces in memory and files on disk; its length is known, and it can be read again."""

    def __init__(self, pieces: list[bytes | _Span]) -> None:
        self._pieces = pieces
        self._length = sum(len(piece) for piece in pieces)
        self.seek(0)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(64 * 1024):
            yield data

    def tell(self) -> int:
        """How much was read."""
        return self._position

    def seek(self, position: int) -> None:
        """Back to the start (a redirect sends the body again), which is the only way."""
        if position != 0:
            raise OSError("a multipart body can only be rewound to its start")
        self._position = 0
        self._left = [
            io.BytesIO(piece) if isinstance(piece, bytes) else piece.open() for piece in self._pieces
        ]

    def read(self, size: int = -1) -> bytes:
        """The next bytes: `size`, or fewer where a piece ends; all that are left when it is negative."""
        if size < 0:
            return b"".join(self)
        data = b""
        while self._left and not (data := self._left[0].read(size)):
            self._left.pop(0)
        self._position += len(data)
        return data


class _Span:
    """The rest of a file on disk, from where it stood."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._start = file.tell()
        self._length: int = max(file.seek(0, os.SEEK_END) - self._start, 0)

    def __len__(self) -> int:
        return self._length

    def open(self) -> _Span:
        self._file.seek(self._start)
        self._unread = self._length
        return self

    def read(self, size: int) -> bytes:
        # Whoever else reads the file moves it, and it may grow: this is the span that was announced.
        self._file.seek(self._start + self._length - self._unread)
        data: bytes = self._file.read(min(size, self._unread))
        if not data and self._unread:
            raise OSError(f"{self._file.name} became shorter while it was sent")
        self._unread -= len(data)
        return data


def _fields(data: Any) -> Iterator[tuple[RequestField, bytes]]:
    """`data=` beside `files=`: one part for each value."""
    for name, values in to_key_val_list(data or {}):  # type: ignore[no-untyped-call]
        single = isinstance(values, (str, bytes)) or not hasattr(values, "__iter__")
        for value in [values] if single else values:
            if value is not None:
                field = RequestField(name.decode() if isinstance(name, bytes) else name, b"")
                field.make_multipart()
                yield field, value if isinstance(value, bytes) else str(value).encode()


def _files(files: Any) -> Iterator[tuple[RequestField, bytes | _Span]]:
    """`files=`: content, or (name, content[, type[, headers]])."""
    for name, given in to_key_val_list(files):  # type: ignore[no-untyped-call]
        content_type = headers = None
        if isinstance(given, (tuple, list)):
            filename, content, *more = given
            content_type, headers = (*more, None, None)[:2]
        else:
            guessed = guess_filename(given)  # type: ignore[no-untyped-call]
            filename, content = guessed or name, given
        if content is None:
            continue
        field = RequestField(name, b"", filename, headers)
        field.make_multipart(content_type=content_type)
        yield field, _content(content)


def _content(given: Any) -> bytes | _Span:
    if hasattr(given, "read"):
        if _is_on_disk(given):
            return _Span(given)
        given = given.read()
    return given.encode() if isinstance(given, str) else bytes(given)


def _is_on_disk(file: Any) -> bool:
    if "b" not in str(getattr(file, "mode", "")):
        return False  # text: its length in bytes is not known before it is read
    try:
        return os.path.isfile(file.fileno())  # noqa: PTH113  (there is no path, only an open file)
    except (AttributeError, OSError):
        return False
