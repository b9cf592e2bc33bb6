"""The sandbox as a server: its access log, faults, sockets, signals."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median

import pytest
import requests
from sandbox_client import DEADLINE_S, Client, a_zip, lines, until_lines, without_session

from loadgen.errors import AddressInUse, UsageError
from loadgen.sandbox import SandboxOptions, running


def test_answers_on_a_kept_connection_do_not_wait_for_an_acknowledgement(url):
    """Nagle's algorithm would hold the second segment of each answer back; new connections are spared."""

    def seconds(ask: Callable[[], object]) -> float:
        started = time.perf_counter()
        ask()
        return time.perf_counter() - started

    with requests.Session() as http:
        http.trust_env = False
        kept = median(seconds(lambda: http.get(f"{url}/status").content) for _ in range(21))
    new = median(seconds(lambda: without_session(url, path="/status").content) for _ in range(21))
    assert kept < 5 * new


def test_the_access_log_has_one_line_a_request_before_its_answer(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log)) as url, closing(Client(url)) as client:
        assert [line["action"] for line in lines(log)] == ["login"]
        client.create("p")
        headers = {"X-Loadgen-Run": "r1", "X-Loadgen-Item": "7", "X-Loadgen-Attempt": "2"}
        client.upload("p", a_zip("a", "b"), headers=headers)
        client.upload("p", b"no zip")
        client.get(ajax="fetchprojectflows", project="p")
        client.get(delete="true", project="p")
        without_session(url, path="/nowhere")
        found = lines(log)
    facts = [
        (line["method"], line["action"], line["project"], line["status"], line["flows"]) for line in found
    ]
    assert facts == [
        ("POST", "login", None, 200, None),
        ("POST", "create", "p", 200, None),
        ("POST", "upload", "p", 200, 2),
        ("POST", "upload", "p", 500, None),
        ("GET", "fetchprojectflows", "p", 200, None),
        ("GET", "delete", "p", 302, None),
        ("GET", None, None, 200, None),
    ]
    assert [(line["run"], line["item"], line["attempt"]) for line in found[1:3]] == [
        (None,) * 3,
        ("r1", 7, 2),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"]) for line in found)
    assert all(line["duration_ms"] >= 0 for line in found)
    assert found[4]["path"] == "/manager?session.id=***&ajax=fetchprojectflows&project=p"
    assert client.session_id not in log.read_text()


def test_a_request_whose_client_left_is_logged_and_takes_effect(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log, latency_ms=200)) as url, closing(Client(url)) as client:
        with pytest.raises(requests.Timeout):
            client.http.post(
                f"{url}/manager",
                data={"action": "create", "name": "p", "description": "d", "session.id": client.session_id},
                timeout=0.05,
            )
        found = until_lines(log, 2)
        assert [(line["action"], line["status"]) for line in found] == [("login", 200), ("create", 200)]
        assert found[1]["duration_ms"] >= 200
        assert client.flows("p") == set()
    assert len(lines(log)) == 3


def test_a_request_that_never_came_whole_is_logged_without_a_status(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            head = "POST /manager HTTP/1.1\r\nHost: x\r\nX-Loadgen-Item: 3\r\nContent-Length: 100\r\n\r\n"
            half.sendall(head.encode() + b"action=create")
        (line,) = until_lines(log, 1)
    assert (line["method"], line["item"], line["action"], line["status"]) == ("POST", 3, None, None)


def test_a_request_in_flight_when_the_sandbox_stops_is_answered_and_logged(tmp_path):
    log = tmp_path / "access.jsonl"
    read = threading.Event()
    answers = []

    def ask(url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as connection:
            head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
            read.set()
            connection.sendall(b"x")
            answers.append(connection.recv(12))

    with running(SandboxOptions(access_log=log, latency_ms=300)) as url:
        asking = threading.Thread(target=ask, args=(url,))
        asking.start()
        assert read.wait(DEADLINE_S)
    asking.join()
    assert answers == [b"HTTP/1.1 200"]
    assert [line["status"] for line in lines(log)] == [200]


def test_latency_is_added_without_holding_others_up():
    with running(SandboxOptions(latency_ms=200)) as url, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: without_session(url, path="/status"), range(20)))
    times = [answer.elapsed.total_seconds() for answer in answers]
    assert min(times) >= 0.2
    assert max(times) < 10 * 0.2, "one after the other would take 20 times the latency"


def test_the_fail_rate_fails_uploads_and_creates_before_they_have_any_effect():
    def fates(seed: int) -> list[bool]:
        with running(SandboxOptions(fail_rate=0.5, seed=seed)) as url, closing(Client(url)) as client:
            fates = []
            for number in range(40):
                answer = client.create(f"p{number}")
                exists = "error" not in client.get(ajax="getProjectId", project=f"p{number}").json()
                assert answer.status_code == (200 if exists else 500)
                fates.append(exists)
            (name, *_) = (f"p{number}" for number, exists in enumerate(fates) if exists)
            for number in range(40):
                before = client.flows(name)
                answer = client.upload(name, a_zip(f"f{number}"))
                fates.append(answer.status_code == 200)
                assert client.flows(name) == ({f"f{number}"} if fates[-1] else before)
                if not fates[-1]:
                    assert answer.json()["error"].startswith("Installation Failed.<br>")
                    assert set(answer.json()) == {"error", "projectId", "version"}
            return fates

    first = fates(1)
    assert 10 < sum(first[:40]) < 30
    assert 10 < sum(first[40:]) < 30
    assert fates(1) == first
    assert fates(2) != first


def test_a_port_in_use_is_one_clear_line(url):
    port = int(url.rpartition(":")[2])
    with (
        pytest.raises(AddressInUse, match=rf"^127\.0\.0\.1:{port} is in use"),
        running(SandboxOptions(port=port)),
    ):
        pass


@pytest.mark.parametrize("options", [{"host": "192.0.2.1"}, {"port": 99999}])
def test_an_address_that_is_none_is_one_clear_line(options):
    with pytest.raises(UsageError, match="cannot listen on"), running(SandboxOptions(**options)):
        pass


SERVE = """
import sys
from pathlib import Path
from loadgen.sandbox import SandboxOptions, serve
serve(SandboxOptions(access_log=Path(sys.argv[1])), ready=lambda port: print(port, flush=True))
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_quietly_on_a_signal(tmp_path, number):
    command = [sys.executable, "-c", SERVE, str(tmp_path / "access.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        assert without_session(f"http://127.0.0.1:{port}", path="/status").status_code == 200
        process.send_signal(number)
        out, errors = process.communicate(timeout=DEADLINE_S)
    assert (out, errors, process.returncode) == ("stopped\n", "", 0)


def test_a_kill_loses_no_line_that_was_answered(tmp_path):
    log = tmp_path / "access.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        for _ in range(5):
            without_session(f"http://127.0.0.1:{port}", path="/status")
        process.kill()
    assert len(lines(log)) == 5


def test_importing_the_sandbox_is_cheap():
    code = (
        "import sys, loadgen.sandbox; print([name for name in ('uvicorn', 'asyncio') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
