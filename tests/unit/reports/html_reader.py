"""Reads report.html as a program would that has only the file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "input"}


@dataclass
class Page(HTMLParser):
    """Its tables by name, its scripts, its text."""

    source: str
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    attributes: list[tuple[str, str, str | None]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pictures: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._path: list[str] = []
        self._rows: list[list[str]] = []
        self._name = ""
        self.feed(self.source)
        self.close()
        assert self._path == [], "every element is closed"

    def island(self, name: str) -> Any:
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == name]
        return json.loads(text)

    @property
    def code(self) -> list[str]:
        """What a browser would run."""
        return [text for attributes, text in self.scripts if not attributes.get("type")]

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self._path.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        elif tag == "table":
            self._name, self._rows = dict(attrs)["aria-label"] or "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
        elif tag == "svg" and dict(attrs).get("class") == "still":
            self.pictures += 1

    def handle_endtag(self, tag):
        assert self._path.pop() == tag
        if tag == "table":
            head, *rows = self._rows
            self.tables[self._name] = [dict(zip(head, row, strict=True)) for row in rows]

    def handle_data(self, data):
        if self._path and self._path[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif "style" not in self._path:
            self.texts.append(data)
            if {"th", "td"} & set(self._path):
                self._rows[-1][-1] += data
