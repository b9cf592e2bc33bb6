"""Headers that hardly ever change: checked, merged and laid out once, then sent with a million calls.

`Letterhead` holds the session's headers and those of the item in hand.  What it hands out for the session
is the same tuple as long as nothing changed, by which the transport knows that it has those already.
The item's (X-Loadgen-*, by which it is found in the target's logs) come as a tuple of their own: they change
with each item, and are loadgen's, so nobody checks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from requests.structures import CaseInsensitiveDict
from requests.utils import check_header_validity, to_native_string

from loadgen.sample import NO_ITEM

Headers = tuple[tuple[str, str | bytes], ...]
ItemHeaders = tuple[tuple[str, str], ...]
HeaderMap = dict[str, tuple[str, str | bytes]]
"""Lower-case name to name and value: cheaper than a CaseInsensitiveDict, and as ordered."""
Added = tuple[str | None, str | None, str | bytes | None]
"""What the call itself brings: Content-Type, Cookie, Authorization."""

_SHEETS_KEPT: Final = 64

Stamp = tuple[str, int, int]
"""Run, item and attempt that a call belongs to."""
NO_STAMP: Final[Stamp] = ("", NO_ITEM, 1)
_STAMPED: Final = ("X-Loadgen-Run", "X-Loadgen-Item", "X-Loadgen-Attempt")


class WatchedHeaders(CaseInsensitiveDict[Any]):
    """A session's headers; says when they change, so that merging and checking them can wait until then."""

    version = 0

    def __setitem__(self, key: str, value: Any) -> None:
        self.version += 1
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self.version += 1
        super().__delitem__(key)


class Letterhead:
    """The session's headers, and above them the item's."""

    def __init__(self) -> None:
        self.session = WatchedHeaders()
        self.stamp = NO_STAMP
        """Of the item in hand; without a run its calls bear none."""
        self._laid = NO_STAMP
        self._item_headers: ItemHeaders = ()
        self._session_stamps = False
        self._fields: HeaderMap = {}
        self._sheets: dict[Added, Headers] = {}
        self._version = -1

    def replace(self, headers: Mapping[str, str | bytes | None]) -> None:
        """Other headers for the session."""
        self.session = WatchedHeaders(headers)
        self._version = -1

    def sheet(self, headers: Mapping[str, Any] | None, added: Added) -> tuple[Headers, ItemHeaders]:
        """What to send with a call that has these headers: (the same as ever, the item's)."""
        stamped = self.item_headers()
        if self._version != self.session.version:
            self._read()
        if headers or (stamped and self._session_stamps):
            return _complete(self.fields(headers), added), ()
        sheet = self._sheets.get(added)
        if sheet is None:
            if len(self._sheets) >= _SHEETS_KEPT:
                self._sheets.clear()
            self._sheets[added] = sheet = _complete(self._fields, added)
        return sheet, stamped

    def fields(self, headers: Mapping[str, Any] | None) -> HeaderMap:
        """The session's, the item's and the call's headers merged.  Raises InvalidHeader."""
        merged = overlay(overlay({}, self.session), dict(self.item_headers()))
        return overlay(merged, headers) if headers else merged

    def item_headers(self) -> ItemHeaders:
        """The item's, laid out when it makes its first call: not all make one."""
        if self.stamp is not self._laid:
            self._laid = run, item, attempt = self.stamp
            self._item_headers = tuple(zip(_STAMPED, (run, str(item), str(attempt)))) if run else ()
        return self._item_headers

    def _read(self) -> None:
        self._fields = overlay({}, self.session)
        self._sheets.clear()
        self._session_stamps = any(name.lower() in self._fields for name in _STAMPED)
        self._version = self.session.version


def overlay(fields: HeaderMap, layer: Mapping[str, Any]) -> HeaderMap:
    """Put a layer of headers over `fields`, in place: it wins, its Nones remove.  Raises InvalidHeader."""
    for name, value in layer.items():
        native: str = to_native_string(name)  # type: ignore[no-untyped-call]
        if value is None:
            fields.pop(native.lower(), None)
        else:
            check_header_validity((native, value))
            fields[native.lower()] = (native, value)
    return fields


def _complete(fields: HeaderMap, added: Added) -> Headers:
    content_type, cookie, authorization = added
    whole = dict(fields)
    if cookie is not None:
        whole.setdefault("cookie", ("Cookie", cookie))
    if content_type is not None:
        whole.setdefault("content-type", ("Content-Type", content_type))
    if authorization is not None:
        whole["authorization"] = ("Authorization", authorization)
    return tuple(whole.values())
