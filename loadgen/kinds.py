"""Kinds of errors: messages that differ in nothing but numbers and names are of one kind.  Pure."""

from __future__ import annotations

import re

_VARYING = re.compile(
    r"""(?P<kept>\b(?:HTTP|answered|status|code)[ =:]{1,2}[1-5]\d\d\b)  # a status is what tells errors apart
    | (?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    | (?P<key>"[A-Za-z_]+"\s*:)                    # a JSON key names, it does not vary
    | (?P<name>(?<!\w)(?:'[^'\s]*'|"[^"\s]*"|`[^`\s]*`)(?!\w))  # one quoted word; a sentence is kept
    | (?P<address>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b | \[[0-9a-f:]*:[0-9a-f:]*\](?::\d+)?)
    | (?P<hex>\b0x[0-9a-f]+\b | \b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}\b)
    | (?P<n>\d+(?:\.\d+)*)""",
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST = 160


def fingerprint(message: str) -> str:
    """The message without what differs from item to item: numbers, ids, names in quotes, addresses.

    >>> fingerprint("POST /flow/17 answered 500: project 'p4' not found (0x7f3a)")
    'POST /flow/<n> answered 500: project <name> not found (<hex>)'
    """
    line = _VARYING.sub(_placeholder, " ".join(message[: 4 * _LONGEST].split()))
    return line[:_LONGEST].rstrip()


def _placeholder(found: re.Match[str]) -> str:
    kind = found.lastgroup
    return found.group() if kind in {"kept", "key"} else f"<{kind}>"
