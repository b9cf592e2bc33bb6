"""The transport as requests' own code wants to see it: an adapter whose every send is one HTTP request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import BaseAdapter

from loadgen.execution.http_messages import Outgoing
from loadgen.execution.http_prepare import deadline, proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from loadgen.execution.http_messages import Answer


class Hop(BaseAdapter):
    """Turns what requests has prepared into an Outgoing; `carry` sends it."""

    def __init__(
        self,
        carry: Callable[[requests.PreparedRequest, Outgoing], Answer],
        default_timeout: Callable[[], float],
    ) -> None:
        super().__init__()
        self._carry = carry
        self._default_timeout = default_timeout

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002  (the body is read all the same)
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Answer:
        """Raises what the transport reports, and ValueError for a timeout of nothing."""
        url = request.url or ""
        outgoing = Outgoing(
            request.method or "GET",
            url,
            tuple(request.headers.items()),
            *deadline(timeout, self._default_timeout()),
            _bytes_or_stream(request.body),
            proxy_for(url, proxies),
            True if verify is None else verify,
            cert,
        )
        answer = self._carry(request, outgoing)
        answer.connection = self  # type: ignore[assignment]  # digest auth answers its challenge through this
        return answer

    def close(self) -> None:
        """The session closes the transport itself."""


def _bytes_or_stream(body: Any) -> Any:
    if isinstance(body, str):
        return body.encode() or None
    return bytes(body) if isinstance(body, (bytearray, memoryview)) else body
