"""What crosses the network: TLS 1.3 under length-prefixed MessagePack frames, and never a pickle.

`multiprocessing.managers` takes a pair (Listener, Client) by name and asks of their connections no more
than `send recv send_bytes recv_bytes close`; `FrameConnection` gives it these.  Every transport or
decode error while receiving becomes EOFError and closes the connection: it is the one error after which
a manager's server stops serving a peer without sending it another frame.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import socket
import ssl
import struct
import time
from typing import Any, Protocol

import msgspec

from loadgen.errors import CROSSING, AddressInUse, LoadgenError, RemoteError, UsageError
from loadgen.queues.messages import Reply, Request

LARGEST_FRAME = 4 * 1024 * 1024
"""Bytes.  A stranger cannot make us allocate more."""

BACKLOG = 512
"""Connections that wait to be accepted.  With managers' own 16, a burst costs a worker a second."""

CONNECT_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 10.0
"""TLS and authentication together are a few round trips."""
FRAME_TIMEOUT_S = 30.0
"""From a frame's first byte to its last."""
CALL_TIMEOUT_S = 10.0
"""Until the reply to a call begins: a connection that died silently is found out before a lease is over."""
IDLE_TIMEOUT_S = 60.0
"""Between frames; workers beat every two seconds."""

_LENGTH = struct.Struct(">I")
_RETURN, _ERROR = "#RETURN", "#ERROR"  # the words of multiprocessing.managers


class Codec(Protocol):
    """Turns what a manager sends and receives into frames and back."""

    def encode(self, message: Any) -> bytes:
        """For `send`."""
        ...

    def decode(self, frame: bytes) -> Any:
        """For `recv`.  Raises msgspec.MsgspecError or ValueError."""
        ...


class ServerCodec:
    """The master's side: receives (ident, method, args, kwds), sends (kind, result)."""

    def __init__(self) -> None:
        self._frame = msgspec.msgpack.Decoder(tuple[str | None, str, list[msgspec.Raw]])
        self._name = msgspec.msgpack.Decoder(str)
        self._call = msgspec.msgpack.Decoder(int)
        self._request = msgspec.msgpack.Decoder(Request)
        self._encoder = msgspec.msgpack.Encoder()

    def decode(self, frame: bytes) -> tuple[str | None, str, tuple[Any, ...], dict[str, Any]]:
        """A request: to the server itself (ident None, one name), or to the queue (call id, message)."""
        ident, method, args = self._frame.decode(frame)
        if ident is None:
            return ident, method, tuple(map(self._name.decode, args)), {}
        call, message = args
        return ident, method, (self._call.decode(call), self._request.decode(message)), {}

    def encode(self, message: tuple[str, Any]) -> bytes:
        """A reply.  Errors cross by name when they are on the list; of all others no word gets out."""
        kind, result = message
        if kind == _RETURN:
            return self._encoder.encode((_RETURN, result))
        name = type(result).__name__
        if kind == _ERROR and isinstance(result, LoadgenError) and name in CROSSING:
            return self._encoder.encode((_ERROR, (name, str(result))))
        return self._encoder.encode(
            (_ERROR, (RemoteError.__name__, "the master failed to answer: it tells why"))
        )


class ClientCodec:
    """The worker's side: sends (ident, method, args, kwds), receives (kind, result)."""

    def __init__(self) -> None:
        self._frame = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
        self._result = msgspec.msgpack.Decoder(tuple[int, Reply] | None)
        self._error = msgspec.msgpack.Decoder(tuple[str, str])
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, message: tuple[str | None, str, tuple[Any, ...], dict[str, Any]]) -> bytes:
        """A request; keyword arguments are not part of the protocol."""
        ident, method, args, _ = message
        return self._encoder.encode((ident, method, args))

    def decode(self, frame: bytes) -> tuple[str, Any]:
        """A reply: a result, or an error made again from its name."""
        kind, raw = self._frame.decode(frame)
        if kind == _RETURN:
            return _RETURN, self._result.decode(raw)
        name, text = self._error.decode(raw)
        return _ERROR, CROSSING.get(name, RemoteError)(text)


class FrameConnection:
    """A connection as multiprocessing.managers wants it."""

    def __init__(self, sock: socket.socket, codec: Codec, *, idle_timeout_s: float = IDLE_TIMEOUT_S) -> None:
        self._sock = sock
        self._codec = codec
        self.idle_timeout_s = idle_timeout_s

    @property
    def peer(self) -> str:
        """The address of the other side; empty when it has left."""
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return ""

    def secure(self, context: ssl.SSLContext) -> None:
        """Server side of the TLS handshake.  Raises EOFError."""
        try:
            self._sock.settimeout(HANDSHAKE_TIMEOUT_S)
            # wrapped before the handshake begins: `shut` must find the socket that is in use
            self._sock = secured = context.wrap_socket(
                self._sock, server_side=True, do_handshake_on_connect=False
            )
            secured.do_handshake()
        except (OSError, ValueError) as error:
            self.close()
            raise EOFError from error

    def send(self, message: Any) -> None:
        """Send one message."""
        self.send_bytes(self._codec.encode(message))

    def recv(self) -> Any:
        """Receive one message.  Raises EOFError."""
        frame = self.recv_bytes()
        try:
            return self._codec.decode(frame)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            self.close()
            raise EOFError from error

    def send_bytes(self, data: bytes) -> None:
        """Send one frame.  Raises OSError, and ValueError when it is too large."""
        if len(data) > LARGEST_FRAME:
            raise ValueError(f"a frame of {len(data):,} bytes; {LARGEST_FRAME:,} is the most")
        self._sock.settimeout(FRAME_TIMEOUT_S)
        self._sock.sendall(_LENGTH.pack(len(data)) + data)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Receive one frame of at most `maxlength` bytes.  Raises EOFError."""
        try:
            self._sock.settimeout(self.idle_timeout_s)
            first = self._sock.recv(1)
            self._sock.settimeout(FRAME_TIMEOUT_S)
            (length,) = _LENGTH.unpack(first + self._exactly(_LENGTH.size - 1) if first else b"")
            if length > min(LARGEST_FRAME, maxlength or LARGEST_FRAME):
                raise EOFError
            return self._exactly(length)
        except (OSError, ValueError, struct.error) as error:
            self.close()
            raise EOFError from error
        except EOFError:
            self.close()
            raise

    def shut(self) -> None:
        """End the connection from another thread: whoever waits on it gets EOFError."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close, without ceremony: no peer is waited for."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _exactly(self, length: int) -> bytes:
        parts = bytearray()
        deadline = (
            time.monotonic() + FRAME_TIMEOUT_S
        )  # a peer that drips bytes does not hold a thread for ever
        while len(parts) < length:
            part = self._sock.recv(min(length - len(parts), 1 << 18))
            if not part or time.monotonic() > deadline:
                raise EOFError
            parts += part
        return bytes(parts)


class Listener:
    """Accepts connections; the TLS handshake is the serving thread's, so that no peer blocks another."""

    def __init__(self, address: tuple[str, int], backlog: int) -> None:
        host, port = address
        try:
            family, kind, proto, _, sockaddr = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._sock = socket.socket(family, kind, proto)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind(sockaddr)
            self._sock.listen(max(backlog, BACKLOG))
        except OSError as error:
            self._sock.close()
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(
                    f"{host}:{port} is in use: stop what listens there, or choose another port"
                ) from error
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.address: tuple[str, int] = self._sock.getsockname()[:2]

    def accept(self) -> FrameConnection:
        """The next connection.  Raises OSError when the listener is closed."""
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(0.1)  # out of descriptors: the accepter would spin
            raise
        tune(sock)
        return FrameConnection(sock, ServerCodec(), idle_timeout_s=HANDSHAKE_TIMEOUT_S)

    def close(self) -> None:
        """Stop listening; wakes a thread that waits in `accept`."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def connect(host: str, port: int, fingerprint: bytes) -> FrameConnection:
    """A TLS connection to the master with this certificate.

    Raises OSError when it cannot be reached, and PermissionError when its certificate is another one.
    """
    sock = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
    try:
        tune(sock)
        sock.settimeout(HANDSHAKE_TIMEOUT_S)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # pinned below: exactly this certificate, whoever signed it
        secured = context.wrap_socket(sock)
        certificate = secured.getpeercert(binary_form=True) or b""
        if not hmac.compare_digest(hashlib.sha256(certificate).digest(), fingerprint):
            secured.close()
            raise PermissionError(f"the master at {host}:{port} has another certificate")
    except BaseException:
        sock.close()
        raise
    return FrameConnection(secured, ClientCodec(), idle_timeout_s=CALL_TIMEOUT_S)


def tune(sock: socket.socket) -> None:
    """Small messages at once; dead peers noticed."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(IDLE_TIMEOUT_S * 1000))
