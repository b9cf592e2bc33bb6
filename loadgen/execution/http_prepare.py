"""From the arguments of a call to the parts of a request, the short way.

`requests` prepares a request in 100 us and more, much of it for cases that hardly ever come.  These functions
do the usual cases in a tenth of that, and fall back on requests' own code for each part that is not
usual: an URL with spaces or umlauts, a body that is a stream.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, unquote

from requests import PreparedRequest, exceptions
from requests.utils import prepend_scheme_if_needed, select_proxy

from loadgen.execution.http_multipart import Multipart

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_CHARS = r"A-Za-z0-9_\-.~!$&'()*+,;=:/"
_CANONICAL = re.compile(
    r"https?://[a-z0-9][a-z0-9.\-]*(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}))?"
    rf"/(?!\.)(?:(?!/\.)[{_CHARS}])*(?:\?[{_CHARS}?]*)?"
)
"""An URL that requests' own preparation would leave as it is: nothing to quote, lower or resolve."""
_DIGITS = re.compile(r"\d+")
_LABELS_KEPT: Final = 4096

Body = tuple[bytes | Multipart | None, str | None]
"""A body and its Content-Type."""
NO_BODY: Final[Body] = (None, None)

# requests' static method, without which form encoding would exist twice.
_encode_params: Callable[[Any], Any] = PreparedRequest._encode_params  # type: ignore[attr-defined]  # noqa: SLF001


def encode_form(data: Any) -> str:
    """`data` or `params` as a=1&b=2, exactly as requests does."""
    if type(data) is dict:
        pairs = []
        for name, value in data.items():
            word = str(value) if type(value) is int else value
            if type(name) is not str or type(word) is not str:
                break  # lists, None, bytes: requests knows
            pairs.append(f"{_quote(name)}={_quote(word)}")
        else:
            return "&".join(pairs)
    encoded: str = _encode_params(data)
    return encoded


def _quote(word: str) -> str:
    return word if word.isascii() and word.isalnum() else quote_plus(word)


def join(base_url: str, url: str) -> str:
    """`url` below `base_url`, whose own path stays: `http://h/app` and `/manager` make `http://h/app/manager`."""
    if not base_url or _ABSOLUTE.match(url):
        return url
    if not url or url[0] in "/?#":
        return base_url + url
    return f"{base_url}/{url}"


def prepare_url(url: str, params: Any) -> str:
    """Quoted as requests does.  Raises requests' MissingSchema, InvalidSchema, InvalidURL."""
    if _CANONICAL.fullmatch(url) and not isinstance(params, (str, bytes)):
        query = encode_form(params) if params else ""
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url
    request = PreparedRequest()
    request.prepare_url(url, params)
    prepared: str = request.url or ""
    check_scheme(prepared)
    return prepared


def check_scheme(url: str) -> None:
    """Raises InvalidSchema for anything but http and https."""
    if not url.lower().startswith(("http://", "https://")):
        raise exceptions.InvalidSchema(f"not an http(s) URL: {url!r}")


def prepare_body(data: Any, json: Any) -> Body | None:
    """Encoded as requests does; None when it takes requests to do it (streams).  Raises InvalidJSONError."""
    if not data:
        if json is None:
            return NO_BODY
        try:
            return jsonlib.dumps(json, allow_nan=False).encode(), "application/json"
        except ValueError as error:
            raise exceptions.InvalidJSONError(error) from error
    if isinstance(data, bytes):
        return data, None
    if isinstance(data, str):
        return data.encode(), None
    if isinstance(data, (dict, Mapping, list, tuple)):  # dict first: asking an ABC takes longer
        # Nothing but Nones encode to nothing; requests would send that as an empty chunked body.
        return encode_form(data).encode() or None, "application/x-www-form-urlencoded"
    return None


def deadline(timeout: Any, default_s: float) -> tuple[float, float]:
    """Seconds for connecting, and for the whole call.  Raises ValueError for nothing or less."""
    if timeout is None:
        return default_s, default_s
    if isinstance(timeout, tuple):
        connect_s, read_s = (default_s if part is None else part for part in timeout)
        total_s = connect_s + read_s
    else:
        connect_s = total_s = timeout
    if not (connect_s > 0 and total_s > 0):
        raise ValueError(f"a timeout must be more than 0 seconds, not {timeout!r}")
    return connect_s, total_s


def proxy_for(url: str, proxies: Any) -> str:
    """The proxy that requests would choose from a `proxies` dict; empty for none."""
    proxy = select_proxy(url, proxies)
    return str(prepend_scheme_if_needed(proxy, "http")) if proxy else ""  # type: ignore[no-untyped-call]


def text(value: str | bytes) -> str:
    """Methods and URLs may be bytes, as in requests."""
    return value.decode() if isinstance(value, bytes) else str(value)


class Labels:
    """What calls are called in the report when they were given no name: `create_flow POST /jobs/#`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], str] = {}
        self._last = ("", "", "", "")

    def of(self, step: str, method: str, url: str) -> str:
        """Step, method, and the path with each number as `#`, so that 10000 items make one line."""
        last_step, last_method, last_url, label = self._last
        if url is last_url and method == last_method and step == last_step:
            return label
        label = self._find(step, method, url)
        self._last = (step, method, url, label)
        return label

    def _find(self, step: str, method: str, url: str) -> str:
        end = url.find("?")
        start = url.find("/", 8, None if end < 0 else end)
        path = "/" if start < 0 else url[start:] if end < 0 else url[start:end]
        if "%" in path or "#" in path:
            path = unquote(path.partition("#")[0])
        key = (step, method, _DIGITS.sub("#", path))
        label = self._known.get(key)
        if label is None:
            if len(self._known) >= _LABELS_KEPT:
                self._known.clear()
            self._known[key] = label = " ".join(key).strip()
        return label
