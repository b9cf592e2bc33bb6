"""HTML that cannot be broken from within: all text is escaped unless it is markup already.  Pure."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from loadgen.reports.words import clean

_VOID = frozenset({"meta", "br", "hr", "input"})


class Markup(str):
    """Text that is HTML."""

    __slots__ = ()


def tag(name: str, /, *inside: str | None, **attributes: object) -> Markup:
    """An element; what is inside is escaped unless it is Markup, and left out when it is None.

    Attributes: `class_` for class, `data_x` for data-x; True has no value, False and None are left out.

    >>> tag("p", "1 < 2", tag("br"), class_="note", hidden=True)
    '<p class="note" hidden>1 &lt; 2<br></p>'
    """
    opened = f"<{name}{''.join(map(_attribute, attributes, attributes.values()))}>"
    return Markup(opened if name in _VOID else f"{opened}{join(*inside)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Several in a row."""
    return Markup("".join(map(text, filter(None, parts))))


def text(part: str) -> Markup:
    """As HTML.  What the target said is on one line and has no characters that turn or hide text."""
    return part if isinstance(part, Markup) else Markup(escape(clean(part, "utf-8")))


def island(name: str, data: Any) -> Markup:
    """Data for scripts and programs: a block of JSON that no text in it can end."""
    packed = json.dumps(data, separators=(",", ":"))
    for char in "<>&":
        packed = packed.replace(char, f"\\u{ord(char):04x}")
    return Markup(f'<script type="application/json" id="{escape(name)}">{packed}</script>\n')


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(clean(str(value), "utf-8"))}"'
