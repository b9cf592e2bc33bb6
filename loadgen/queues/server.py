"""The queue on the network: `multiprocessing.managers`, narrowed to one object and seven verbs.

The stock server offers its peers to create objects, count references and shut it down, sends
tracebacks to strangers, and speaks pickle.  This one serves exactly one object under a fixed name,
knows one public function (`accept_connection`), and speaks the frames of `wire`.  That is undocumented
ground, so a contract test holds it on every supported Python.
"""

from __future__ import annotations

import ssl
import threading
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError, connection, managers
from typing import Any, ClassVar

from loadgen.errors import LoadgenError, RemoteError
from loadgen.queues.identity import Identity
from loadgen.queues.messages import (
    Arm,
    Beat,
    Bye,
    Hello,
    LeaseRequest,
    Queue,
    Release,
    Reply,
    Report,
    Request,
)
from loadgen.queues.token import Token
from loadgen.queues.wire import IDLE_TIMEOUT_S, FrameConnection, Listener

SERIALIZER = "loadgen"
"""The name under which multiprocessing.managers finds our listener and its frames."""

OBJECT = "queue"
"""The name under which the one object is served."""

VERBS: Mapping[str, type] = {
    "hello": Hello,
    "lease": LeaseRequest,
    "arm": Arm,
    "report": Report,
    "beat": Beat,
    "release": Release,
    "bye": Bye,
}
"""What a worker may call, and the message that goes with it."""


class _Desk:
    """The served object: checks that verb and message go together, and echoes the call's id."""

    def __init__(self, queue: Queue) -> None:
        for verb, kind in VERBS.items():
            setattr(self, verb, self._serve(getattr(queue, verb), kind))

    @staticmethod
    def _serve(method: Callable[[Any], Reply], kind: type) -> Callable[[int, Request], tuple[int, Reply]]:
        def serve(call: int, message: Request) -> tuple[int, Reply]:
            if not isinstance(message, kind):
                raise RemoteError(f"expected {kind.__name__}")
            try:
                return call, method(message)
            except LoadgenError:
                raise
            except Exception as error:
                traceback.print_exception(error)  # a bug: the worker hears no more than that there was one
                raise

        return serve


MOST_STRANGERS = 64
"""Peers that have not authenticated yet: each holds a thread for as long as a handshake may take."""
MOST_STRANGERS_EACH = 32
"""The same, from one address."""


class Lobby:
    """Where strangers wait.

    When it is full, the one that came first must go: a worker's handshake takes milliseconds, so who
    sits there for long is none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._strangers: list[tuple[str, FrameConnection]] = []

    def enter(self, peer: FrameConnection) -> None:
        """Let a stranger in, and another one out if need be."""
        address = peer.peer
        with self._lock:
            same = [stranger for stranger in self._strangers if stranger[0] == address]
            crowd = same if len(same) >= MOST_STRANGERS_EACH else self._strangers
            leaver = None
            if crowd is same or len(crowd) >= MOST_STRANGERS:
                leaver = crowd[0]
                self._strangers.remove(leaver)
            self._strangers.append((address, peer))
        if leaver is not None:
            leaver[1].shut()

    def leave(self, peer: FrameConnection) -> None:
        """It is no stranger any more, or gone."""
        with self._lock:
            self._strangers = [stranger for stranger in self._strangers if stranger[1] is not peer]


class _Server(managers.Server):
    """The stock server without what strangers and workers have no business with."""

    public: ClassVar[list[str]] = ["accept_connection"]  # type: ignore[misc]
    fallback_mapping: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # `#GETVALUE` would hand out the object
    authkey: bytes
    tls: ssl.SSLContext
    lobby: Lobby
    listener: Listener

    def serve(self, queue: Queue) -> None:
        """Accept workers in a thread of its own, until `close`."""
        self.stop_event = threading.Event()
        self.lobby = Lobby()
        self.id_to_obj = {OBJECT: (_Desk(queue), set(VERBS), {})}
        threading.Thread(target=self.accepter, name="manager-accept", daemon=True).start()

    def accepter(self) -> None:
        """Like the stock one, but it ends with the listener and outlives a lack of threads."""
        while not self.stop_event.is_set():
            try:
                peer = self.listener.accept()
            except OSError:
                continue
            self.lobby.enter(peer)
            try:
                threading.Thread(
                    target=self.handle_request, args=(peer,), name="manager-serve", daemon=True
                ).start()
            except RuntimeError:  # can't start new thread: this peer must come again
                self.lobby.leave(peer)
                peer.close()

    def _handle_request(self, peer: FrameConnection) -> None:
        """TLS, then both sides prove that they know the key; until then a peer is told nothing."""
        try:
            peer.secure(self.tls)
            connection.deliver_challenge(peer, self.authkey)  # type: ignore[arg-type]
            connection.answer_challenge(peer, self.authkey)  # type: ignore[arg-type]
            _, method, args, _ = peer.recv()
        except (EOFError, OSError, AssertionError, ValueError, AuthenticationError):
            return
        finally:
            self.lobby.leave(peer)
        if method in self.public:
            peer.idle_timeout_s = IDLE_TIMEOUT_S
            getattr(self, method)(peer, *args)

    def accept_connection(self, c: FrameConnection, name: str) -> None:  # type: ignore[override]
        """Serve an authenticated worker until it leaves."""
        threading.current_thread().name = f"manager-{name}"[:40]
        try:
            c.send(("#RETURN", None))
        except OSError:
            return  # it left as soon as it was in
        self.serve_client(c)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop accepting; open connections end with their next call."""
        if hasattr(self, "stop_event"):
            self.stop_event.set()
        self.listener.close()


class QueueManager(managers.BaseManager):
    """Serves a queue to workers on this and other machines.

    `address`: (host, port); port 0 takes a free one.  Raises AddressInUse and UsageError.
    """

    def __init__(self, address: tuple[str, int], identity: Identity) -> None:
        self._identity = identity
        self._requested = address
        managers.listener_client.setdefault(SERIALIZER, (Listener, None))  # type: ignore[attr-defined]
        super().__init__(address, identity.token("").key, SERIALIZER)
        self._serving: _Server | None = None

    def bind(self) -> Token:
        """Listen, without accepting anybody yet; returns the token that workers need."""
        server = _Server({}, self._requested, self._identity.token("").key, SERIALIZER)
        server.tls = self._identity.context()
        self._serving = server
        host, port = server.listener.address
        return self._identity.token(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def serve(self, queue: Queue) -> None:
        """Serve `queue` from threads of this process; workers that came early are let in now."""
        if self._serving is None:
            raise LoadgenError("bind first")
        self._serving.serve(queue)

    def close(self) -> None:
        """Stop serving."""
        if self._serving is not None:
            self._serving.close()
            self._serving = None
