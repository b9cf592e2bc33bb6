"""Outlets of events: real files, pipes and sockets, and what becomes of a run when they break."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time

import pytest

from loadgen.cli import outlets
from loadgen.cli.outlets import FileSink, Outlet, check, influx_sink
from loadgen.errors import UsageError


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A machine that stands still for a moment makes no end of it."""
    monkeypatch.setattr(outlets, "_PATIENCE_S", 20)


def an_outlet(open_, said):
    return Outlet("--events x", open_, lambda event: (json.dumps(event) + "\n").encode(), said.append)


def test_lines_are_there_at_once_and_are_appended(tmp_path):
    path, said = tmp_path / "events.jsonl", []
    path.write_text("before\n")
    outlet = an_outlet(lambda: FileSink(str(path)), said)
    outlet.put({"n": 1})
    deadline = time.monotonic() + 20
    while path.read_text() != 'before\n{"n": 1}\n':
        assert time.monotonic() < deadline
    outlet.put({"n": 2})
    outlet.close()
    assert path.read_text().splitlines()[1:] == ['{"n": 1}', '{"n": 2}']
    assert said == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full")  # noqa: PTH110
def test_a_full_disk_is_one_line(tmp_path):
    said: list[str] = []
    outlet = an_outlet(lambda: FileSink("/dev/full"), said)
    for number in range(50):
        outlet.put({"n": number})
    outlet.close()
    assert said == ["--events x: No space left on device: no more events go there; the run goes on"]


def test_a_closed_pipe_is_one_line(tmp_path):
    path, said = tmp_path / "pipe", []
    os.mkfifo(path)
    outlet = an_outlet(lambda: FileSink(str(path)), said)  # waits for a reader, the run does not
    with path.open("rb", buffering=0) as reader:
        outlet.put({"n": 1})
        assert reader.read(10) == b'{"n": 1}\n'
    for number in range(50):
        outlet.put({"n": number})
    outlet.close()
    assert [line.split(":")[1] for line in said] == [" Broken pipe"]


def test_a_reader_that_stands_still_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr(outlets, "_WAITING", 10)
    monkeypatch.setattr(outlets, "_PATIENCE_S", 0.01)
    path, said = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        outlet = an_outlet(lambda: FileSink(str(path)), said)
        for _ in range(40):
            outlet.put({"text": "x" * 50_000})
        outlet.close()
        assert said == [
            "--events x: its reader is too slow: 10 events wait: no more events go there; the run goes on"
        ]
    finally:
        os.close(reader)


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path):
    said: list[str] = []
    an_outlet(lambda: FileSink(str(tmp_path / "no" / "x")), said).close()
    assert len(said) == 1
    assert "No such file" in said[0]


def test_a_bug_is_one_line_too(tmp_path):
    said: list[str] = []
    outlet = an_outlet(lambda: FileSink(str(tmp_path / "x")), said)
    outlet.put({"n": object()})
    outlet.close()
    assert len(said) == 1
    assert "not JSON serializable" in said[0]


def test_influx_over_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        sink = influx_sink(f"udp://127.0.0.1:{server.getsockname()[1]}")
        sink.write(b"loadgen_progress rate=1 1\n")
        assert server.recv(2048) == b"loadgen_progress rate=1 1\n"
        sink.close()


class Database(http.server.BaseHTTPRequestHandler):
    """Takes two writes, and then refuses."""

    seen: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Authorization"], body))
        self.send_response(204 if len(self.seen) < 3 else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_influx_over_http(monkeypatch):
    monkeypatch.setenv("INFLUX_TOKEN", "secret-7")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Database.seen, said = [], []
    with http.server.HTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/api/v2/write?bucket=b"
        outlet = an_outlet(lambda: influx_sink(url), said)
        for number in range(3):
            outlet.put({"n": number})
        outlet.close()
        server.shutdown()
        thread.join()
    assert Database.seen[0] == ("/api/v2/write?bucket=b", "Token secret-7", b'{"n": 0}\n')
    assert len(Database.seen) == 3
    assert len(said) == 1
    assert "answered 401" in said[0]
    assert "secret" not in said[0]


def test_what_can_never_be_written_to_is_said_at_once(tmp_path):
    for where in (None, "-", "http://x/y", "udp://localhost:8089", str(tmp_path / "new")):
        check("--influx", where)
    for where, words in (
        (str(tmp_path), "a folder"),
        (str(tmp_path / "no" / "x"), "its folder does not exist"),
        ("udp://localhost", "HOST:PORT"),
        ("udp://localhost:port", "HOST:PORT"),
    ):
        with pytest.raises(UsageError, match=words):
            check("--influx", where)
