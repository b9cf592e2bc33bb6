"""The session that scenarios call: requests' API, each call timed by the transport and none of them doubled.

`Session` is a `requests.Session`.  A usual call takes the short way: its parts are prepared by
`http_prepare`, sent by the transport, and come back as a `requests.Response`.  Whatever is less usual
(streams, digest auth, redirects, hooks, per-call cookies or proxies) takes the long way through
requests' own code, with the transport as its adapter.  Both ways meet in `_judged`, where the sample
is made, so each HTTP request makes exactly one.

Differences from requests, all on purpose:
- `allow_redirects` is False unless given: a load test measures the call it makes.
- `timeout` is the deadline of the whole call, 60 s unless given, and never unlimited.  Of a
  (connect, read) tuple, the sum is.  (The `requests` transport can only do what requests does.)
- `stream=True` is accepted, and the body is read all the same.
- netrc files are not read.  Proxies and CA bundles from the environment are, once for each origin.
- Adapters cannot be mounted: a session has one transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args
from urllib.parse import urlsplit

import requests
from requests.cookies import extract_cookies_to_jar
from requests.models import REDIRECT_STATI

from loadgen.clock import Clock, SystemClock
from loadgen.errors import one_line, sayable
from loadgen.execution import http_multipart
from loadgen.execution.case import Case
from loadgen.execution.http_adapter import Hop
from loadgen.execution.http_auth import (
    HEADER_AUTH,
    Bearer,
    auth_in,
    authorization,
    awaits_challenge,
    is_challenge,
)
from loadgen.execution.http_base import Base, Place
from loadgen.execution.http_messages import Answer, Facts, Outgoing, Received, prepared
from loadgen.execution.http_prepare import (
    Body,
    Labels,
    deadline,
    join,
    prepare_body,
    prepare_url,
    text,
)
from loadgen.sample import Sample
from loadgen.scenario import Connections, Http
from loadgen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from loadgen.execution.http_messages import Transport as Carrier
    from loadgen.scenario import Transport

__all__ = ["Bearer", "Session"]

C = TypeVar("C", bound="Carrier")

_EXCERPT = 200
"""Characters of an answer that are kept to explain a failure."""
_LONGEST_WORDS = 200
"""Characters of a label, and of an error, that travel with a sample."""
_FIRST_FAILURE = 400
"""Statuses from here on are failures unless expected."""


class Session(Base):
    """Requests' session, relative to a target, with a sample for each HTTP request.  For one thread.

    `base_url` is what relative URLs are joined to; `timeout` (seconds) is the deadline of calls without one.
    `on_sample` gets each sample; without it they gather in `samples` until `finish`.
    `http` is the version to speak, and no other ("auto": HTTP/2 where the TLS handshake agrees on it, else
    1.1); "2" without TLS is spoken unasked.  `connections="new"` opens one for each call.
    Raises UsageError when libcurl lacks that version, ValueError for what is none.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        transport: Transport = "curl",
        timeout: float = 60.0,
        on_sample: Callable[[Sample], None] | None = None,
        clock: Clock | None = None,
        http: Http = "1.1",
        connections: Connections = "keep",
    ) -> None:
        clock = clock or SystemClock()
        super().__init__(base_url, clock, Hop(self._carry, lambda: self.timeout))
        self.timeout = timeout
        self.case = Case()
        """Whose calls these are: made by `begin`, and put back by who has several in hand."""
        self.on_sample = on_sample
        self.before_call: Callable[[], None] | None = None
        """Called before each HTTP request, which what it raises prevents."""
        self.on_login: Callable[[Session], None] | None = None
        """Called with this session before its first request, and before the next one after `expire`."""
        self.http, self.connections = http, connections
        self._transport = _make_transport(transport, clock, http, connections)
        self._logged_in = self._in_login = False
        self._call: tuple[str | None, int | Collection[int]] = (None, ())
        self._labels = Labels()
        self._facts = Facts(b"")
        self.headers = {
            "User-Agent": f"loadgen/{__version__}",
            "Accept-Encoding": self._transport.accept_encoding,
            "Accept": "*/*",
            "Connection": "keep-alive" if connections == "keep" else "close",
        }

    # ---- what the pool calls ----

    def begin(self, step: str, item: int, attempt: int, run: str = "") -> Case:
        """From now on calls belong to this attempt at this item; with the run's id, their headers tell."""
        self.case = case = Case(step, item, attempt, run)
        return case

    def finish(self) -> tuple[list[Sample], str | None]:
        """Samples and failure since `begin`.  What is called from now on belongs to no item."""
        case, self.case = self.case, Case()
        return case.samples, case.failure

    @property
    def samples(self) -> list[Sample]:
        """What was measured since `begin`; empty with `on_sample`."""
        return self.case.samples

    @property
    def failure(self) -> str | None:
        """The first unexpected answer since `begin`."""
        return self.case.failure

    @property
    def retry_after(self) -> str | None:
        """The first Retry-After of an unexpected answer since `begin`."""
        return self.case.retry_after

    def expire(self) -> None:
        """The target has forgotten us: log in again before the next request."""
        self._logged_in = False

    def forgive(self) -> None:
        """Let no answer so far fail the item, or be a cause to retry; errors of their calls they stay."""
        self.case.failure = None

    def observe(self, wrap: Callable[[Carrier], C]) -> C:
        """From now on calls are carried by what `wrap` makes of the transport; returns that."""
        self._transport = carrier = wrap(self._transport)
        return carrier

    # ---- requests' methods; get, post and the others are in Verbs ----

    def request(
        self,
        method: str | bytes,
        url: str | bytes,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: float | tuple[float | None, float | None] | None = None,
        allow_redirects: bool = False,
        proxies: Any = None,
        hooks: Any = None,
        stream: bool | None = None,
        verify: bool | str | None = None,
        cert: str | tuple[str, str] | None = None,
        json: Any = None,
        *,
        name: str | None = None,
        expect: int | Collection[int] = (),
    ) -> requests.Response:
        """Make a call.  Raises requests' exceptions, each with a message of one line.

        `name` is its label in the report.  A status of 400 or more that is not in `expect` is a
        failure of the item; the response is returned all the same.  Differences to requests: see the module.
        """
        if self.on_login is not None and not self._logged_in:
            self.log_in()
        method, place = text(method).upper(), self._place(url)
        body = http_multipart.encode(files, data) if files else prepare_body(data, json)
        auth = self.auth if auth is None else auth
        unusual = cookies or proxies or hooks or allow_redirects or cert or verify is not None
        if body is not None and not unusual and self._is_plain(place, auth):
            outgoing = self._outgoing(method, place, params, body, headers, auth, timeout)
            return self.settle(outgoing, *self._sent(outgoing), name, expect)
        rest = {"params": params, "cookies": cookies, "timeout": timeout, "allow_redirects": allow_redirects}
        rest |= {"proxies": proxies, "hooks": hooks, "stream": stream, "verify": verify, "cert": cert}
        url = join(self.base_url, text(url))
        headers = {**dict(self._letterhead.item_headers(self.case)), **(headers or {})}
        if files and body is not None:
            data, json = body[0], None
            if "content-type" not in self._letterhead.fields(self.case, headers):
                headers["Content-Type"] = body[1]
        outer, self._call = self._call, (name, expect)
        try:
            rest |= {"auth": auth or auth_in(url), "headers": headers, "data": data, "json": json}
            return super().request(method, url, **rest)
        finally:
            self._call = outer

    def prepare_call(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        timeout: float | tuple[float | None, float | None] | None = None,
    ) -> Outgoing:
        """A call of the item that has begun, not sent.  Raises RequestException for what takes more than one.

        Whoever sends it calls `log_in` before, `before_call` when it goes out, and hands what came of it to
        `settle`, after `begin` for the same item.
        """
        place, body = self._place(url), prepare_body(data, json)
        if body is None or not self._is_plain(place, self.auth):
            raise requests.RequestException(
                "a described call takes no stream, digest auth, hooks, or session-wide params and proxies"
            )
        return self._outgoing(method.upper(), place, params, body, headers, self.auth, timeout)

    def settle(
        self,
        outgoing: Outgoing,
        received: Received,
        start_us: int,
        name: str | None = None,
        expect: int | Collection[int] = (),
    ) -> Answer:
        """Make the sample and the answer of a call that was sent at `start_us`.  Raises `received.error`."""
        answer = self._judged(outgoing, received, start_us, name, expect)
        if answer.sets_cookies:
            extract_cookies_to_jar(self.cookies, answer.request, answer.raw)  # type: ignore[no-untyped-call]
        if answer.status_code in REDIRECT_STATI:
            answer.resolve = self.resolve_redirects
        return answer

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a prepared request.  Redirects are not followed unless `allow_redirects` says so."""
        self.log_in()
        options.setdefault("allow_redirects", False)
        return super().send(request, **options)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # ---- the short way ----

    def _is_plain(self, place: Place, auth: Any) -> bool:
        """Whether nothing in the session makes the call unusual."""
        return (
            place.plain
            and not self.params
            and not self.proxies
            and not self.hooks.get("response")
            and (auth is None or type(auth) in HEADER_AUTH)
        )

    def _outgoing(
        self,
        method: str,
        place: Place,
        params: Any,
        body: Body,
        headers: Mapping[str, Any] | None,
        auth: Any,
        timeout: Any,
    ) -> Outgoing:
        url, route = place.url, place.route
        if params:
            url = prepare_url(url, params)
        content, content_type = body
        credentials = None if auth is None else authorization(auth)
        added = content_type, self._cookie_headers.header(url), credentials
        sheet, item_headers = self._letterhead.sheet(self.case, headers, added)
        deadlines = deadline(timeout, self.timeout)
        return Outgoing(
            method, url, sheet, *deadlines, content, route.proxy, route.verify, route.cert, item_headers
        )

    # ---- where both ways meet ----

    def _carry(self, request: requests.PreparedRequest, outgoing: Outgoing) -> Answer:
        name, expect = self._call
        received, start_us = self._sent(outgoing)
        if awaits_challenge(request) and is_challenge(received):
            expect = received.status  # no failure yet
        answer = self._judged(outgoing, received, start_us, name, expect)
        answer.request = request
        return answer

    def _sent(self, outgoing: Outgoing) -> tuple[Received, int]:
        """What came, and when it was sent: wall clock, microseconds since 1970."""
        if outgoing.method == "HEAD" and outgoing.body is not None:
            raise requests.RequestException("a HEAD request with a body cannot be sent")
        if self.before_call is not None:
            self.before_call()
        start_us = self._clock.now_us()
        try:
            return self._transport.send(outgoing), start_us
        except UnicodeEncodeError as broken:
            raise requests.exceptions.InvalidHeader(f"not Latin-1: {broken.object!r}") from None
        except Exception as broken:
            return Received(self._clock.now_us() - start_us, error=broken), start_us

    def _judged(
        self,
        outgoing: Outgoing,
        received: Received,
        start_us: int,
        name: str | None,
        expect: int | Collection[int],
    ) -> Answer:
        """One HTTP request, one sample."""
        case, status, broken, error = self.case, received.status, received.error, ""
        if broken is not None:
            error = (one_line(broken) or type(broken).__name__)[:_LONGEST_WORDS]
        elif status >= _FIRST_FAILURE and not _expects(expect, status):
            error = f"HTTP {status}"
        sample = Sample(
            case.item,
            case.attempt,
            sayable(str(name))[:_LONGEST_WORDS]
            if name
            else self._labels.of(case.step, outgoing.method, outgoing.url)[:_LONGEST_WORDS],
            start_us,
            received.total_us,
            received.connect_us,
            received.tls_us,
            received.first_byte_us,
            received.bytes_out,
            received.bytes_in,
            status,
            error,
            received.dns_us,
        )
        (self.on_sample or case.samples.append)(sample)
        if broken is not None:
            if isinstance(broken, requests.RequestException):
                broken.request = prepared(outgoing)
            raise broken
        if received.head != self._facts.head:
            self._facts = Facts(received.head)
        answer = Answer(outgoing, received, self._facts)
        if error:
            self._unexpected(answer)
        return answer

    def _unexpected(self, answer: Answer) -> None:
        """Remember the first failure of the item; fail a login at once, or a 401 would pass for success."""
        path = urlsplit(answer.url).path
        line = f"{answer.request.method} {path} answered {answer.status_code}"
        excerpt = " ".join(answer.content[: 4 * _EXCERPT].decode("utf-8", "replace").split())[:_EXCERPT]
        if excerpt:
            line = f"{line}: {excerpt}"
        if self._in_login:
            raise requests.HTTPError(line, request=answer.request, response=answer)
        case = self.case
        case.failure = case.failure or line
        case.retry_after = case.retry_after or answer.headers.get("Retry-After")

    @property
    def attempt(self) -> int:
        """Which try at its item this is, from 1 on: an earlier one may have had its effect."""
        return self.case.attempt

    @property
    def needs_login(self) -> bool:
        """Whether the next request would log in first."""
        return self.on_login is not None and not self._logged_in

    def log_in(self) -> None:
        """Log in now, unless that was done: otherwise the first request does it."""
        if self.on_login is None or self._logged_in or self._in_login:
            return
        case, self._in_login = self.case, True
        self.case = Case("login", samples=case.samples)
        try:
            self.on_login(self)
            self._logged_in = True
        finally:
            self.case, self._in_login = case, False


def _make_transport(kind: str, clock: Clock, http: Http, connections: Connections) -> Carrier:
    if http not in get_args(Http) or connections not in get_args(Connections):
        raise ValueError(f"no session has http={http!r} and connections={connections!r}")
    # Imported when asked for: a session on one transport needs not load the other.
    if kind == "curl":
        from loadgen.execution.curl import CurlTransport

        return CurlTransport(http, connections)
    if kind != "requests":
        raise ValueError(f"transport must be 'curl' or 'requests', not {kind!r}")
    if http != "1.1":
        raise ValueError(f"http={http!r} needs transport='curl'; requests speaks only 1.1")
    from loadgen.execution.requests_transport import RequestsTransport

    return RequestsTransport(clock, connections)


def _expects(expect: int | Collection[int], status: int) -> bool:
    return status == expect if isinstance(expect, int) else status in expect
