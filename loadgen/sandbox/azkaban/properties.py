"""Java's `.properties` format, as `java.util.Properties.load` reads it.  Pure."""

from __future__ import annotations

import re

_PAIR = re.compile(r"((?:[^\\=:\s]|\\.)*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u.{0,4}|.)", re.DOTALL)
_CONTINUED = re.compile(r"(?:^|[^\\])(?:\\\\)*\\$", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANK = " \t\f"


def parse(data: bytes) -> dict[str, str]:
    """The pairs of a properties file, the last of a repeated key.

    Raises ValueError, with Java's words, for a malformed unicode escape.
    """
    text = data.decode("latin-1")
    found: dict[str, str] = {}
    for line in _logical_lines(text) if "\\" in text else _lines(text):
        if not line or line[0] in "#!":
            continue
        match = _PAIR.match(line)
        assert match is not None  # every part of the pattern may be empty
        key, value = match.groups()
        found[_plain(key)] = _plain(value)
    return found


def _lines(text: str) -> list[str]:
    """Natural lines without leading blanks; `splitlines` would split at more than Java does."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [line.lstrip(_BLANK) for line in text.split("\n")]


def _logical_lines(text: str) -> list[str]:
    """Lines that end in an odd number of backslashes go on in the next one; comments never do."""
    logical: list[str] = []
    unfinished = ""
    for line in _lines(text):
        if not unfinished and line[:1] in ("#", "!"):
            continue
        if _CONTINUED.search(line):
            unfinished += line[:-1]
            continue
        logical.append(unfinished + line)
        unfinished = ""
    return [*logical, unfinished]


def _plain(text: str) -> str:
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    escaped: str = match[1]
    if escaped[0] != "u":
        return _CONTROL.get(escaped, escaped)
    digits = escaped[1:]
    if not re.fullmatch(r"[0-9a-fA-F]{4}", digits):
        raise ValueError(r"Malformed \uxxxx encoding.")
    return chr(int(digits, 16))
