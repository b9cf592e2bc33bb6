"""Connections that hang for want of a thread, and connections that are reset after the deed was done."""

import socket
from contextlib import closing

import pytest
import requests
from sandbox_client import DEADLINE_S, Client, a_zip, lines

from loadgen.sandbox import SandboxOptions, running

ASK = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"


def connection(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE_S)


def ask(kept: socket.socket) -> bytes:
    kept.sendall(ASK)
    return answer_of(kept)


def answer_of(kept: socket.socket) -> bytes:
    """Head and body, which may come apart."""
    found = b""
    while not found.endswith(b"}"):
        more = kept.recv(10_000)
        assert more
        found += more
    return found


def test_edge_24_more_kept_connections_than_threads_hang():
    with running(SandboxOptions(threads=2)) as url:
        first, second, third, fourth = (connection(url) for _ in range(4))
        with first, second, third, fourth:
            assert ask(first).startswith(b"HTTP/1.1 200")
            assert ask(second).startswith(b"HTTP/1.1 200")
            third.sendall(ASK)
            fourth.sendall(ASK)
            for _ in range(20):
                assert ask(first).startswith(b"HTTP/1.1 200")
            third.setblocking(False)
            with pytest.raises(BlockingIOError):
                third.recv(1)
            third.settimeout(DEADLINE_S)
            first.close()
            assert answer_of(third).startswith(b"HTTP/1.1 200")
            second.close()
            assert answer_of(fourth).startswith(b"HTTP/1.1 200")


def test_edge_24_an_upload_may_take_effect_and_its_answer_be_lost(tmp_path):
    log = tmp_path / "access.jsonl"
    options = SandboxOptions(drop_rate=1, access_log=log)
    with running(options) as url, closing(Client(url)) as client:
        client.create("p")
        with pytest.raises(requests.ConnectionError):
            client.upload("p", a_zip("a", "b"))
        assert client.flows("p") == {"a", "b"}
        assert client.upload("p", b"no zip").status_code == 500, "nothing happened: that is said"
    (line, _) = [line for line in lines(log) if line["action"] == "upload"]
    assert (line["status"], line["flows"]) == (None, 2)


def test_the_drop_rate_drops_a_share_and_the_same_one_again():
    def fates(seed: int) -> list[bool]:
        with running(SandboxOptions(drop_rate=0.5, seed=seed)) as url, closing(Client(url)) as client:
            client.create("p")
            return [is_answered(client) for _ in range(20)]

    first = fates(1)
    assert 4 < sum(first) < 16
    assert fates(1) == first
    assert fates(2) != first


def is_answered(client: Client) -> bool:
    try:
        client.upload("p", a_zip("a"))
    except requests.ConnectionError:
        return False
    return True
