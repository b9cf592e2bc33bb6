"""The target whose truth is known: what it answers, when, and what it says of itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

DELAY_S = 0.05
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "loadgen", "sandbox", "delay", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--latency", str(1000 * DELAY_S)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", None)
    assert process.returncode == 0, "being told to stop is no failure"


def connected(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def received(connection: socket.socket, answers: int) -> bytes:
    data = b""
    while data.count(b'{"ok":true}') < answers:
        data += connection.recv(65536)
    return data


def test_each_answer_takes_the_delay_and_no_longer_for_being_one_of_many(url: str) -> None:
    """A hundred at once are answered after one delay, not after a hundred."""
    connections = [connected(url) for _ in range(100)]
    began = time.monotonic()
    for connection in connections:
        connection.sendall(GET)
    for connection in connections:
        assert received(connection, 1).startswith(b"HTTP/1.1 200 OK\r\n")
    took = time.monotonic() - began
    assert DELAY_S - 0.001 <= took < 100 * DELAY_S
    for connection in connections:
        connection.close()


def test_requests_in_pieces_and_in_a_row(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(GET[:-2])
        urlopen(f"{url}/status", timeout=20).close()  # it has read the first piece by now
        connection.sendall(GET[-2:] + GET + GET)
        assert received(connection, 3).count(b"HTTP/1.1 200 OK") == 3


def test_a_client_that_leaves_harms_nobody(url: str) -> None:
    with connected(url) as gone, connected(url) as other:
        gone.sendall(GET)
        gone.close()
        other.sendall(GET)
        assert received(other, 1)


def test_it_tells_how_late_it_was_and_forgets_it(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(GET * 5)
        received(connection, 5)
    with urlopen(f"{url}/status", timeout=20) as answer:
        told = json.load(answer)
    assert told["answers"] >= 5
    assert told["pid"] != os.getpid()
    assert 0 <= told["late_p50_ms"] <= told["late_p99_ms"]
    with urlopen(f"{url}/status", timeout=20) as answer:
        assert json.load(answer)["answers"] == 0
