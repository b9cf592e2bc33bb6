"""The transport for tests and for targets that libcurl cannot reach: plain requests.

It goes through a real `requests.adapters.HTTPAdapter`, so what the `responses` package mocks is mocked
here too.  It is slower (about 20 times), its clock is Python's (a busy process reports its own
queueing as the target's), it cannot tell how long connecting took, and its deadline counts for each
socket operation instead of for the whole call.
"""

from __future__ import annotations

import http.client
import re
import socket
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_ACCEPT_ENCODING
from urllib3.util import SKIP_HEADER

from loadgen.execution.http_errors import Trouble, peer
from loadgen.execution.http_messages import Received, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.clock import Clock
    from loadgen.execution.http_messages import Outgoing
    from loadgen.scenario import Connections

_TUNNEL_FAILED = re.compile(r"Tunnel connection failed: (\d+)")

_FOLD = re.compile(r"\r?\n[ \t]+")

_TROUBLES: tuple[tuple[tuple[type[BaseException], ...], Trouble], ...] = (
    ((exceptions.ConnectTimeout,), Trouble.CONNECT_TIMEOUT),
    ((exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError), Trouble.READ_TIMEOUT),
    ((exceptions.SSLError, urllib3.exceptions.SSLError), Trouble.TLS),
    ((exceptions.ContentDecodingError,), Trouble.UNDECODABLE),
    ((exceptions.ChunkedEncodingError,), Trouble.CUT),
    ((socket.gaierror,), Trouble.UNRESOLVED),
    ((ConnectionRefusedError,), Trouble.REFUSED),
    ((http.client.RemoteDisconnected,), Trouble.NO_ANSWER),
    ((ConnectionResetError, BrokenPipeError), Trouble.RESET),
    ((urllib3.exceptions.NewConnectionError,), Trouble.UNREACHABLE),
    ((http.client.HTTPException,), Trouble.NOT_HTTP),
)
"""Looked for in this order: a RemoteDisconnected is a ConnectionResetError, too."""


class RequestsTransport:
    """A requests session of its own; no retries."""

    def __init__(self, clock: Clock, connections: Connections = "keep") -> None:
        self._connections = connections
        self.accept_encoding = DEFAULT_ACCEPT_ENCODING
        self._clock = clock
        self._session = requests.Session()
        for prefix in ("http://", "https://"):
            self._session.get_adapter(prefix).close()
            self._session.mount(prefix, _PlainAdapter())

    def send(self, request: Outgoing) -> Received:
        """Send it once and wait for the end.  What reading a stream raises is raised."""
        if self._connections == "new":
            self._session.close()
        start = self._clock.monotonic_us()
        first_byte_us = 0
        try:
            response = self._session.get_adapter(request.url).send(
                prepared(request),
                stream=True,
                timeout=(request.connect_s, _read_s(request)),
                verify=request.verify,
                cert=request.cert,
                proxies={"http": request.proxy, "https": request.proxy} if request.proxy else {},
            )
            first_byte_us = self._clock.monotonic_us() - start
            with response:
                body = response.content or b""
        except (OSError, urllib3.exceptions.HTTPError) as error:
            total_us = self._clock.monotonic_us() - start
            return Received(total_us, first_byte_us=first_byte_us, error=_explain(request, error))
        total_us = self._clock.monotonic_us() - start
        head = _head(response)
        return Received(
            total_us,
            first_byte_us=first_byte_us,
            bytes_out=_size(request),
            bytes_in=len(head) + response.raw.tell(),
            status=response.status_code,
            head=head,
            body=body,
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _PlainAdapter(HTTPAdapter):
    """Adds nothing to what it is given."""

    def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
        # urllib3 and http.client would each put in one of their own.
        for name in ("User-Agent", "Accept-Encoding"):
            request.headers.setdefault(name, SKIP_HEADER)


def _read_s(request: Outgoing) -> float:
    """What is left of the deadline after connecting; all of it when connecting may take all."""
    return request.total_s - request.connect_s or request.total_s


def _head(response: requests.Response) -> bytes:
    """Status line and headers as they came, or nearly."""
    lines = [f"HTTP/1.1 {response.status_code} {response.reason or ''}".rstrip()]
    lines += [f"{name}: {_FOLD.sub(' ', value)}" for name, value in response.raw.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _size(request: Outgoing) -> int:
    """About what went over the wire; of a stream, what Content-Length says."""
    headers = prepared(request).headers
    size = len(f"{request.method} / HTTP/1.1\r\nHost: {peer(request.url)}\r\n\r\n") + len(request.url)
    size += sum(len(name) + len(value) + 4 for name, value in headers.items())
    return size + int(headers.get("Content-Length", 0))


def _explain(request: Outgoing, error: Exception) -> requests.RequestException:
    """urllib3's nest of exceptions in one line; what has no such nest (a mock's own) stays as it is."""
    nest = list(_nested(error))
    if isinstance(error, exceptions.ProxyError):
        return _explain_proxy(request, nest)
    for kinds, trouble in _TROUBLES:
        found = next((one for one in nest if isinstance(one, kinds)), None)
        if found is None:
            continue
        if trouble is Trouble.CONNECT_TIMEOUT:
            return trouble.error(request.url, f"{request.connect_s:g}")
        if trouble is Trouble.READ_TIMEOUT:
            return trouble.error(request.url, f"{_read_s(request):g}")
        why = getattr(nest[-1], "strerror", None) or nest[-1]
        return trouble.error(request.url, why)
    if isinstance(error, requests.RequestException):
        return error
    # requests checks the files of verify= and cert= with a plain OSError.
    return (Trouble.TLS if isinstance(error, OSError) else Trouble.OTHER).error(request.url, error)


def _explain_proxy(request: Outgoing, nest: list[BaseException]) -> requests.RequestException:
    proxy = peer(request.proxy)
    answered = next((m[1] for one in nest if (m := _TUNNEL_FAILED.search(str(one)))), None)
    if answered:
        return Trouble.PROXY.error(request.url, f"proxy {proxy} answered {answered} to CONNECT")
    return Trouble.PROXY.error(request.url, f"cannot connect to proxy {proxy}: {nest[-1]}")


def _nested(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that hide in its arguments, reasons and causes, outermost first."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
    return iter(seen)
