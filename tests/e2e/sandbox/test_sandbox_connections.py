"""Connections that hang for want of a thread, and connections that are reset after the deed was done."""

import socket
import threading
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


def test_the_figures_of_jetty_are_those_of_its_connections():
    """Three threads: one for who asks, two for five others, of whom three wait."""
    with running(SandboxOptions(threads=3)) as url, closing(Client(url)) as client:
        assert jetty(client) == (3, 2, 1)
        others = [connection(url) for _ in range(5)]
        until(client, (3, 0, 6))
        for each in others[:2]:
            assert ask(each).startswith(b"HTTP/1.1 200")
        assert jetty(client) == (3, 0, 6), "idle connections keep their threads"
        others[0].close()
        until(client, (3, 0, 5))
        for each in others[1:]:
            each.close()
        until(client, (3, 2, 1))


def test_where_everybody_has_a_thread_there_are_as_many_as_it_takes():
    with running() as url, closing(Client(url)) as client:
        assert jetty(client) == (20, 19, 1)
        others = [connection(url) for _ in range(24)]
        until(client, (25, 0, 25))
        for each in others:
            each.close()
        until(client, (20, 19, 1))


def jetty(client: Client) -> tuple[int, int, int]:
    """Threads, idle threads, open connections."""
    bean = "azkaban.jmx.JmxJettyServer:name=jetty"
    told = client.get("/jmx", ajax="getAllMBeanAttributes", mBean=bean).json()["attributes"]
    return told["NumThreads"], told["NumIdleThreads"], told["ConnectionsOpen"]


def until(client: Client, figures: tuple[int, int, int]) -> None:
    """Connections are accepted, and found closed, a moment later."""
    tick = threading.Event()
    for _ in range(DEADLINE_S * 200):
        if jetty(client) == figures:
            return
        tick.wait(0.005)
    assert jetty(client) == figures


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
