"""The server, by raw sockets: refusals, the stream, orders, those who do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from loadgen.cli.dash import access_for
from loadgen.control import Answer, Pause, Request, Set
from loadgen.dashboard import hub, server, site
from loadgen.dashboard.access import Access
from loadgen.dashboard.board import Board, End
from loadgen.dashboard.parts import Parts
from loadgen.dashboard.server import Dashboard, listen
from loadgen.errors import UsageError

TOKEN = "the token of this run"
DEADLINE_S = 20.0


class Served:
    """A dashboard, and what it was told."""

    def __init__(self, parts: Parts, port: int, dashboard: Dashboard) -> None:
        self.parts = parts
        self.port = port
        self.dashboard = dashboard
        self.told: list[Request] = []

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
        """One request, as it is written here."""
        fields = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), "Connection": "close"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        with self.connect() as peer:
            peer.sendall("\r\n".join([*head, "", body]).encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b"")).decode()
        top, _, content = answer.partition("\r\n\r\n")
        first, *rest = top.split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), content

    def steer(self, order: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
        csrf = {"X_Loadgen_CSRF": self.parts.access.csrf}
        status, _, text = self.ask("POST", "/steer", json.dumps(order), **{**csrf, **headers})
        return status, json.loads(text) if text.startswith("{") else {}

    @contextlib.contextmanager
    def watching(self, path: str = "/events") -> Iterator[Any]:
        with self.connect() as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n\r\n".encode())
            with peer.makefile("rb") as file:
                yield file


@contextlib.contextmanager
def serving(access: Callable[[int], Access], metrics: Callable[[], str] | None = None) -> Iterator[Served]:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    told: list[Request] = []

    def steer(order: Request) -> Answer:
        told.append(order)
        if isinstance(order, Set):
            raise UsageError("rate: expected something else")
        return Answer(paused="by hand")

    parts = Parts(access(port), Board("server", lambda: time.time_ns() // 1000), steer, metrics)
    with Dashboard(listener, parts) as dashboard:
        served = Served(parts, port, dashboard)
        served.told = told
        yield served


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK_S", 0.05)


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(lambda port: access_for("127.0.0.1", port, "")) as it:
        yield it


def message(file: Any) -> dict[str, Any]:
    while not (line := file.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return dict(json.loads(line[6:]))


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def test_pages_with_strict_headers(served: Served) -> None:
    status, headers, text = served.ask("GET", "/")
    assert status == 200
    assert served.parts.access.csrf in text
    assert 'data-known="yes"' in text
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in headers
    assert " style=" not in text
    assert "<script>" not in text
    for path in ("/dashboard.js", "/chart.js", "/dashboard.css", "/icon.svg"):
        status, headers, text = served.ask("GET", path)
        assert (status, headers["x-content-type-options"]) == (200, "nosniff"), path
        assert "innerHTML" not in text
    assert served.ask("GET", "/../server.py")[0] == 404
    assert served.ask("GET", "/metrics")[0] == 404


def test_another_name_is_refused(served: Served) -> None:
    assert served.ask("GET", "/", Host="rebound.example")[0] == 421
    status, headers, _ = served.ask("GET", "/events", Host=f"rebound.example:{served.port}")
    assert status == 421
    assert "content-security-policy" in headers


def test_orders(served: Served) -> None:
    assert served.steer({"type": "pause"}) == (200, _plain(Answer(paused="by hand")))
    assert served.told == [Pause()]
    status, answer = served.steer({"type": "set", "settings": ["rate=x"]})
    assert (status, answer["error"]) == (400, "rate: expected something else")
    assert served.steer({"type": "explode"})[0] == 400
    assert served.steer({"type": "pause", "x": "y" * 5000})[0] == 400


def test_orders_of_other_sites_are_refused(served: Served) -> None:
    assert served.steer({"type": "stop"}, X_Loadgen_CSRF="guessed")[0] == 403
    assert served.steer({"type": "stop"}, Origin="http://evil.example")[0] == 403
    assert served.steer({"type": "stop"}, Sec_Fetch_Site="cross-site")[0] == 403
    assert served.ask("POST", "/steer", '{"type": "stop"}')[0] == 403
    assert served.told == []


def test_everybody_gets_the_same_messages(served: Served) -> None:
    with served.watching() as one, served.watching() as other:
        assert message(one)["about"] is not None
        assert message(other)["server"] == "server"
        assert message(one)["now"]["phase"] == "starting"
        message(other)
    until(lambda: not served.parts.hub.tick(), "who left has no seat")


def test_who_does_not_look_is_told_now_and_then_and_in_the_end() -> None:
    async def watch() -> list[bytes]:
        all_ = hub.Hub()
        seats = [all_.join(), all_.join(every=3)]
        due = []
        for number in range(1, 5):
            due.append(all_.tick(for_all=number == 4))
            all_.publish(str(number).encode())
        all_.leave(seats[0])
        due += [all_.tick(), all_.tick()]
        assert due == [True] * 4 + [False, True], "nothing is put together for who does not look"
        return [await seat.take() for seat in seats if seat]

    assert asyncio.run(watch()) == [b"1234", b"34"]


def test_a_page_in_the_background_says_so(served: Served) -> None:
    with served.watching("/events?idle") as file:
        message(file)
        assert [seat.every for seat in served.parts.hub._seats] == [hub.IDLE]


def test_more_than_there_are_seats_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "SEATS", 1)
    with served.watching() as one:
        message(one)
        assert served.ask("GET", "/events")[0] == 503


def test_who_does_not_read_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """And holds up nobody meanwhile."""
    monkeypatch.setattr(site, "SLOW_S", 0.3)
    with served.watching() as other, served.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        message(other)
        deaf.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{served.port}\r\n\r\n".encode())
        until(lambda: len(served.parts.hub._seats) == 2, "both sit")
        filler = b": " + b"x" * 4_000_000 + b"\n\n"
        served.parts.hub.publish(filler)
        until(lambda: message(other) and len(served.parts.hub._seats) == 1, "the deaf one was cut off")


def test_the_last_message_is_told_before_it_closes(served: Served) -> None:
    with served.watching() as file:
        message(file)
        served.parts.board.end(End(ok=True, exit_code=0, reasons=(), resumable=False))
        threading.Thread(target=served.dashboard.__exit__, args=(None, None, None)).start()
        last: dict[str, Any] = {}
        with contextlib.suppress(AssertionError):
            while True:
                last = message(file)
        assert last["end"]["ok"] is True


def test_the_server_is_started_by_the_first_visitor(served: Served) -> None:
    assert served.dashboard._server is None
    served.ask("GET", "/")
    assert served.dashboard._server is not None


def test_a_run_that_nobody_watches_loads_no_server() -> None:
    """Importing a web server would take longer than many a run."""
    code = "import sys, loadgen.dashboard.server, loadgen.dashboard.parts; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"asyncio", "uvicorn", "starlette"} & set(loaded.split())


def test_elsewhere_one_logs_in() -> None:
    def strict(port: int) -> Access:
        return replace(access_for("0.0.0.0", port, TOKEN))

    with serving(strict, lambda: "loadgen_workers 1\n") as served:
        csrf = {"X_Loadgen_CSRF": served.parts.access.csrf}
        assert 'data-known="no"' in served.ask("GET", "/")[2]
        assert served.ask("GET", "/events")[0] == 401
        assert served.ask("GET", "/metrics")[0] == 401
        assert served.steer({"type": "pause"})[0] == 401
        assert served.ask("POST", "/login", TOKEN)[0] == 403, "not from our page"
        assert served.ask("POST", "/login", "guessed", **csrf)[0] == 403
        status, headers, _ = served.ask("POST", "/login", TOKEN, **csrf)
        assert status == 204
        cookie = headers["set-cookie"].partition(";")[0]
        assert 'data-known="yes"' in served.ask("GET", "/", Cookie=cookie)[2]
        assert served.steer({"type": "pause"}, Cookie=cookie)[0] == 200
        status, headers, text = served.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}")
        assert (status, text) == (200, "loadgen_workers 1\n")
        assert headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_taken_port_is_not_in_the_way() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port) as second:
            assert second.getsockname()[1] != port
    with pytest.raises(UsageError, match="cannot listen there"):
        listen("192.0.2.1", 0)


def test_a_hundred_at_once_find_a_port_each() -> None:
    with contextlib.ExitStack() as stack:
        began = stack.enter_context(listen("127.0.0.1", 0)).getsockname()[1]
        ports = {stack.enter_context(listen("127.0.0.1", began)).getsockname()[1] for _ in range(100)}
        assert len(ports) == 100


def _plain(answer: Answer) -> dict[str, Any]:
    return dict(msgspec.to_builtins(answer))
