"""What passes between the session and a transport: one request as it goes out, one answer as it came in.

The session decides everything (headers, cookies, where to, how long), a transport only carries.  So both
transports send the same bytes, and everything that is not transport exists once.  `Answer` is the
`requests.Response` that the caller gets; what most callers never look at (headers, cookies, the prepared
request) is built when it is asked for, because building it costs more than the call.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sized
from datetime import timedelta
from functools import cached_property, lru_cache
from http.client import parse_headers
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import requests
import urllib3
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from loadgen.execution.http_headers import Headers, ItemHeaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from http.client import HTTPMessage

_FORM = "application/x-www-form-urlencoded"
_CONTENT_TYPE = re.compile(rb"\ncontent-type:[ \t]*([^\r\n]*)", re.IGNORECASE)
_UTF_8 = ("utf-8", "UTF-8", "utf8", None)
_decode_json = msgspec.json.Decoder().decode
_SET_COOKIE = re.compile(rb"\nset-cookie:", re.IGNORECASE)


class Outgoing(msgspec.Struct, frozen=True):
    """One request, ready to go."""

    method: str
    """Upper case."""
    url: str
    """Absolute, quoted, with its query."""
    headers: Headers
    """All but Host, Content-Length and the item's.  The same tuple means the same headers as last time."""
    connect_s: float
    """How long the connection may take."""
    total_s: float
    """How long the whole call may take, connecting included."""
    body: bytes | Iterable[bytes] | None = None
    """Streams are read while they are sent; their size is in the Content-Length header, or unknown."""
    proxy: str = ""
    """URL of the proxy; empty for none."""
    verify: bool | str = True
    """Check the server's certificate: against certifi's authorities, a file, or a directory of them."""
    cert: str | tuple[str, str] | None = None
    """Client certificate: one file, or certificate and key."""
    item_headers: ItemHeaders = ()
    """Sent after the others, none of which they repeat."""

    @property
    def length(self) -> int | None:
        """Content-Length as it follows from the body; None: it is in the headers, or there is none."""
        if self.body is None:
            return None if self.method in ("GET", "HEAD") else 0
        return len(self.body) if isinstance(self.body, Sized) else None


class Received(msgspec.Struct, frozen=True):
    """How it ended, and how long its phases took, from the start of the call (0: did not happen)."""

    total_us: int
    """Until the last byte came, or it failed."""
    connect_us: int = 0
    """Until the TCP connection stood; 0 when one was reused."""
    tls_us: int = 0
    """Until the TLS handshake was over."""
    first_byte_us: int = 0
    """Until the first byte of the answer."""
    bytes_out: int = 0
    """Request line, headers and body."""
    bytes_in: int = 0
    """Status line, headers and body as they came, compressed or not."""
    status: int = 0
    """HTTP status; 0 when no whole answer came."""
    head: bytes = b""
    """Status line and headers of the final answer, with their line ends."""
    body: bytes = b""
    """Decoded as Content-Encoding says."""
    error: Exception | None = None
    """Why there is no answer: one of requests', with a message of one line, or what the body raised."""
    dns_us: int = 0
    """Until the name was resolved; 0 when a connection was reused."""


class Transport(Protocol):
    """Carries one request at a time.  It never follows, retries, or adds to what it was given."""

    accept_encoding: str
    """The content encodings that it can decode, as an Accept-Encoding header."""

    def send(self, request: Outgoing) -> Received:
        """Send it once and wait for the end.  Raises only what reading the request's own body raised."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Facts:
    """What an answer's head says that is asked for after nearly every call.

    It is read once for heads that are alike: a target's answers often are, but for the time of day.
    """

    __slots__ = ("charset", "head", "sets_cookies")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.sets_cookies = _SET_COOKIE.search(head) is not None
        found = _CONTENT_TYPE.search(head)
        self.charset = _charset(found[1]) if found else None


class Answer(requests.Response):
    """A `requests.Response` that has its whole body, and builds the rest on demand."""

    resolve: Callable[..., Iterator[requests.PreparedRequest]] | None = None
    """requests' way to follow redirects; given where it has not been asked already."""
    __attrs__ = [*requests.Response.__attrs__, "_elapsed_us"]  # noqa: RUF012  (requests' own name for what is pickled)

    _content_consumed = True
    _next: requests.PreparedRequest | None = None
    _encoding: str | EllipsisType | None = ...

    def __init__(self, outgoing: Outgoing, received: Received, facts: Facts) -> None:
        """`facts`: of the head received."""
        # Not super().__init__(): its empty cookie jar alone takes longer than this whole method.
        self._outgoing = outgoing
        self._facts = facts
        self._content = received.body
        self._elapsed_us = received.first_byte_us
        self.status_code = received.status
        self.url = outgoing.url

    def json(self, **options: Any) -> Any:
        """The body as JSON: requests' results and errors, in a fifth of its time.

        What msgspec takes, it reads as `json` does (the tests compare them); the rest is left to requests:
        NaN, lone surrogates, other encodings, mistakes.
        """
        if not options and self.encoding in _UTF_8:
            try:
                return _decode_json(self._content or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
        return super().json(**options)

    @cached_property
    def history(self) -> list[requests.Response]:  # type: ignore[override]
        """The redirects that led here."""
        return []

    @cached_property
    def headers(self) -> CaseInsensitiveDict[str]:  # type: ignore[override]
        """The answer's headers; repeated ones joined with a comma, as requests does."""
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for line in self._facts.head.decode("latin-1").split("\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                value = value.strip()
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    @cached_property
    def reason(self) -> str:  # type: ignore[override]
        """The words after the status."""
        words = self._facts.head.partition(b"\n")[0].split(None, 2)
        return words[2].decode("latin-1").strip() if len(words) > 2 else ""  # noqa: PLR2004

    @property
    def encoding(self) -> str | None:
        """The charset that the headers give, unless another was set."""
        return self._facts.charset if isinstance(self._encoding, EllipsisType) else self._encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        self._encoding = encoding

    @cached_property
    def cookies(self) -> RequestsCookieJar:  # type: ignore[override]
        """The cookies that this answer set."""
        jar = RequestsCookieJar()
        if self.sets_cookies:
            extract_cookies_to_jar(jar, self.request, self.raw)  # type: ignore[no-untyped-call]
        return jar

    @cached_property
    def request(self) -> requests.PreparedRequest:  # type: ignore[override]
        """What was sent."""
        return prepared(self._outgoing)

    @cached_property
    def raw(self) -> Any:  # type: ignore[override]
        """The (decoded) body once more as a file, for callers that read `response.raw`."""
        raw = urllib3.HTTPResponse(
            body=io.BytesIO(self._content or b""),
            headers=list(self._message.items()),  # type: ignore[arg-type]
            status=self.status_code,
            reason=self.reason,
            preload_content=False,
            decode_content=False,
        )
        raw._original_response = _Original(self._message)  # type: ignore[assignment]  # noqa: SLF001
        return raw

    @property
    def elapsed(self) -> timedelta:
        """Until the first byte of the answer, by the transport's clock."""
        return timedelta(microseconds=self._elapsed_us)

    @elapsed.setter
    def elapsed(self, _: timedelta) -> None:
        """Not taken: requests would put its own reading here, which counts the wait for the GIL too."""

    @property
    def sets_cookies(self) -> bool:
        """Whether there is anything for a cookie jar."""
        return self._facts.sets_cookies

    @cached_property
    def _message(self) -> HTTPMessage:
        return parse_headers(io.BytesIO(self._facts.head.partition(b"\n")[2]))

    @property
    def next(self) -> requests.PreparedRequest | None:
        """What following the redirect would send; None when there is none."""
        if self._next is None and self.resolve is not None and self.is_redirect:
            self._next = next(self.resolve(self, self.request, yield_requests=True), None)
        return self._next

    def close(self) -> None:
        """Nothing is held open."""


@lru_cache(64)
def _charset(content_type: bytes) -> str | None:
    return get_encoding_from_headers({"content-type": content_type.decode("latin-1")})


class _Original:
    """As much of an http.client response as requests' cookie code looks at."""

    def __init__(self, message: HTTPMessage) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        pass


def prepared(outgoing: Outgoing) -> requests.PreparedRequest:
    """The same request in requests' own form."""
    request = requests.PreparedRequest()
    request.method = outgoing.method
    request.url = outgoing.url
    request.headers = CaseInsensitiveDict(outgoing.headers + outgoing.item_headers)  # type: ignore[arg-type]
    if outgoing.length is not None:
        request.headers["Content-Length"] = str(outgoing.length)
    request.body = outgoing.body  # type: ignore[assignment]
    if isinstance(outgoing.body, bytes) and request.headers.get("Content-Type") == _FORM:
        request.body = outgoing.body.decode("ascii")  # as requests has it, and as its users' mocks compare it
    request._cookies = RequestsCookieJar()  # type: ignore[attr-defined]  # noqa: SLF001
    return request
