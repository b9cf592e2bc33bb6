"""The queue on the network: `multiprocessing.managers`, narrowed to one object and six verbs.

The stock server offers its peers to create objects, count references and shut it down, sends
tracebacks to strangers, and speaks pickle.  This one serves exactly one object under a fixed name,
knows one public function (`accept_connection`), and speaks the frames of `wire`.  That is undocumented
ground, so a contract test holds it on every supported Python.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from multiprocessing import AuthenticationError, connection, managers
from typing import Any, ClassVar

from loadgen.errors import LoadgenError, RemoteError
from loadgen.queues.messages import Beat, Bye, Hello, LeaseRequest, Queue, Release, Reply, Report, Request
from loadgen.queues.token import Token, new_secret
from loadgen.queues.wire import IDLE_TIMEOUT_S, FrameConnection, Identity, Listener, new_identity

SERIALIZER = "loadgen"
"""The name under which multiprocessing.managers finds our listener and its frames."""

OBJECT = "queue"
"""The name under which the one object is served."""

VERBS: Mapping[str, type] = {
    "hello": Hello,
    "lease": LeaseRequest,
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
            return call, method(message)

        return serve


class _Server(managers.Server):
    """The stock server without what strangers and workers have no business with."""

    public: ClassVar[list[str]] = ["accept_connection"]  # type: ignore[misc]
    fallback_mapping: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]  # `#GETVALUE` would hand out the object
    authkey: bytes
    identity: Identity
    listener: Listener

    def serve(self, queue: Queue) -> None:
        """Accept workers in a thread of its own, until `close`."""
        self.stop_event = threading.Event()
        self.id_to_obj = {OBJECT: (_Desk(queue), set(VERBS), {})}
        threading.Thread(target=self.accepter, name="manager-accept", daemon=True).start()

    def accepter(self) -> None:
        """Like the stock one, but it ends with the listener and outlives a lack of threads."""
        while not self.stop_event.is_set():
            try:
                peer = self.listener.accept()
            except OSError:
                continue
            try:
                threading.Thread(
                    target=self.handle_request, args=(peer,), name="manager-serve", daemon=True
                ).start()
            except RuntimeError:  # can't start new thread: this peer must come again
                peer.close()

    def _handle_request(self, peer: FrameConnection) -> None:
        """TLS, then both sides prove that they know the key; until then a peer is told nothing."""
        try:
            peer.secure(self.identity.context)
            connection.deliver_challenge(peer, self.authkey)  # type: ignore[arg-type]
            connection.answer_challenge(peer, self.authkey)  # type: ignore[arg-type]
            _, method, args, _ = peer.recv()
        except (EOFError, OSError, AssertionError, ValueError, AuthenticationError):
            return
        if method in self.public:
            peer.idle_timeout_s = IDLE_TIMEOUT_S
            getattr(self, method)(peer, *args)

    def accept_connection(self, c: FrameConnection, name: str) -> None:  # type: ignore[override]
        """Serve an authenticated worker until it leaves."""
        threading.current_thread().name = f"manager-{name}"[:40]
        c.send(("#RETURN", None))
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

    def __init__(
        self, address: tuple[str, int], *, identity: Identity | None = None, secret: bytes | None = None
    ) -> None:
        self._identity = identity or new_identity()
        self._secret = secret or new_secret()
        self._requested = address
        self._key = self._make_token("").key
        managers.listener_client.setdefault(SERIALIZER, (Listener, None))  # type: ignore[attr-defined]
        super().__init__(address, self._key, SERIALIZER)
        self._serving: _Server | None = None

    def bind(self) -> Token:
        """Listen, without accepting anybody yet; returns the token that workers need."""
        server = _Server({}, self._requested, self._key, SERIALIZER)
        server.identity = self._identity
        self._serving = server
        host, port = server.listener.address
        return self._make_token(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

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

    def _make_token(self, address: str) -> Token:
        return Token(address, self._identity.fingerprint, self._secret)
