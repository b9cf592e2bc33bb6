"""A request as a servlet sees it, and the answer it gives.

The body is in memory as a whole, so a form is split with one `bytes.split` instead of being fed to
an incremental parser, which takes five times as long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_FORM = 10 * 1024 * 1024
"""Bytes that Jetty takes as a form; multipart bodies have no limit."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of a multipart body that has a file name."""

    filename: str
    content_type: str | None
    """As the client sent it; None when the part has no Content-Type."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked; strings are decoded, forms are parsed."""

    method: str
    path: str
    query: str
    """The raw query string, without the question mark."""
    headers: Mapping[str, str]
    """By lower-case name; of a repeated header the last."""
    params: Mapping[str, str]
    """Query and form body; of a repeated name the first, the query's before the body's."""
    parts: Mapping[str, str | FilePart] | None = None
    """The parts of a multipart body by name, of a repeated one the last; None for any other body."""
    fault: str = ""
    """Why the body could not be read; empty when it could."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    """None sends no Content-Type at all, which Azkaban does too."""
    headers: tuple[tuple[str, str], ...] = ()
    flows: int | None = field(default=None, compare=False)
    """For the access log: how many flows the uploaded zip held."""
    dropped: bool = False
    """Whether the connection is reset instead: what was asked is done, and nobody hears of it."""


def request_of(scope: Mapping[str, Any], body: bytes) -> Request:
    """Build the request from an ASGI scope and the whole body.  Never raises: see `Request.fault`."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    content_type = headers.get("content-type", "")
    params, parts, fault = pairs(query), None, ""
    if scope["method"] == "POST":
        kind = content_type.lower()
        if kind.startswith(MULTIPART):
            try:
                parts = parse_multipart(body, content_type)
            except ValueError as error:
                parts, fault = {}, str(error)
        elif kind.startswith(FORM) and len(body) > MAX_FORM:
            fault = f"Form too large{len(body)}>{MAX_FORM}"
        elif kind.startswith(FORM):
            params = pairs(body.decode("latin-1")) | params
    return Request(scope["method"], scope["path"], query, headers, params, parts, fault)


def pairs(encoded: str) -> dict[str, str]:
    """`a=1&b=2` as a dict; of a repeated name the first value, as `getParameter` has it."""
    if not encoded:
        return {}
    return dict(reversed(parse_qsl(encoded, keep_blank_values=True)))


_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^;\s]+))')
_PARAMETER = re.compile(r';\s*(name|filename)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')


def parse_multipart(body: bytes, content_type: str) -> dict[str, str | FilePart]:
    """The parts of a form-data body by name.  Raises ValueError when it is not one, or is cut short."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise ValueError("the request was rejected because no multipart boundary was found")
    boundary = (match[1] or match[2]).encode("latin-1")
    if body.startswith(b"--" + boundary):
        body = b"\r\n" + body
    _preamble, *sections = body.split(b"\r\n--" + boundary)
    if not sections or not sections.pop().startswith(b"--"):
        raise ValueError("Stream ended unexpectedly")
    parts: dict[str, str | FilePart] = {}
    for section in sections:
        head, _, data = section.partition(b"\r\n\r\n")
        headers = _part_headers(head)
        names = {
            key: quoted or bare for key, quoted, bare in _PARAMETER.findall(headers.get("disposition", ""))
        }
        if "name" not in names:
            continue
        if "filename" in names:
            parts[names["name"]] = FilePart(names["filename"], headers.get("type"), data)
        else:
            parts[names["name"]] = data.decode("latin-1")
    return parts


def _part_headers(head: bytes) -> dict[str, str]:
    """The `Content-*` headers of a part, named without that prefix."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n"))
    return {name.strip().lower().removeprefix("content-"): value.strip() for name, _, value in lines if value}
