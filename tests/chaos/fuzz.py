"""What comes to an open port: strangers of all kinds, and token holders that have lost their mind.

Each attack is a function that knocks once (or holds some sockets for a while) and returns what the
master let out beyond what a stranger may see: nothing but TLS records before the handshake, and nothing
but the challenge after it.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from loadgen import __version__
from loadgen.columns import Harvest
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Batch,
    Beat,
    Bye,
    Hello,
    LeaseRequest,
    Mark,
    Release,
    Report,
)
from loadgen.queues.token import Token, split_address
from loadgen.queues.wire import FrameConnection
from loadgen.sample import Outcome, Result

PATIENCE_S = 2.0
"""How long a knocker listens for an answer."""
CHALLENGE, FAILURE = b"#CHALLENGE#", b"#FAILURE#"
_TLS_RECORDS = b"\x14\x15\x16\x17"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Door:
    """Where to knock."""

    token: Token

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return split_address(self.token.address, 0)

    def knock(self) -> socket.socket:
        """A TCP connection."""
        sock = socket.create_connection(self.address, timeout=PATIENCE_S)
        sock.settimeout(PATIENCE_S)
        return sock

    def tls(self) -> ssl.SSLSocket:
        """A TLS connection of somebody who has no token."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(self.knock())

    def enter(self) -> FrameConnection:
        """An authenticated connection."""
        host, port = self.address
        return QueueClient(self.token, host, port)._connect()


Attack = Callable[[Door, random.Random], bytes]


def _heard(sock: socket.socket) -> bytes:
    """All that the other side says until it closes."""
    parts = b""
    with contextlib.suppress(OSError):
        while part := sock.recv(1 << 16):
            parts += part
    return parts


def _beyond_tls(said: bytes) -> bytes:
    """What a stranger heard that is no TLS record."""
    return said if said and said[0] not in _TLS_RECORDS else b""


def _beyond_challenge(said: bytes) -> bytes:
    """What a stranger heard that is neither the challenge nor that it failed."""
    while len(said) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(said)
        frame, said = said[_LENGTH.size : _LENGTH.size + length], said[_LENGTH.size + length :]
        if not frame.startswith((CHALLENGE, FAILURE)):
            return frame
    return said


def _plain(door: Door, data: bytes) -> bytes:
    with contextlib.suppress(OSError), door.knock() as sock:
        sock.sendall(data)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        return _beyond_tls(_heard(sock))
    return b""


def garbage(door: Door, rng: random.Random) -> bytes:
    """Random bytes."""
    return _plain(door, rng.randbytes(rng.randrange(1, 4096)))


def http(door: Door, rng: random.Random) -> bytes:
    """A browser, or a scanner."""
    return _plain(door, b"GET /%d HTTP/1.1\r\nHost: master\r\n\r\n" % rng.randrange(100))


def almost_tls(door: Door, rng: random.Random) -> bytes:
    """A TLS record header with nonsense in it."""
    return _plain(door, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(509))


def _after_tls(door: Door, data: bytes) -> bytes:
    with contextlib.suppress(OSError), door.tls() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
        return _beyond_challenge(_heard(sock))
    return b""


def wrong_answer(door: Door, rng: random.Random) -> bytes:
    """Somebody without the secret answers the challenge."""
    return _after_tls(door, _LENGTH.pack(16) + rng.randbytes(16))


def noise_after_tls(door: Door, rng: random.Random) -> bytes:
    """Random bytes inside TLS: mostly huge length prefixes."""
    return _after_tls(door, rng.randbytes(rng.randrange(1, 4096)))


def huge_frame(door: Door, rng: random.Random) -> bytes:
    """The largest length there is."""
    return _after_tls(door, _LENGTH.pack(2**31 - 1) + rng.randbytes(100))


def cut_frame(door: Door, rng: random.Random) -> bytes:
    """A frame that ends early."""
    with contextlib.suppress(OSError), door.tls() as sock:
        sock.sendall(_LENGTH.pack(200) + rng.randbytes(100))
    return b""


def slow_loris(door: Door, rng: random.Random) -> bytes:
    """A byte now and then, to hold a thread."""
    with contextlib.suppress(OSError), door.tls() as sock:
        for byte in _LENGTH.pack(60) + rng.randbytes(20):
            sock.sendall(bytes([byte]))
            time.sleep(0.02)
    return b""


def own_challenge(door: Door, rng: random.Random) -> bytes:
    """Sends a challenge back instead of an answer: a reflected handshake."""
    with contextlib.suppress(OSError), door.tls() as sock:
        first = sock.recv(1 << 16)
        with contextlib.suppress(OSError):
            sock.sendall(first)
        return _beyond_challenge(_heard(sock))
    return b""


STRANGERS: Sequence[Attack] = (
    garbage,
    http,
    almost_tls,
    wrong_answer,
    noise_after_tls,
    huge_frame,
    cut_frame,
    slow_loris,
    own_challenge,
)


# Token holders


def _frame(ident: object, method: object, *args: object) -> bytes:
    return msgspec.msgpack.encode((ident, method, list(args)))


def _nonsense(rng: random.Random, depth: int = 3) -> Any:
    kinds = ["number", "text", "bytes", "list", "map", "none", "float", "big"]
    match rng.choice(kinds if depth else kinds[:3]):
        case "number":
            return rng.randrange(-(2**63), 2**63)
        case "big":
            return 2**64 - 1
        case "text":
            return rng.choice(["queue", "hello", "lease", "\x00", "é" * 40, "#RETURN", "../../etc/passwd"])
        case "bytes":
            return rng.randbytes(rng.randrange(64))
        case "list":
            return [_nonsense(rng, depth - 1) for _ in range(rng.randrange(5))]
        case "map":
            return {str(n): _nonsense(rng, depth - 1) for n in range(rng.randrange(5))}
        case "float":
            return rng.choice([0.0, float("nan"), float("inf"), -1e300])
    return None


def mad_frames(rng: random.Random) -> Iterator[bytes]:
    """Frames that no worker sends."""
    session = f"{rng.getrandbits(64):x}"
    methods = ["shutdown", "create", "debug_info", "#GETVALUE", "__class__", "__reduce__", "hello", "wait"]
    result = Result(2**40, 1, Outcome.DONE, 0, 0)
    hello = Hello(session, "mad", "nowhere", 1, PROTOCOL, __version__)
    yield _frame("queue", "hello", 1, hello)
    yield _frame("queue", "report", 2, Report(session, (Batch(1, 10**9, 0, Harvest.of([result])),)))
    yield _frame("queue", "report", 3, Report(session, (Batch(2, 10**9, 77, Harvest.of([result])),)))
    dropped = Result(0, 1, Outcome.DROPPED, 0, 0)
    yield _frame("queue", "report", 3, Report(session, (Batch(3, 10**9, 1, Harvest.of([dropped])),)))
    yield _frame("queue", "arm", 4, Arm(session, (Mark(10**9, -5, 2**40), Mark(-1, 0, 0))))
    yield _frame("queue", "beat", 5, Beat(session, tuple(range(10_000)), float("nan"), -1))
    yield _frame("queue", "release", 6, Release(session, 10**9, (-1, 2**40)))
    yield _frame("queue", "lease", 7, LeaseRequest("nobody", -5, -5))
    yield _frame("queue", "hello", 8, LeaseRequest(session, 1, 1))
    yield _frame("queue", "hello", 9, Hello(session, "mad", "nowhere", 1, PROTOCOL + 1, __version__))
    yield _frame("queue", "bye", 10, Bye(session, "enough"))
    for _ in range(20):
        yield _frame("queue", rng.choice(methods), _nonsense(rng), _nonsense(rng))
        yield _frame(rng.choice([None, "queue", "other", 3]), rng.choice(methods), _nonsense(rng))
        yield msgspec.msgpack.encode(_nonsense(rng))
        yield rng.randbytes(rng.randrange(1, 300))
    yield b"\x91" * 100_000  # lists in lists
    yield b""


def mad_worker(door: Door, rng: random.Random) -> str:
    """Sends frames that make no sense, each on a connection that still lives; returns what leaked."""
    peer = door.enter()
    leaked = ""
    for frame in mad_frames(rng):
        try:
            peer.send_bytes(frame)
            peer.idle_timeout_s = PATIENCE_S
            said = peer.recv_bytes()
        except (EOFError, OSError):
            peer.close()
            peer = door.enter()
            continue
        if any(word in said for word in (b"Traceback", b'File "', b"/loadgen/", b"Error:")):
            leaked = repr(said[:200])
    for raw in (_LENGTH.pack(2**31 - 1), _LENGTH.pack(5000) + b"half", _LENGTH.pack(2**32 - 1) * 3):
        peer._sock.sendall(raw)
        peer.close()
        peer = door.enter()
    peer.close()
    return leaked


@contextlib.contextmanager
def silence(door: Door, count: int) -> Iterator[list[socket.socket]]:
    """Peers that connect and say nothing."""
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            with contextlib.suppress(OSError):
                held.append(door.knock())
        yield held
    finally:
        for sock in held:
            sock.close()


def storm(door: Door, attacks: Sequence[Attack], count: int, seed: int, *, threads: int = 16) -> list[bytes]:
    """`count` knocks, many at a time; returns what was let out."""

    def one(number: int) -> bytes:
        rng = random.Random(seed * 1_000_003 + number)
        return rng.choice(attacks)(door, rng)

    with ThreadPoolExecutor(threads) as pool:
        return [said for said in pool.map(one, range(count)) if said]


class Impostor:
    """A relay with a certificate of its own, between a worker and the master."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.heard = b""
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve_one(self) -> None:
        """Complete a TLS handshake with whoever comes, and listen."""
        self._listener.settimeout(10)
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()
            sock.settimeout(PATIENCE_S)
            with self._context.wrap_socket(sock, server_side=True) as secured:
                secured.sendall(_LENGTH.pack(31) + CHALLENGE + bytes(20))
                self.heard = _heard(secured)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


def recorded_handshake(door: Door) -> bytes:
    """What a real worker sends, byte for byte, as a relay sees it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()[:2]
        with ThreadPoolExecutor(1) as pool:
            client = QueueClient(door.token, host, port)
            entered = pool.submit(client._connect)
            near, _ = listener.accept()
            with near, door.knock() as far:
                sent = _tapped(near, far, entered.done)
            entered.result().close()
    return sent


def _tapped(near: socket.socket, far: socket.socket, done: Callable[[], bool]) -> bytes:
    """Pass on in both directions until done; returns what came from the near side."""
    sent = b""
    near.settimeout(0.02)
    far.settimeout(0.02)
    deadline = time.monotonic() + 10
    for source, sink in itertools.cycle([(near, far), (far, near)]):
        if done() or time.monotonic() > deadline:
            return sent
        with contextlib.suppress(TimeoutError):
            data = source.recv(1 << 16)
            sink.sendall(data)
            sent += data if source is near else b""
    return sent


def replay(door: Door, record: bytes) -> bytes:
    """The same bytes again; returns what the master says after its side of the handshake."""
    with contextlib.suppress(OSError), door.knock() as sock:
        sock.sendall(record)
        return _beyond_tls(_heard(sock))
    return b""
