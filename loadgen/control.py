"""The master's local door: how another terminal of the same user tells a run something.

A Unix socket in a folder that only its user may enter, one line of JSON in, one line out.  There is one
master a run directory (it holds the lock), so a socket that is there already was left by one that died.
Where Python has no Unix sockets, as on Windows, there is no such door: a port on loopback would be open
to everybody on the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar

import msgspec

from loadgen.errors import LoadgenError, UsageError, one_line
from loadgen.queues.token import state_directory

LONGEST_PATH: Final = 100
"""Bytes: Linux allows 107, macOS 103."""
LONGEST_LINE: Final = 4096
MOST_PEERS: Final = 8
"""More at the same time are turned away."""
LINE_TIMEOUT_S: Final = 5.0
"""How long a peer may take for its line."""
ANSWER_TIMEOUT_S: Final = 30.0
"""How long a master may take for its answer."""
PARTING_S: Final = 1.0
"""How long a run that ends waits for answers that are under way."""

T = TypeVar("T")


class Pause(msgspec.Struct, frozen=True, tag="pause"):
    """Start nothing more until told to go on."""


class Continue(msgspec.Struct, frozen=True, tag="continue"):
    """Go on."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Let what is in flight settle and end, as on the first Ctrl-C."""


class Set(msgspec.Struct, frozen=True, tag="set"):
    """Keep to other limits."""

    settings: tuple[str, ...]
    """As they were typed: `rate=50/s`."""


Request: TypeAlias = Pause | Continue | Stop | Set


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How the run stands now; or, with an error, nothing but that."""

    error: str = ""
    paused: str = ""
    """By whom; empty: it is not."""
    stopping: bool = False
    settled: int = 0
    planned: int = 0
    in_flight: int = 0
    workers: int = 0
    late: int = 0
    """Workers that do not keep to it yet."""
    limits: dict[str, str] = {}
    pace: str = ""
    """How items come, in words, where they come at times of their own."""
    """By name, in words."""


def socket_path(directory: Path, environ: Mapping[str, str]) -> Path:
    """Where the master of the run in this directory listens."""
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    path = state_directory(environ) / "control" / name
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    return Path(tempfile.gettempdir()) / f"loadgen-{os.getuid()}" / name


class Door:
    """Listens for one run, in threads of its own; a context manager.

    `answer` is called in those threads; a LoadgenError that it raises goes to the peer as a line.
    """

    def __init__(self, path: Path, answer: Callable[[Request], Answer]) -> None:
        self._path = path
        self._answer = answer
        self._peers: set[threading.Thread] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Open it.  Raises OSError, also where the folder is not ours alone."""
        if not hasattr(socket, "AF_UNIX"):
            return self
        _own_folder(self._path.parent)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(self._path))
            self._path.chmod(0o600)
            listener.listen(MOST_PEERS)  # until now nobody could connect
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="control", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
            self._listener.close()
            for peer in list(self._peers):
                peer.join(PARTING_S)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                peer, _ = listener.accept()
                if len(self._peers) >= MOST_PEERS:
                    peer.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(peer,), name="control-peer", daemon=True)
                self._peers.add(thread)
                thread.start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer, contextlib.suppress(OSError):
                peer.settimeout(LINE_TIMEOUT_S)
                peer.sendall(msgspec.json.encode(self._answered(peer)) + b"\n")
        finally:
            self._peers.discard(threading.current_thread())

    def _answered(self, peer: socket.socket) -> Answer:
        try:
            return self._answer(_line(peer, Request))
        except (LoadgenError, msgspec.MsgspecError, EOFError) as error:
            return Answer(error=str(error))
        except Exception as error:
            return Answer(error=f"internal error: {type(error).__name__}: {one_line(error)}")


def ask(path: Path, request: Request, run: str) -> Answer:
    """Tell the run something.  Raises UsageError: no master of it lives here, or it says no."""
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError("a run can be steered from another terminal only where there are Unix sockets")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(ANSWER_TIMEOUT_S)
            peer.connect(os.fspath(path))
            peer.sendall(msgspec.json.encode(request) + b"\n")
            answer: Answer = _line(peer, Answer)
    except (ConnectionError, FileNotFoundError, EOFError) as error:
        raise UsageError(f"run {run}: no master of it is at work on this machine") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"run {run}: its master does not answer: {one_line(error)}") from error
    if answer.error:
        raise UsageError(answer.error)
    return answer


def _line(peer: socket.socket, kind: type[T] | object) -> T:
    """One line.  Raises EOFError, OSError and MsgspecError."""
    data = b""
    while not data.endswith(b"\n"):
        part = peer.recv(LONGEST_LINE)
        data += part
        if not part or len(data) > LONGEST_LINE:
            raise EOFError("expected one line" if part else "the line was not ended")
    value: T = msgspec.json.decode(data, type=kind)
    return value


def _own_folder(folder: Path) -> None:
    """A folder that only we may enter.  Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid():
        raise PermissionError(1, "belongs to somebody else", os.fspath(folder))
    if found.st_mode & 0o077:
        folder.chmod(0o700)
