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

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import requests
from requests.cookies import extract_cookies_to_jar

from loadgen.clock import Clock, SystemClock
from loadgen.errors import one_line
from loadgen.execution import http_multipart
from loadgen.execution.http_adapter import Hop
from loadgen.execution.http_auth import (
    HEADER_AUTH,
    Bearer,
    auth_in,
    authorization,
    awaits_challenge,
    is_challenge,
)
from loadgen.execution.http_cookies import CookieHeaders, WatchedJar
from loadgen.execution.http_messages import Answer, Outgoing, Received, prepared
from loadgen.execution.http_prepare import (
    Body,
    HeaderMap,
    Labels,
    WatchedHeaders,
    check_scheme,
    deadline,
    join,
    overlay,
    prepare_body,
    prepare_url,
    proxy_for,
    text,
)
from loadgen.execution.http_verbs import Verbs
from loadgen.sample import NO_ITEM, Sample
from loadgen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from http.cookiejar import CookieJar

    from requests.adapters import BaseAdapter

    from loadgen.execution.http_messages import Transport

__all__ = ["Bearer", "Session"]

_EXCERPT = 200
"""Characters of an answer that are kept to explain a failure."""
_FIRST_FAILURE = 400
"""Statuses from here on are failures unless expected."""
_ROUTES_KEPT = 256


class Session(Verbs):
    """Requests' session, relative to a target, with a sample for each HTTP request.  For one thread.

    `base_url` is what relative URLs are joined to; `timeout` (seconds) is the deadline of calls without one.
    `on_sample` gets each sample; without it they gather in `samples` until `finish`.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        transport: Literal["curl", "requests"] = "curl",
        timeout: float = 60.0,
        on_sample: Callable[[Sample], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        super().__init__()
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.samples: list[Sample] = []
        """What was measured since `begin`; empty with `on_sample`."""
        self.failure: str | None = None
        """The first unexpected answer since `begin`."""
        self.retry_after: str | None = None
        """The first Retry-After of an unexpected answer since `begin`."""
        self.on_sample = on_sample
        self.before_call: Callable[[], None] | None = None
        """Called before each HTTP request, which what it raises prevents."""
        self.on_login: Callable[[Session], None] | None = None
        """Called with this session before its first request, and before the next one after `expire`."""
        self._transport = _make_transport(transport, self._clock)
        self._adapter = Hop(self._carry, lambda: self.timeout)
        self._logged_in = self._in_login = False
        self._step, self._item, self._attempt = "", NO_ITEM, 1
        self._item_headers: Mapping[str, str] = {}
        self._call: tuple[str | None, int | Collection[int]] = (None, ())
        self._labels = Labels()
        self._routes: dict[object, tuple[str, bool | str, Any]] = {}
        self._fields: HeaderMap = {}
        self._pairs: tuple[tuple[str, str | bytes], ...] = ()
        self._fields_version = -1
        self.headers = {
            "User-Agent": f"loadgen/{__version__}",
            "Accept-Encoding": self._transport.accept_encoding,
            "Accept": "*/*",
            "Connection": "keep-alive",
        }

    # ---- what the pool calls ----

    def begin(self, step: str, item: int, attempt: int, headers: Mapping[str, str] | None = None) -> None:
        """From now on calls belong to this attempt at this item, and carry these headers."""
        self.samples, self.failure, self.retry_after = [], None, None
        self._step, self._item, self._attempt = step, item, attempt
        self._item_headers = headers or {}
        self._fields_version = -1

    def finish(self) -> tuple[list[Sample], str | None]:
        """Samples and failure since `begin`.  What is called from now on belongs to no item."""
        samples, failure = self.samples, self.failure
        self.begin("", NO_ITEM, 1)
        return samples, failure

    def expire(self) -> None:
        """The target has forgotten us: log in again before the next request."""
        self._logged_in = False

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
        self.log_in()
        method, url = text(method).upper(), join(self.base_url, text(url))
        auth = self.auth if auth is None else auth
        body = http_multipart.encode(files, data) if files else prepare_body(data, json)
        unusual = body is None or cookies or proxies or hooks or allow_redirects or cert or verify is not None
        if body is not None and not unusual and self._is_plain(url, auth):
            outgoing = self._outgoing(method, prepare_url(url, params), body, headers, auth, timeout)
            return self.settle(outgoing, *self._sent(outgoing), name, expect)
        rest = {"params": params, "cookies": cookies, "timeout": timeout, "allow_redirects": allow_redirects}
        rest |= {"proxies": proxies, "hooks": hooks, "stream": stream, "verify": verify, "cert": cert}
        headers = {**self._item_headers, **(headers or {})}
        if files and body is not None:
            data, json = body[0], None
            if "content-type" not in self._header_fields(headers):
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

        Whoever sends it hands what came of it to `settle`, after `begin` for the same item.
        """
        method, url = method.upper(), join(self.base_url, url)
        body = prepare_body(data, json)
        if body is None or not self._is_plain(url, self.auth):
            raise requests.RequestException(
                "a described call takes no stream, digest auth, hooks, or session-wide params and proxies"
            )
        return self._outgoing(method, prepare_url(url, params), body, headers, self.auth, timeout)

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

    # ---- requests' attributes, watched ----

    @property
    def headers(self) -> WatchedHeaders:
        """Sent with every request."""
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, str | bytes | None]) -> None:
        self._headers = WatchedHeaders(headers)
        self._fields_version = -1

    @property
    def cookies(self) -> WatchedJar:
        """The session's cookies: those that the target set, and those put in by hand."""
        return self._cookie_headers.jar

    @cookies.setter
    def cookies(self, cookies: CookieJar | Mapping[str, str]) -> None:
        jar = WatchedJar()
        jar.update(cookies)
        self._cookie_headers = CookieHeaders(jar, self._clock)

    # ---- requests' own steps, changed ----

    def get_adapter(self, url: str) -> BaseAdapter:
        """The one transport there is.  Raises InvalidSchema for anything but http and https."""
        check_scheme(url)
        return self._adapter

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:  # noqa: ARG002  (requests' signature)
        """Refused: the usual call would go past it."""
        if hasattr(self, "_adapter"):  # requests' constructor mounts, too
            raise TypeError("a loadgen Session has one transport; no adapter can be mounted")

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take the credentials off when a redirect leaves the host; as requests, without netrc."""
        headers = prepared_request.headers
        stray = self.should_strip_auth(response.request.url, prepared_request.url)  # type: ignore[no-untyped-call]
        if stray:
            headers.pop("Authorization", None)

    # ---- the short way ----

    def _is_plain(self, url: str, auth: Any) -> bool:
        """Whether nothing in the session makes the call unusual."""
        return not (
            self.params
            or self.proxies
            or self.hooks.get("response")
            or "@" in url
            or (auth is not None and type(auth) not in HEADER_AUTH)
        )

    def _header_fields(self, headers: Mapping[str, Any] | None) -> HeaderMap:
        """The session's, the item's and the call's headers merged.  The result is not to be changed."""
        if self._fields_version != self._headers.version:
            self._fields = overlay(overlay({}, self._headers), self._item_headers)
            self._pairs = tuple(self._fields.values())
            self._fields_version = self._headers.version
        return overlay(dict(self._fields), headers) if headers else self._fields

    def _outgoing(
        self,
        method: str,
        url: str,
        body: Body,
        headers: Mapping[str, Any] | None,
        auth: Any,
        timeout: Any,
    ) -> Outgoing:
        fields = self._header_fields(headers)
        content, content_type = body
        added: HeaderMap = {}
        cookie = self._cookie_headers.header(url)
        if cookie is not None and "cookie" not in fields:
            added["cookie"] = ("Cookie", cookie)
        if content is not None or method not in ("GET", "HEAD"):
            added["content-length"] = ("Content-Length", str(len(content or b"")))
        if content_type is not None and "content-type" not in fields:
            added["content-type"] = ("Content-Type", content_type)
        if auth is not None:
            added["authorization"] = ("Authorization", authorization(auth))
        # The same tuple as last time tells the transport that no header has changed.
        unchanged = self._pairs if fields is self._fields else tuple(fields.values())
        pairs = tuple({**fields, **added}.values()) if added else unchanged
        connect_s, total_s = deadline(timeout, self.timeout)
        proxy, verify, cert = self._route(url)
        return Outgoing(method, url, pairs, connect_s, total_s, content, proxy, verify, cert)

    def _route(self, url: str) -> tuple[str, bool | str, Any]:
        """Proxy, authorities and client certificate for an origin; asking the environment takes 200 us."""
        key = (url[: url.find("/", 8)], self.verify, self.cert, self.trust_env)
        route = self._routes.get(key)
        if route is None:
            settings = self.merge_environment_settings(url, {}, None, None, None)
            verify = settings["verify"]
            trusted = True if verify is None else verify
            route = (proxy_for(url, settings["proxies"]), trusted, settings["cert"])
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            self._routes[key] = route
        return route

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
        status, broken, error = received.status, received.error, ""
        if broken is not None:
            error = one_line(broken) or type(broken).__name__
        elif status >= _FIRST_FAILURE and not _expects(expect, status):
            error = f"HTTP {status}"
        sample = Sample(
            self._item,
            self._attempt,
            name or self._labels.of(self._step, outgoing.method, outgoing.url),
            start_us,
            received.total_us,
            received.connect_us,
            received.tls_us,
            received.first_byte_us,
            received.bytes_out,
            received.bytes_in,
            status,
            error,
        )
        (self.on_sample or self.samples.append)(sample)
        if broken is not None:
            if isinstance(broken, requests.RequestException):
                broken.request = prepared(outgoing)
            raise broken
        answer = Answer(outgoing, received)
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
        self.failure = self.failure or line
        self.retry_after = self.retry_after or answer.headers.get("Retry-After")

    def log_in(self) -> None:
        """Log in now, unless that was done: otherwise the first request does it."""
        if self.on_login is None or self._logged_in or self._in_login:
            return
        item = self._step, self._item, self._attempt, self._item_headers
        self._step, self._item, self._attempt, self._item_headers = "login", NO_ITEM, 1, {}
        self._fields_version = -1
        self._in_login = True
        try:
            self.on_login(self)
            self._logged_in = True
        finally:
            self._in_login = False
            self._step, self._item, self._attempt, self._item_headers = item
            self._fields_version = -1


def _make_transport(kind: str, clock: Clock) -> Transport:
    # Imported when asked for: a session on one transport needs not load the other.
    if kind == "curl":
        from loadgen.execution.curl import CurlTransport

        return CurlTransport()
    if kind == "requests":
        from loadgen.execution.requests_transport import RequestsTransport

        return RequestsTransport(clock)
    raise ValueError(f"transport must be 'curl' or 'requests', not {kind!r}")


def _expects(expect: int | Collection[int], status: int) -> bool:
    return status == expect if isinstance(expect, int) else status in expect
