"""The queue as a worker on the network sees it: one connection, one call at a time."""

from __future__ import annotations

import itertools
import threading
from multiprocessing import AuthenticationError, connection, managers
from typing import Any

from loadgen.errors import CROSSING, MasterGone, TokenError
from loadgen.queues.messages import (
    Arm,
    Armed,
    Beat,
    Bye,
    Drained,
    Hello,
    Lease,
    LeaseRequest,
    Receipt,
    Release,
    Report,
    Wait,
    Welcome,
)
from loadgen.queues.server import OBJECT
from loadgen.queues.token import Token
from loadgen.queues.wire import FrameConnection, connect


class QueueClient:
    """A `Queue` at host:port.  Connects with the first call, and again after MasterGone."""

    def __init__(self, token: Token, host: str, port: int, name: str = "worker") -> None:
        self._token = token
        self._host = host
        self._port = port
        self._name = name
        self._calls = itertools.count(1)
        self._connection: FrameConnection | None = None
        self._lock = threading.Lock()

    def hello(self, message: Hello) -> Welcome:
        """Join.  Raises TokenError, Refused, MasterGone."""
        reply: Welcome = self._call("hello", message, Welcome)
        return reply

    def lease(self, message: LeaseRequest) -> Lease | Wait | Drained:
        """Get a chunk.  Raises MasterGone, as do all of these."""
        reply: Lease | Wait | Drained = self._call("lease", message, Lease | Wait | Drained)
        return reply

    def arm(self, message: Arm) -> Armed:
        """Mark items as about to be sent."""
        reply: Armed = self._call("arm", message, Armed)
        return reply

    def report(self, message: Report) -> Receipt:
        """Hand results over."""
        reply: Receipt = self._call("report", message, Receipt)
        return reply

    def beat(self, message: Beat) -> Receipt:
        """Keep leases alive."""
        reply: Receipt = self._call("beat", message, Receipt)
        return reply

    def release(self, message: Release) -> Receipt:
        """Give a lease back."""
        reply: Receipt = self._call("release", message, Receipt)
        return reply

    def bye(self, message: Bye) -> Receipt:
        """Leave."""
        reply: Receipt = self._call("bye", message, Receipt)
        return reply

    def close(self) -> None:
        """Close the connection."""
        peer, self._connection = self._connection, None
        if peer is not None:
            peer.close()

    def _call(self, verb: str, message: Any, kind: Any) -> Any:
        with self._lock:
            call = next(self._calls)
            try:
                peer = self._connection = self._connection or self._connect()
                answered, reply = managers.dispatch(peer, OBJECT, verb, (call, message))  # type: ignore[attr-defined]
                if answered != call or not isinstance(reply, kind):
                    raise EOFError  # out of step: this connection cannot be trusted any more
            except tuple(CROSSING.values()):
                raise
            except (EOFError, OSError, TypeError) as error:
                self.close()
                raise MasterGone(
                    f"the master at {self._host}:{self._port} is gone: {_reason(error)}"
                ) from error
            except BaseException:
                self.close()  # interrupted between request and reply: the next reply would be the wrong one
                raise
            return reply

    def _connect(self) -> FrameConnection:
        try:
            peer = connect(self._host, self._port, self._token.fingerprint)
        except PermissionError as error:
            raise TokenError(f"{error}: the token is of another run") from error
        try:
            connection.answer_challenge(peer, self._token.key)  # type: ignore[arg-type]
            connection.deliver_challenge(peer, self._token.key)  # type: ignore[arg-type]
            managers.dispatch(peer, None, "accept_connection", (self._name,))  # type: ignore[attr-defined]
        except AuthenticationError as error:
            peer.close()
            raise TokenError(f"the master at {self._host}:{self._port} does not accept this token") from error
        except EOFError as error:
            peer.close()
            raise OSError("it closed the connection during the handshake") from error
        except BaseException:
            peer.close()
            raise
        return peer


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return "it closed the connection"
