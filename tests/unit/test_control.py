"""The master's local door: real sockets, strangers included."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadgen.control import MOST_PEERS, Answer, Door, Pause, Request, Set, ask, socket_path
from loadgen.errors import UsageError

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return socket_path(tmp_path / "run", {"LOADGEN_STATE_DIR": str(tmp_path / "state")})


@pytest.fixture
def asked(path: Path) -> Iterator[list[Request]]:
    asked: list[Request] = []

    def answer(request: Request) -> Answer:
        asked.append(request)
        if isinstance(request, Set):
            raise UsageError("no such thing")
        return Answer(paused="by hand", settled=3, planned=4)

    with Door(path, answer):
        yield asked
    assert not path.exists()


def raw(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(os.fspath(path))
        peer.sendall(data)
        return peer.makefile("rb").read()


def test_one_line_in_one_line_out(path: Path, asked: list[Request]) -> None:
    assert ask(path, Pause(), "r1") == Answer(paused="by hand", settled=3, planned=4)
    with pytest.raises(UsageError, match="no such thing"):
        ask(path, Set(("rate=1/s",)), "r1")
    assert asked == [Pause(), Set(("rate=1/s",))]


def test_only_its_owner_gets_in(path: Path, asked: list[Request]) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"nonsense\n", b"JSON is malformed"),
        (b'{"type":"explode"}\n', b"Invalid value"),
        (b'{"type":"set","settings":[1]}\n', b"Expected `str`"),
        (b"x" * 5000, b"expected one line"),
    ],
)
def test_strangers_are_told_no(path: Path, asked: list[Request], data: bytes, words: bytes) -> None:
    answer = raw(path, data)
    assert words in answer
    assert answer.endswith(b"}\n")
    assert asked == []
    assert ask(path, Pause(), "r1").settled == 3


def test_a_crowd_is_turned_away_and_silence_holds_nobody_up(path: Path, asked: list[Request]) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_PEERS):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.connect(os.fspath(path))
        with pytest.raises(UsageError, match="no master of it is at work"):
            ask(path, Pause(), "r1")
    for _ in range(1000):
        try:
            assert ask(path, Pause(), "r1").settled == 3
        except UsageError:
            continue  # those that left have not been noticed yet
        return
    raise AssertionError("the crowd has left, and still nobody gets in")


def test_what_a_dead_master_left_is_replaced(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(os.fspath(path))
    dead.close()
    with pytest.raises(UsageError, match="run r1: no master of it is at work on this machine"):
        ask(path, Pause(), "r1")
    with Door(path, lambda _: Answer(planned=1)):
        assert ask(path, Pause(), "r1").planned == 1
    with pytest.raises(UsageError, match="no master"):
        ask(path, Pause(), "r1")


def test_a_long_path_finds_a_shorter_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    path = socket_path(tmp_path, {"LOADGEN_STATE_DIR": str(deep)})
    assert len(os.fsencode(path)) <= 100
    assert path != socket_path(deep, {"LOADGEN_STATE_DIR": str(deep)})


def test_the_door_closes_its_thread(path: Path) -> None:
    with Door(path, lambda _: Answer()):
        (accepting,) = (thread for thread in threading.enumerate() if thread.name == "control")
    accepting.join(10)
    assert not accepting.is_alive()
