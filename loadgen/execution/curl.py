"""The transport that sessions use: one libcurl easy handle, its connection kept alive and its clock in C.

libcurl has habits of its own, and a load generator that promises "sent at most once" can afford none
of them.  Redirects, authentication, cookies and proxies from the environment are off: the session
decides.  `Expect: 100-continue` is off: it delays large uploads by up to a second.

The dangerous habit cannot be switched off by any option: when a *reused* connection dies before the
first byte of the answer, libcurl silently sends the request again on a new one, POST included.
Against a server that reads the second request on a connection and then closes it, libcurl 8.23 showed
the server every such request twice and reported one success (`NUM_CONNECTS` is 1 then, as after any
reconnect, so it cannot be detected afterwards either).  But libcurl asks `PREREQFUNCTION` before each
time it sends: `_Once` agrees once a call, and aborts the second time.  What libcurl had opened for it
is closed unused, and the caller hears that the connection was closed without an answer.  This costs
4 % of libcurl's bare rate (63,000 instead of 66,000 requests/s), and buys the promise.  A connection
that the server had closed *before* the request is noticed and replaced before anything is sent; that
is no retry.
"""

from __future__ import annotations

import os
from errno import ECONNREFUSED
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import certifi
import pycurl
from requests.utils import urldefragauth

from loadgen.errors import UsageError
from loadgen.execution.http_errors import Trouble, peer
from loadgen.execution.http_messages import Received

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests

    from loadgen.execution.http_headers import Headers, ItemHeaders
    from loadgen.execution.http_messages import Outgoing
    from loadgen.scenario import Connections, Http

_E_PROXY = 97
"""CURLE_PROXY, which pycurl does not name."""
_SHEETS_KEPT = 64
_WHOLE = (bytes, type(None))
"""Kinds of body that are there at once."""
_E_QUIC_CONNECT = 96
"""CURLE_QUIC_CONNECT_ERROR, which pycurl does not name either."""
_NO_QUIC = (pycurl.E_COULDNT_CONNECT, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, _E_QUIC_CONNECT)
_UPLOAD_CHUNK = 512 * 1024

_VERSIONS: dict[Http, tuple[int, int]] = {
    "1.1": (pycurl.CURL_HTTP_VERSION_1_1, 0),
    "2": (pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE, pycurl.VERSION_HTTP2),
    "3": (pycurl.CURL_HTTP_VERSION_3ONLY, pycurl.VERSION_HTTP3),
    "auto": (pycurl.CURL_HTTP_VERSION_2TLS, 0),
}
"""What libcurl calls them, and the feature that it needs.

`2TLS` and `3` would do with an older version when the server does not know the newer, and nobody would
hear of it: fine for "auto", a false measurement for the others.  These fail before anything is sent.
"""
_BY_OPTION = {"User-Agent": pycurl.USERAGENT, "Accept-Encoding": pycurl.ACCEPT_ENCODING}
"""Headers that libcurl has options for; with empty ones it sends none, and decodes answers all the same."""
_Sheet: TypeAlias = tuple[list[bytes | str], tuple[bytes, ...]]
"""Header lines, and what the options are set to."""
_TROUBLES = {
    pycurl.E_UNSUPPORTED_PROTOCOL: Trouble.NOT_HTTP,
    pycurl.E_HTTP2: Trouble.NOT_HTTP,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: Trouble.NOT_HTTP,  # not only FTP's any more
    pycurl.E_URL_MALFORMAT: Trouble.BAD_URL,
    pycurl.E_COULDNT_RESOLVE_HOST: Trouble.UNRESOLVED,
    pycurl.E_COULDNT_CONNECT: Trouble.UNREACHABLE,
    pycurl.E_PARTIAL_FILE: Trouble.CUT,
    pycurl.E_GOT_NOTHING: Trouble.NO_ANSWER,
    pycurl.E_SEND_ERROR: Trouble.RESET,
    pycurl.E_RECV_ERROR: Trouble.RESET,
    pycurl.E_ABORTED_BY_CALLBACK: Trouble.NO_ANSWER,  # by _Once
    pycurl.E_SEND_FAIL_REWIND: Trouble.NO_ANSWER,  # it wanted to send a stream again
    pycurl.E_BAD_CONTENT_ENCODING: Trouble.UNDECODABLE,
    pycurl.E_SSL_CONNECT_ERROR: Trouble.TLS,
    pycurl.E_SSL_CERTPROBLEM: Trouble.TLS,
    pycurl.E_SSL_CIPHER: Trouble.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: Trouble.TLS,
    pycurl.E_SSL_CACERT_BADFILE: Trouble.TLS,
    pycurl.E_SSL_CRL_BADFILE: Trouble.TLS,
    pycurl.E_SSL_ISSUER_ERROR: Trouble.TLS,
    pycurl.E_SSL_ENGINE_INITFAILED: Trouble.TLS,
    pycurl.E_SSL_ENGINE_NOTFOUND: Trouble.TLS,
    pycurl.E_SSL_ENGINE_SETFAILED: Trouble.TLS,
    pycurl.E_SSL_INVALIDCERTSTATUS: Trouble.TLS,
    pycurl.E_SSL_PINNEDPUBKEYNOTMATCH: Trouble.TLS,
    pycurl.E_SSL_SHUTDOWN_FAILED: Trouble.TLS,
}


class CurlTransport:
    """One easy handle.  Used by one thread at a time."""

    def __init__(self, http: Http = "1.1", connections: Connections = "keep") -> None:
        """Raises UsageError when this libcurl was built without that version of HTTP."""
        self._http, self._connections = http, connections
        version, feature = _VERSIONS[http]
        features: Any = pycurl.version_info()[4]
        if feature & ~features:
            raise UsageError(f"this libcurl cannot speak HTTP/{http}: {pycurl.version}")
        self._version = version
        self.accept_encoding = "gzip, deflate, br" if "brotli" in pycurl.version else "gzip, deflate"
        self._once = _Once()
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        self._lines: list[bytes | str] = []
        self._alone = False
        """Whether the last call was a GET with no body and no proxy, where libcurl adds little of its own."""
        self._sheets: dict[tuple[Headers, bool], _Sheet] = {}
        self._curl = pycurl.Curl()
        self._last: Outgoing | None = None
        self._start_afresh()

    @property
    def handle(self) -> pycurl.Curl:
        """The easy handle, to be performed after `aim`; another one after `close`."""
        return self._curl

    def send(self, request: Outgoing) -> Received:
        """Send it once and wait for the end.  What reading a stream raises is raised."""
        self.aim(request)
        try:
            self._curl.perform()
        except pycurl.error as error:
            return self.failed(request, *error.args)
        return self.received()

    def aim(self, request: Outgoing) -> None:
        """Everything that comes before performing.  Raises UnicodeEncodeError for what no header can hold."""
        self._head.clear()
        self._body.clear()
        self._once.sent = False
        if self._stream is not None or not isinstance(request.body, _WHOLE):
            self._start_afresh()  # there is no other way from POSTFIELDS to READFUNCTION, and back
        elif self._tls is not None and self._tls != (request.verify, request.cert):
            self._start_afresh()  # nor from a client certificate to none
        # While it is None, the next call sets everything: aiming may stop half-way, at a bad header.
        last, self._last = self._last, None
        self._direct(request, last)
        self._load(request)
        self._last = request

    def close(self) -> None:
        """Close the connections; the next request opens new ones, as with requests."""
        self._curl.close()
        self._curl = pycurl.Curl()
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Set what never changes.  Connections outlive the reset."""
        curl = self._curl
        curl.reset()
        for option, value in (
            (pycurl.WRITEFUNCTION, self._body.append),
            (pycurl.HEADERFUNCTION, self._head.append),
            (pycurl.PREREQFUNCTION, self._once.may_send),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.HTTP_VERSION, self._version),
            (pycurl.NOPROXY, ""),  # else libcurl reads the environment's
        ):
            curl.setopt(option, value)
        if self._connections == "new":
            for option in (pycurl.FRESH_CONNECT, pycurl.FORBID_REUSE):
                curl.setopt(option, 1)
            curl.setopt(pycurl.SSL_SESSIONID_CACHE, 0)  # each handshake is a whole one
        self._last = None
        self._tls: object = None
        self._shape = ("", True)
        self._stream: _Stream | None = None

    def _direct(self, request: Outgoing, last: Outgoing | None) -> None:
        """Where to, with which headers, for how long: only what differs from the last call."""
        curl, url = self._curl, request.url
        if last is None or url != last.url:
            curl.setopt(pycurl.URL, (urldefragauth(url) if "@" in url else url).encode())
            if self._tls is None and url.startswith("https:"):
                self._trust(request.verify, request.cert)
                self._tls = (request.verify, request.cert)
        alone = request.method == "GET" and request.body is None and not request.proxy
        if last is None or request.headers is not last.headers or alone is not self._alone:
            self._alone = alone
            self._set_headers(request.headers)
            last_item: ItemHeaders | None = None
        else:
            last_item = last.item_headers
        if request.item_headers is not last_item:
            more = [f"{name}: {value}" for name, value in request.item_headers]
            curl.setopt(pycurl.HTTPHEADER, self._lines + more)
        if last is None or request.total_s != last.total_s or request.connect_s != last.connect_s:
            curl.setopt(pycurl.TIMEOUT_MS, max(1, int(request.total_s * 1000)))
            curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(request.connect_s * 1000)))
        if last is None or request.proxy != last.proxy:
            curl.setopt(pycurl.PROXY, request.proxy)  # empty: none, not even the environment's

    def _set_headers(self, headers: Headers) -> None:
        """Other headers than those of the last call; calls of a few kinds take turns."""
        sheet = self._sheets.get((headers, self._alone))
        if sheet is None:
            if len(self._sheets) >= _SHEETS_KEPT:
                self._sheets.clear()
            self._sheets[headers, self._alone] = sheet = _sheet(headers, self._alone)
        self._lines, options = sheet
        for option, value in zip(_BY_OPTION.values(), options, strict=True):
            self._curl.setopt(option, value)

    def _trust(self, verify: bool | str, cert: str | tuple[str, str] | None) -> None:
        curl = self._curl
        curl.setopt(pycurl.SSL_VERIFYPEER, 1 if verify else 0)
        curl.setopt(pycurl.SSL_VERIFYHOST, 2 if verify else 0)
        authorities = verify if isinstance(verify, str) else certifi.where()
        if Path(authorities).is_dir():
            curl.unsetopt(pycurl.CAINFO)
            curl.setopt(pycurl.CAPATH, authorities)
        else:
            curl.setopt(pycurl.CAINFO, authorities)
        if cert:
            certificate, key = cert if isinstance(cert, tuple) else (cert, cert)
            curl.setopt(pycurl.SSLCERT, certificate)
            curl.setopt(pycurl.SSLKEY, key)

    def _load(self, request: Outgoing) -> None:
        """Method and body; no body is `Content-Length: 0` where there could be one, as with requests."""
        curl, method, body = self._curl, request.method, request.body
        if body is None and method not in ("GET", "HEAD"):
            body = b""
        shape = (method, body is None)
        if shape != self._shape:
            self._shape = shape
            usual = "GET" if body is None else "POST"
            curl.setopt({"GET": pycurl.HTTPGET, "POST": pycurl.POST}[usual], 1)
            if method == "HEAD" and body is None:
                curl.setopt(pycurl.NOBODY, 1)
            if method in (usual, "HEAD"):
                curl.unsetopt(pycurl.CUSTOMREQUEST)
            else:
                curl.setopt(pycurl.CUSTOMREQUEST, method)
        if isinstance(body, bytes):
            curl.setopt(pycurl.POSTFIELDS, body)
        elif body is not None:
            self._stream = _Stream(body)
            curl.setopt(pycurl.READFUNCTION, self._stream.read)
            curl.setopt(pycurl.POSTFIELDSIZE_LARGE, _announced_length(request))
            curl.setopt(pycurl.UPLOAD_BUFFERSIZE, _UPLOAD_CHUNK)

    def received(self) -> Received:
        """What came, after performing succeeded."""
        info = self._curl.getinfo
        fresh = info(pycurl.NUM_CONNECTS) > 0
        head = b"".join(self._head)
        size = len(head)
        if head.find(b"\r\n\r\n") + 4 != size:
            head = _final_head(head)
        return Received(
            info(pycurl.TOTAL_TIME_T),
            info(pycurl.CONNECT_TIME_T) if fresh else 0,
            info(pycurl.APPCONNECT_TIME_T) if fresh else 0,
            info(pycurl.STARTTRANSFER_TIME_T),
            info(pycurl.REQUEST_SIZE),  # with the body, whatever libcurl's manual says
            size + info(pycurl.SIZE_DOWNLOAD_T),
            info(pycurl.RESPONSE_CODE),
            head,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            dns_us=info(pycurl.NAMELOOKUP_TIME_T) if fresh else 0,
        )

    def failed(self, request: Outgoing, code: int, why: str) -> Received:
        """What became of it, after performing failed with libcurl's code and words.

        Raises what reading a stream raised.
        """
        if self._stream is not None and self._stream.error is not None:
            raise self._stream.error from None
        info = self._curl.getinfo
        fresh = info(pycurl.NUM_CONNECTS) > 0
        return Received(
            info(pycurl.TOTAL_TIME_T),
            info(pycurl.CONNECT_TIME_T) if fresh else 0,
            info(pycurl.APPCONNECT_TIME_T) if fresh else 0,
            info(pycurl.STARTTRANSFER_TIME_T) if self._head else 0,
            info(pycurl.REQUEST_SIZE),
            info(pycurl.HEADER_SIZE) + info(pycurl.SIZE_DOWNLOAD_T),
            dns_us=info(pycurl.NAMELOOKUP_TIME_T) if fresh else 0,
            error=self._explain(request, code, why),
        )

    def _explain(self, request: Outgoing, code: int, why: str) -> requests.RequestException:
        url, info = request.url, self._curl.getinfo
        if request.proxy:
            answered = info(pycurl.HTTP_CONNECTCODE)
            if answered >= 300:  # noqa: PLR2004  (anything but "connected")
                return Trouble.PROXY.error(url, f"proxy {peer(request.proxy)} answered {answered} to CONNECT")
            if code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_PROXY, _E_PROXY):
                return Trouble.PROXY.error(url, f"cannot connect to proxy {peer(request.proxy)}: {why}")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._once.sent:
                return Trouble.READ_TIMEOUT.error(url, f"{request.total_s:g}")
            return Trouble.CONNECT_TIMEOUT.error(url, f"{min(request.connect_s, request.total_s):g}")
        if code == pycurl.E_RECV_ERROR and self._head:
            return Trouble.CUT.error(url, why)
        return self._explain_start(url, code, why) or _TROUBLES.get(code, Trouble.OTHER).error(url, why)

    def _explain_start(self, url: str, code: int, why: str) -> requests.RequestException | None:
        """When no connection came about."""
        if self._http == "3" and not self._once.sent and code in _NO_QUIC:
            return Trouble.OTHER_HTTP.error(url, f"HTTP/3: {why}")
        if self._http == "2" and code == pycurl.E_SSL_CONNECT_ERROR and "application protocol" in why:
            return Trouble.OTHER_HTTP.error(url, f"HTTP/2: {why}")
        if code == pycurl.E_COULDNT_CONNECT:
            number = self._curl.getinfo(pycurl.OS_ERRNO)
            if number == ECONNREFUSED:
                return Trouble.REFUSED.error(url)
            return Trouble.UNREACHABLE.error(url, os.strerror(number).lower() if number else why)
        return None


class _Once:
    """libcurl asks before each time it sends: yes once a call."""

    def __init__(self) -> None:
        self.sent = False

    def may_send(self, *_: object) -> int:
        """For PREREQFUNCTION."""
        if self.sent:
            return pycurl.PREREQFUNC_ABORT
        self.sent = True
        return pycurl.PREREQFUNC_OK


class _Stream:
    """A body that is read while it is sent; keeps what reading it raised, for libcurl cannot pass it on."""

    def __init__(self, body: Iterable[bytes | str]) -> None:
        self.error: BaseException | None = None
        read = getattr(body, "read", None)
        self._pieces = iter(body) if read is None else iter(lambda: read(_UPLOAD_CHUNK) or None, None)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes | int:
        """For READFUNCTION: up to `size` bytes, none at the end."""
        try:
            while not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._left = memoryview(piece.encode() if isinstance(piece, str) else piece)
        except BaseException as error:
            self.error = error
            return pycurl.READFUNC_ABORT
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)


def _sheet(headers: Headers, alone: bool) -> _Sheet:
    """What to tell libcurl of the given headers, and a word against each that it would add by itself.

    Lines cost libcurl more than options, for it looks through all of them for each header that it knows.
    """
    lines: list[bytes | str] = []
    options, given = dict.fromkeys(_BY_OPTION, b""), set()
    for name, value in headers:
        given.add(name.lower())
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        if name in _BY_OPTION and raw and raw == raw.strip():
            options[name] = raw
        elif name.lower() != "content-length" and (name, raw) != ("Accept", b"*/*"):  # it says these itself
            lines.append(name.encode("latin-1") + (b": " + raw if raw.strip() else b";"))
    own = ("Accept", "Accept-Encoding") + (() if alone else ("Content-Type", "Expect", "Proxy-Connection"))
    lines += [f"{name}:".encode() for name in own if name.lower() not in given]
    return lines, tuple(options.values())


def _announced_length(request: Outgoing) -> int:
    """What Content-Length says; -1 (send it in chunks) without one."""
    if request.length is not None:
        return request.length
    return next((int(value) for name, value in request.headers if name.lower() == "content-length"), -1)


def _final_head(head: bytes) -> bytes:
    """Without what came before (100 Continue, 103 Early Hints) and after (trailers) the answer's own head."""
    start = head.rfind(b"\r\n\r\nHTTP/")
    start = start + 4 if start >= 0 else 0
    end = head.find(b"\r\n\r\n", start)
    return head[start : end + 4] if end >= 0 else head[start:]
