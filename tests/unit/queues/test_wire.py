"""The wire: frames that are too large, cut, or no messages end in EOFError and a closed connection."""

from __future__ import annotations

import errno
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadgen.errors import CROSSING, AddressInUse, LoadgenError, RemoteError, UsageError
from loadgen.plan import Chunk
from loadgen.queues import wire
from loadgen.queues.identity import new_identity
from loadgen.queues.messages import Beat, Bye, Lease, LeaseRequest, Receipt, Wait
from loadgen.queues.wire import (
    LARGEST_FRAME,
    ClientCodec,
    FrameConnection,
    Listener,
    ServerCodec,
    connect,
)

CODECS = [ServerCodec, ClientCodec]
CALL: tuple[str, str, tuple[Any, ...], dict[str, Any]] = ("desk", "beat", (7, Beat("w1", (1, 2), 0.5, 3)), {})


class Line:
    """A connection, and the raw other end of it."""

    def __init__(self, codec: type = ServerCodec) -> None:
        sock, self.peer = socket.socketpair()
        self.connection = FrameConnection(sock, codec(), idle_timeout_s=5)
        self.peer.settimeout(5)

    def feed(self, data: bytes, *, hang_up: bool = False) -> None:
        self.peer.sendall(data)
        if hang_up:
            self.peer.shutdown(socket.SHUT_WR)

    def frame(self, content: bytes) -> None:
        self.feed(struct.pack(">I", len(content)) + content)

    @property
    def closed(self) -> bool:
        """Whether the other end sees that it was closed, without having been sent anything."""
        try:
            return self.peer.recv(1) == b""
        except ConnectionResetError:  # closed before all that was sent had been read
            return True

    def close(self) -> None:
        self.connection.close()
        self.peer.close()


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    line = Line(getattr(request, "param", ServerCodec))
    yield line
    line.close()


both = pytest.mark.parametrize("line", CODECS, indirect=True)


def raises_eof_and_closes(line: Line, receive: Any) -> None:
    with pytest.raises(EOFError) as caught:
        receive()
    assert type(caught.value) is EOFError
    assert line.closed


def test_a_request_arrives_as_it_was_sent(line: Line) -> None:
    """The client encodes what the server decodes."""
    line.frame(ClientCodec().encode(CALL))
    assert line.connection.recv() == CALL


def test_the_word_to_the_server_itself_arrives(line: Line) -> None:
    """`accept_connection` has a name for its one argument."""
    line.frame(ClientCodec().encode((None, "accept_connection", ("w",), {})))
    assert line.connection.recv() == (None, "accept_connection", ("w",), {})


@pytest.mark.parametrize("line", [ClientCodec], indirect=True)
@pytest.mark.parametrize(
    "reply",
    [
        Receipt((1, 2)),
        Wait(0.5),
        Lease(3, Chunk(0, 1, 4), {2: 5}, (msgspec.Raw(b"\x01"),) * 3),
        Lease(4, Chunk(0, lanes=((1,), (2, 5))), {}),
    ],
)
def test_a_reply_arrives_as_it_was_sent(line: Line, reply: Any) -> None:
    """With the number of its call."""
    line.frame(ServerCodec().encode(("#RETURN", (9, reply))))
    assert line.connection.recv() == ("#RETURN", (9, reply))


@pytest.mark.parametrize("name", sorted(CROSSING))
def test_errors_on_the_list_cross_by_name(name: str) -> None:
    """Kind and words are the same on the other side."""
    frame = ServerCodec().encode(("#ERROR", CROSSING[name]("why", "so")))
    kind, error = ClientCodec().decode(frame)
    assert (kind, type(error), str(error)) == ("#ERROR", CROSSING[name], "why so")


@pytest.mark.parametrize(
    "reply",
    [
        ("#ERROR", ValueError("/home/me/secret.py")),
        ("#ERROR", LoadgenError("/home/me/secret.py")),
        ("#ERROR", UsageError("/home/me/secret.py")),
        ("#TRACEBACK", "Traceback: /home/me/secret.py"),
        ("#UNSERIALIZABLE", "/home/me/secret.py"),
    ],
)
def test_of_other_errors_no_word_gets_out(reply: tuple[str, Any]) -> None:
    """The worker learns that the master failed, not how."""
    frame = ServerCodec().encode(reply)
    assert b"secret" not in frame
    kind, error = ClientCodec().decode(frame)
    assert (kind, type(error)) == ("#ERROR", RemoteError)


def test_an_error_of_an_unknown_name_is_a_remote_error() -> None:
    """A name picks from the list; it never picks a class from elsewhere."""
    frame = msgspec.msgpack.encode(("#ERROR", ("SystemExit", "bye")))
    assert type(ClientCodec().decode(frame)[1]) is RemoteError


@both
@pytest.mark.parametrize("length", [LARGEST_FRAME + 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_frame_that_is_too_large_is_not_even_begun(line: Line, length: int) -> None:
    """Nothing of it is read or allocated."""
    line.feed(struct.pack(">I", length))
    raises_eof_and_closes(line, line.connection.recv)


def test_the_largest_frame_passes(line: Line) -> None:
    """Both ways; one byte more is refused before a byte of it is sent."""
    content = bytes(LARGEST_FRAME)
    sender = threading.Thread(target=line.frame, args=(content,), daemon=True)
    sender.start()
    assert line.connection.recv_bytes() == content
    sender.join()
    with pytest.raises(ValueError, match="the most"):
        line.connection.send_bytes(content + b"x")
    line.connection.send_bytes(b"after")
    assert line.peer.recv(100) == b"\0\0\0\5after"


def test_the_caller_can_ask_for_less(line: Line) -> None:
    """The handshake reads at most 256 bytes of a stranger."""
    line.frame(bytes(256))
    assert len(line.connection.recv_bytes(256)) == 256
    line.frame(bytes(257))
    raises_eof_and_closes(line, lambda: line.connection.recv_bytes(256))


@both
def test_a_frame_cut_anywhere(line: Line) -> None:
    """In the length, in the content, before anything."""
    whole = struct.pack(">I", 20) + bytes(20)
    for end in range(len(whole)):
        cut = Line(type(line.connection._codec))
        cut.feed(whole[:end], hang_up=True)
        raises_eof_and_closes(cut, cut.connection.recv)
        cut.close()


def test_a_frame_in_single_bytes_is_put_together(line: Line) -> None:
    """TCP may deliver it that way."""
    content = ClientCodec().encode(CALL)
    data = struct.pack(">I", len(content)) + content

    def drip() -> None:
        for byte in data:
            line.peer.sendall(bytes([byte]))

    sender = threading.Thread(target=drip, daemon=True)
    sender.start()
    assert line.connection.recv() == CALL
    sender.join()


@both
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",  # never used in MessagePack
        b"\x93",
        b"\xc0",
        b"\x01",
        b"\x93\xc0\xa1\xff\x90",  # no UTF-8
        b"\x93\xa1a\xa1b" + b"\x91" * 100_000,  # deeper than the stack
        b"\x93\xc0\xa1a\xdd\xff\xff\xff\xff",  # an array of four billion
        b"\x92\xa7#RETURN\xc6\xff\xff\xff\xff",  # four gigabytes
        b"\x92\xa7#RETURN" + b"\x91" * 100_000,
        b"\x80" * 50,
        *map(
            msgspec.msgpack.encode,
            [
                ("desk", "beat", ()),
                ("desk", "beat", (1,)),
                ("desk", "beat", (1, {}, 3)),
                ("desk", "beat", ("1", Bye("w", ""))),
                ("desk", "beat", (1, {"type": "Pickle", "session": "w"})),
                ("desk", "beat", (1, {"type": "Bye", "session": 5, "reason": ""})),
                ("desk", "beat", (1, {"type": "Bye"})),
                ("desk", "beat", (2**64 - 1, None)),
                ("desk", "beat", {"call": 1}),
                ("desk", 5, ()),
                (5, "beat", ()),
                (None, "accept_connection", (5,)),
                (None, "accept_connection", ("w",), {"authkey": 1}),
                ("#RETURN", (1, 2)),
                ("#RETURN", ("1", Receipt())),
                ("#RETURN", (1, {"type": "Nothing"})),
                ("#ERROR", "text"),
                ("#ERROR", ("TokenError",)),
                ("#ERROR", (None, None)),
                ("#WHATEVER", ()),
                (5, ()),
            ],
        ),
    ],
)
def test_what_is_no_message(line: Line, content: bytes) -> None:
    """Garbage, wrong types, too few, too many: one answer to all."""
    line.frame(content)
    raises_eof_and_closes(line, line.connection.recv)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), codec=st.sampled_from(CODECS))
def test_whatever_is_sent_there_is_a_message_or_an_end(data: st.DataObject, codec: type) -> None:
    """Messages with bytes changed, cut or added: never another exception, nothing sent back."""
    samples = [
        ClientCodec().encode(CALL),
        ClientCodec().encode(("desk", "lease", (1, LeaseRequest("w", 5, 2)), {})),
        ServerCodec().encode(("#RETURN", (1, Lease(3, Chunk(0, 1, 4), {2: 5})))),
        ServerCodec().encode(("#ERROR", RemoteError("x"))),
    ]
    content = bytearray(data.draw(st.sampled_from(samples)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1)) if content else 0
        content[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    line = Line(codec)
    line.feed(struct.pack(">I", len(content)) + bytes(content), hang_up=True)
    try:
        line.connection.recv()
    except EOFError:
        assert line.closed
    line.close()


def test_a_silent_peer_is_left(line: Line) -> None:
    """Between frames the idle timeout counts."""
    line.connection.idle_timeout_s = 0.01
    raises_eof_and_closes(line, line.connection.recv)


def test_a_peer_that_stops_in_a_frame_is_left(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first byte on, the frame's timeout counts."""
    monkeypatch.setattr(wire, "FRAME_TIMEOUT_S", 0.01)
    line.connection.idle_timeout_s = 3600
    line.feed(b"\0\0\0\5ab")
    waiting = threading.Thread(target=raises_eof_and_closes, args=(line, line.connection.recv), daemon=True)
    waiting.start()
    waiting.join(10)
    assert not waiting.is_alive(), "it waits as if between frames"


def test_a_peer_that_drips_for_ever_is_left(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, the frame never: the frame as a whole has a deadline."""
    now = [0.0]

    def passing() -> float:
        now[0] += wire.FRAME_TIMEOUT_S / 3
        return now[0]

    monkeypatch.setattr(time, "monotonic", passing)
    stop, sent = threading.Event(), [0]

    def drip() -> None:
        try:
            line.feed(struct.pack(">I", LARGEST_FRAME))
            while not stop.is_set():
                line.peer.sendall(b"x")
                sent[0] += 1
        except OSError:
            pass

    sender = threading.Thread(target=drip, daemon=True)
    sender.start()
    with pytest.raises(EOFError):
        line.connection.recv()
    stop.set()
    sender.join()
    assert sent[0] < LARGEST_FRAME / 2, "it was left in the middle"


def test_a_closed_connection_stays_closed(line: Line) -> None:
    """Receiving is EOFError, sending is OSError, closing again is nothing."""
    line.connection.close()
    line.connection.close()
    with pytest.raises(EOFError):
        line.connection.recv()
    with pytest.raises(OSError, match=r"closed|descriptor"):
        line.connection.send(("#RETURN", None))


def test_a_stranger_who_speaks_no_tls_is_left() -> None:
    """EOFError, and the connection is closed."""
    line = Line()
    line.feed(b"GET / HTTP/1.1\r\nHost: master\r\n\r\n", hang_up=True)
    with pytest.raises(EOFError):
        line.connection.secure(new_identity().context())
    with pytest.raises(EOFError):
        line.connection.recv()
    line.close()


class Master:
    """A listener with an identity, serving one connection in a thread."""

    def __init__(self) -> None:
        self.identity = new_identity()
        self.listener = Listener(("127.0.0.1", 0), 5)
        self.received: list[Any] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection = self.listener.accept()
        try:
            connection.secure(self.identity.context())
            self.received.append(connection.recv())
            connection.send(("#RETURN", (7, Receipt((1,)))))
            self.received.append(connection.recv())
        except EOFError as error:
            self.received.append(error)
        finally:
            connection.close()

    def finish(self) -> None:
        self._thread.join(10)
        self.listener.close()


@pytest.fixture
def master() -> Iterator[Master]:
    master = Master()
    yield master
    master.finish()


def test_a_call_and_its_reply_over_tls(master: Master) -> None:
    """Then the client leaves, and the server is told by EOFError."""
    client = connect(*master.listener.address, master.identity.fingerprint)
    assert isinstance(client._sock, ssl.SSLSocket)
    assert client._sock.version() == "TLSv1.3"
    client.send(CALL)
    assert client.recv() == ("#RETURN", (7, Receipt((1,))))
    client.close()
    master.finish()
    assert master.received[0] == CALL
    assert isinstance(master.received[1], EOFError)


def test_a_master_with_another_certificate_is_not_spoken_to(master: Master) -> None:
    """PermissionError, before a byte of ours is sent."""
    with pytest.raises(PermissionError, match="another certificate"):
        connect(*master.listener.address, hashlib.sha256(b"other").digest())
    master.finish()
    assert isinstance(master.received[0], EOFError)


def test_older_tls_is_refused(master: Master) -> None:
    """TLS 1.2 would tell a passive listener the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(master.listener.address) as sock, pytest.raises(OSError, match=r"SSL|TLS"):
        context.wrap_socket(sock)
    master.finish()
    assert isinstance(master.received[0], EOFError)


def test_a_port_that_is_taken() -> None:
    """AddressInUse, with what to do."""
    first = Listener(("127.0.0.1", 0), 1)
    with pytest.raises(AddressInUse, match="in use: stop what listens there, or choose another port"):
        Listener(first.address, 1)
    first.close()
    Listener(first.address, 1).close()


def test_an_address_that_is_not_ours() -> None:
    """UsageError for an address of elsewhere, and for what is no address."""
    with pytest.raises(UsageError, match=r"cannot listen on 192.0.2.1:0"):
        Listener(("192.0.2.1", 0), 1)
    with pytest.raises(UsageError, match="cannot listen on ::1::2:0"):
        Listener(("::1::2", 0), 1)


def test_a_machine_without_that_kind_of_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """UsageError also when not even a socket can be made."""

    def no_socket(*_: Any) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_socket)
    with pytest.raises(UsageError, match=r"cannot listen on 127.0.0.1:0: Address family not supported"):
        Listener(("127.0.0.1", 0), 1)


def test_closing_the_listener_wakes_who_waits() -> None:
    """The accepting thread ends with OSError."""
    listener = Listener(("127.0.0.1", 0), 1)
    ended: list[BaseException] = []
    waiting = threading.Event()

    def accept() -> None:
        waiting.set()
        try:
            listener.accept()
        except OSError as error:
            ended.append(error)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    waiting.wait(5)
    listener.close()
    thread.join(5)
    assert len(ended) == 1


def test_every_run_has_an_identity_of_its_own() -> None:
    """And its fingerprint is that of the certificate that is served (see the TLS tests above)."""
    first, second = new_identity(), new_identity()
    assert len(first.fingerprint) == 32
    assert first.fingerprint != second.fingerprint
    assert "fingerprint" not in repr(first)
