"""Described steps on the engine come to what scripted ones come to, thousands of them side by side."""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
from dataclasses import dataclass, field

import msgspec
import pytest
from http_server import Handler, Server, make_certificate, tls_context

from loadgen import Call, Retry, Scenario, Session
from loadgen.clock import SystemClock
from loadgen.execution.multi import Lane, Multi
from loadgen.execution.runner import Errand, Runner, open_session
from loadgen.sample import NO_ITEM, Outcome

PATIENCE_S = 20


@pytest.fixture(scope="module")
def server():
    server = Server(Handler)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _own_log(server, monkeypatch):
    server.log.take()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass
class Desk:
    """A client of the engine: lanes in a queue, what came of them in lists."""

    multi: Multi
    lanes: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)
    results: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    leave: dict = field(default_factory=dict)
    """By lease: what the gates say, one after the other; empty: go."""
    asked: list = field(default_factory=list)
    ended: threading.Condition = field(default_factory=threading.Condition)

    def put(self, step, items, lease=1):
        errands = iter([Errand(step, item, item, 1) for item in items])
        self.lanes.put(Lane(lease, errands, token=f"lane of {items}"))
        self.multi.wake()

    def take(self):
        with contextlib.suppress(queue.Empty):
            lane = self.lanes.get_nowait()
            if lane is None:
                self.lanes.put(None)  # the end is for `wait` to tell
            return lane
        return None

    def wait_s(self):
        return None

    def wait(self):
        return self.lanes.get()

    def may_start(self, lane):
        return self._ask("start", lane.lease)

    def may_go_on(self, lease):
        return self._ask("go on", lease)

    def _ask(self, what, lease):
        self.asked.append((what, lease))
        answers = self.leave.get(lease)
        return answers.pop(0) if answers else True

    def done(self, lane, result, samples):
        with self.ended:
            self.results.append(result)
            self.samples += samples
            self.ended.notify_all()

    def lost(self, lane, position, samples):
        with self.ended:
            self.skipped.append((lane.lease, position))
            self.samples += samples or []
            self.ended.notify_all()

    def wait_for(self, count):
        with self.ended:
            assert self.ended.wait_for(lambda: len(self.results) + len(self.skipped) >= count, PATIENCE_S)


@contextlib.contextmanager
def engine(scenario, url, slots=64, run=""):
    """A running engine; at the end of the block it finishes what it was given."""
    clock = SystemClock()
    with open_session(scenario, url, None, clock) as session:
        multi = Multi(None, session, clock, slots, run)
        desk = Desk(multi)
        thread = threading.Thread(target=multi.run, args=(desk,))
        thread.start()
        try:
            yield desk
        finally:
            desk.lanes.put(None)
            thread.join(PATIENCE_S)
            alive = thread.is_alive()
            multi.close()
        assert not alive


def described(calls, **settings):
    """A step that makes these calls: `calls` is one, a list, or a function of the item."""
    scenario = Scenario(timeout=PATIENCE_S)

    @scenario.step(items=1, **settings)
    def act(item: int, options: object):
        return calls(item) if callable(calls) else calls

    return scenario, act


def refuse(response):
    raise LookupError(f"no such\n thing: {response.status_code}")


def leave(response):
    raise SystemExit(3)


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CALLS = {
    "ok": Call("GET", "/echo"),
    "value": Call("GET", "/gzip", check=lambda response: response.text[:8]),
    "json and headers": Call(
        "POST", "/echo", json={"a": 1}, headers={"X-A": "ü"}, check=lambda response: response.json()["body"]
    ),
    "form and params": Call("PUT", "/echo/1?a=1", data={"a": 1}, params={"b": 2}, name="put it"),
    "404": Call("GET", "/status/404"),
    "404 with a check": Call("GET", "/status/404", check=refuse),
    "404 expected": Call("GET", "/status/404", expect=404, check=lambda response: response.status_code),
    "503": Call("GET", "/status/503", expect=(404, 409)),
    "check raises": Call("GET", "/echo", check=refuse),
    "check exits": Call("GET", "/echo", check=leave),
    "check raises for status": Call(
        "GET", "/status/503", expect=503, check=lambda response: response.raise_for_status()
    ),
    "too large a value": Call("GET", "/echo", check=lambda response: "x" * 20_000),
    "no value at all": Call("GET", "/echo", check=lambda response: object()),
    "timeout": Call("GET", "/slow", timeout=0.4),  # a busy machine connects within that
    "slow body": Call("GET", "/slow-body", timeout=0.4),
    "bad timeout": Call("GET", "/echo", timeout=0),
    "dropped": Call("GET", "/drop"),
    "reset": Call("GET", "/reset"),
    "cut": Call("GET", "/truncated"),
    "garbage": Call("GET", "/garbage"),
    "unknown host": Call("GET", "http://no-such-host.invalid/"),
    "bad url": Call("GET", "ftp://host/"),
    "bad header": Call("GET", "/echo", headers={"X-A": "a\nb"}),
    "header not latin": Call("GET", "/echo", headers={"X-A": "\u20ac"}),
    "head with body": Call("HEAD", "/echo", json={}),
    "early hints": Call("GET", "/early", check=lambda response: response.headers["X-Final"]),
    "several": [
        Call("POST", "/echo", data=b"1", check=lambda response: response.json()["body"]),
        Call("GET", "/status/204"),
    ],
    "several, the last checks": [
        Call("GET", "/echo", check=lambda response: 1),
        Call("GET", "/echo", check=lambda response: 2),
    ],
    "several, the second fails": [
        Call("GET", "/echo"),
        Call("GET", "/status/500"),
        Call("GET", "/never"),
    ],
    "several, the first check fails": [Call("GET", "/echo", check=refuse), Call("GET", "/never")],
    "nothing": None,
    "no calls": [],
    "no list of calls": [Call("GET", "/echo"), "GET /echo"],
    "raises": lambda item: 1 // 0,
}


@pytest.mark.parametrize("name", CALLS)
def test_what_scripted_steps_come_to(server, name):
    settings = {"retry": Retry(attempts=2, backoff_s=0.0)}
    scenario, step = described(CALLS[name], **settings)
    clock = SystemClock()
    with open_session(scenario, server.url, None, clock) as session:
        expected, expected_samples = Runner(None, session, clock, "r1").run(Errand(step, 7, 7, 1))
    expected_requests = server.log.take()
    with engine(scenario, server.url, run="r1") as desk:
        desk.put(step, [7])
    (result,) = desk.results
    for of in ("item", "attempt", "outcome", "error", "value", "retry_ms"):
        assert getattr(result, of) == getattr(expected, of), of
    assert result.start_us > 0
    assert [like(one) for one in desk.samples] == [like(one) for one in expected_samples]
    requests = server.log.take()
    assert [wire(one) for one in requests] == [wire(one) for one in expected_requests]
    assert "\n" not in result.error


def like(sample):
    """A sample without what differs from call to call."""
    happened = [time_us > 0 for time_us in (sample.total_us, sample.connect_us, sample.first_byte_us)]
    return (
        sample.item,
        sample.attempt,
        sample.label,
        sample.status,
        sample.error,
        sample.bytes_out,
        happened,
    )


def wire(seen):
    return seen.method, seen.target, seen.headers, seen.body


@pytest.mark.parametrize(
    ("returned", "shown"),
    [(None, "None"), ([], "[]"), ({"method": "GET"}, "{'method': 'GET'}"), ([Call("GET", "/"), 1], "[Call(")],
)
def test_what_is_no_call_is_explained_with_file_and_line(server, returned, shown):
    scenario, step = described(returned)
    with engine(scenario, server.url) as desk:
        desk.put(step, [0])
    (result,) = desk.results
    place = f"{__file__}:{step.function.__code__.co_firstlineno}"
    words = f"{place}: act has no http parameter, so it must return a Call, or several in a list, not {shown}"
    assert result.error.startswith(words)
    assert (desk.samples, server.log.take()) == ([], [])


def test_a_scripted_step_that_returns_a_call_is_explained(server):
    scenario = Scenario()

    @scenario.step(items=1)
    def act(http: Session, item: int, options: object) -> Call:
        return Call("GET", "/echo")

    with open_session(scenario, server.url, None, SystemClock()) as session:
        result, samples = Runner(None, session, SystemClock()).run(Errand(act, 0, 0, 1))
    assert "act returned a Call, which nobody makes" in result.error
    assert result.error.startswith(__file__)
    assert (result.outcome, samples) == (Outcome.FAILED, [])


def test_an_answer_that_was_refused_is_not_checked(server):
    checked = []
    scenario, step = described(Call("GET", "/status/404", check=checked.append))
    with engine(scenario, server.url) as desk:
        desk.put(step, [0])
    assert (desk.results[0].outcome, checked) == (Outcome.FAILED, [])


def test_refused(server):
    port = closed_port()
    scenario, step = described(Call("GET", f"http://127.0.0.1:{port}/"), retry=Retry(attempts=2))
    with engine(scenario, server.url) as desk:
        desk.put(step, [0])
    (result,) = desk.results
    assert (result.outcome, result.error) == (Outcome.FAILED, f"connection refused by 127.0.0.1:{port}")
    assert result.retry_ms is not None
    assert [sample.error for sample in desk.samples] == [result.error]


def test_a_lane_is_done_in_order_and_lanes_side_by_side(server):
    scenario, step = described(lambda item: [Call("GET", f"/echo/{item}/a"), Call("GET", f"/echo/{item}/b")])
    with engine(scenario, server.url) as desk:
        for first in range(0, 60, 6):
            desk.put(step, range(first, first + 6))
    seen = [request.target for request in server.log.take()]
    for first in range(0, 60, 6):
        wanted = [f"/echo/{item}/{call}" for item in range(first, first + 6) for call in "ab"]
        assert [target for target in seen if target in wanted] == wanted
    assert seen != sorted(seen, key=lambda target: int(target.split("/")[2]))
    assert len(desk.results) == 60
    assert all(result.outcome == Outcome.DONE for result in desk.results)


def test_an_item_that_fails_does_not_end_its_lane(server):
    scenario, step = described(lambda item: Call("GET", "/drop" if item == 1 else "/echo"))
    with engine(scenario, server.url) as desk:
        desk.put(step, [0, 1, 2])
    assert [(result.item, result.error == "") for result in desk.results] == [
        (0, True),
        (1, False),
        (2, True),
    ]


def test_connections_are_kept(server):
    scenario, step = described(Call("GET", "/echo"))
    before = server.log.connections
    with engine(scenario, server.url, slots=4) as desk:
        for lane in range(40):
            desk.put(step, [lane, lane])
    assert len(server.log.take()) == 80
    assert server.log.connections - before <= 4
    assert sum(sample.connect_us > 0 for sample in desk.samples) == server.log.connections - before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_on_a_dying_connection_is_sent_once(server, method):
    """libcurl, left alone, sends it again without a word; there are other connections for it, too."""
    scenario, step = described(Call(method, "/second-drops"))
    with engine(scenario, server.url, slots=8) as desk:
        for lane in range(8):
            desk.put(step, [lane * 10 + item for item in range(2)])
    seen = server.log.take()
    assert len(seen) == 16
    by_item = {result.item: result.error for result in desk.results}
    assert len(by_item) == 16
    refused = [error for error in by_item.values() if error]
    assert len(refused) == 16 - len({request.connection for request in seen})
    assert refused
    assert all("closed the connection without an answer" in error for error in refused)


def test_login_once_for_all_and_its_cookies_and_headers_go_along(server):
    scenario, step = described(Call("GET", "/echo"))

    @scenario.login
    def login(http: Session, options: object) -> None:
        http.headers["X-Token"] = "t"
        http.post("/cookies?sid=1")
        http.get("/status/409", expect=409)

    with engine(scenario, server.url, run="r9") as desk:
        for item in range(10):
            desk.put(step, [item])
    first, second, *calls = server.log.take()
    assert (first.target, second.target) == ("/cookies?sid=1", "/status/409")
    assert first.header("X-Loadgen-Run") is None
    assert {(call.header("Cookie"), call.header("X-Token")) for call in calls} == {("sid=1", "t")}
    assert {call.header("X-Loadgen-Item") for call in calls} == {str(item) for item in range(10)}
    assert {(call.header("X-Loadgen-Run"), call.header("X-Loadgen-Attempt")) for call in calls} == {
        ("r9", "1")
    }
    labels = [(sample.item == NO_ITEM, sample.label) for sample in desk.samples]
    assert labels.count((True, "login POST /cookies")) == 1
    assert labels.count((False, "act GET /echo")) == 10


def test_a_refused_login_fails_the_item_and_is_tried_by_the_next(server):
    scenario, step = described(Call("GET", "/echo"), retry=Retry(attempts=2, on=(503,)))
    paths = ["/status/503", "/status/200"]

    @scenario.login
    def login(http: Session, options: object) -> None:
        http.get(paths.pop(0))

    with engine(scenario, server.url) as desk:
        desk.put(step, [0, 1])
    first, second = desk.results
    assert first.error == "GET /status/503 answered 503: so it is"
    assert (first.retry_ms is not None, second.outcome) == (True, Outcome.DONE)
    assert [sample.item for sample in desk.samples] == [NO_ITEM, NO_ITEM, 1]


def test_a_cookie_of_an_answer_is_sent_back(server):
    scenario, step = described(lambda item: Call("GET", "/echo" if item else "/cookies?a=b"))
    with engine(scenario, server.url) as desk:
        desk.put(step, [0, 1])
    assert [request.header("Cookie") for request in server.log.take()] == [None, "a=b"]


def test_an_idle_engine_wakes_up(server):
    scenario, step = described(Call("GET", "/echo"))
    with engine(scenario, server.url) as desk:
        for item in range(5):
            desk.put(step, [item])
            desk.wait_for(item + 1)


def test_new_work_is_begun_while_calls_are_under_way(server):
    scenario, step = described(lambda item: Call("GET", "/echo" if item else "/slow"))
    with engine(scenario, server.url) as desk:
        desk.put(step, [0])
        deadline = time.monotonic() + PATIENCE_S
        while not server.log.requests and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        for item in range(1, 6):
            desk.put(step, [item])
            desk.wait_for(item)
        assert 0 not in {result.item for result in desk.results}
        server.released.set()
    server.released.clear()
    assert len(desk.results) == 6


def test_no_call_without_leave_and_each_is_asked_for(server):
    scenario, step = described([Call("GET", "/echo/a"), Call("GET", "/echo/b")])
    with engine(scenario, server.url) as desk:
        desk.put(step, [0], lease=5)
    assert desk.asked == [("start", 5), ("go on", 5), ("go on", 5)]


@pytest.mark.parametrize(
    ("leave", "sent"),
    [
        ([False], []),
        ([True, False], []),
        ([True, True, False], ["/echo/0/a"]),
        ([True] * 4 + [False], ["/echo/0/a", "/echo/0/b", "/echo/1/a"][:2]),
        ([True] * 5 + [False], ["/echo/0/a", "/echo/0/b", "/echo/1/a"]),
    ],
)
def test_a_lost_lease_ends_its_lane(server, leave, sent):
    scenario, step = described(lambda item: [Call("GET", f"/echo/{item}/a"), Call("GET", f"/echo/{item}/b")])
    with engine(scenario, server.url) as desk:
        desk.leave[5] = list(leave)
        desk.put(step, [0, 1, 2], lease=5)
        desk.put(step, [7], lease=6)
    ours = [request.target for request in server.log.take() if "/7/" not in request.target]
    assert ours == sent
    assert desk.skipped == [(5, len(sent) // 2)]
    assert [result.item for result in desk.results if result.item != 7] == list(range(len(sent) // 2))
    assert len(desk.samples) == len(sent) + 2


def test_a_closed_fence_holds_a_lane_but_no_other(server):
    scenario, step = described([Call("GET", "/echo/a"), Call("GET", "/echo/b")])
    with engine(scenario, server.url) as desk:
        desk.leave[5] = [True, True, *[None] * 10]
        desk.put(step, [0], lease=5)
        for item in range(1, 9):
            desk.put(step, [item], lease=6)
        desk.wait_for(9)
    assert desk.results[-1].item == 0
    assert len(server.log.take()) == 18
    assert desk.asked.count(("go on", 5)) >= 11


def test_lanes_wait_when_every_slot_is_taken(server):
    scenario, step = described(Call("GET", "/echo"))
    with engine(scenario, server.url, slots=3) as desk:
        for item in range(30):
            desk.put(step, [item])
    assert len(desk.results) == 30
    assert len({request.connection for request in server.log.take()}) <= 3


def test_tls(tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path)
    tls_server = Server(Handler, tls_context(*certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    scenario, step = described(Call("GET", "/echo"))
    try:
        with engine(scenario, tls_server.url, slots=4) as desk:
            for item in range(8):
                desk.put(step, [item])
    finally:
        tls_server.close()
    assert [result.error for result in desk.results] == [""] * 8
    assert all(0 < one.connect_us < one.tls_us for one in desk.samples if one.connect_us)


class Crowd:
    """Answers nobody until `size` requests are there."""

    def __init__(self, size):
        self.size = size
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=size)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.listener)
            guests = [stack.enter_context(self.listener.accept()[0]) for _ in range(self.size)]
            for guest in guests:
                assert re.match(rb"GET /\d+ ", guest.recv(4096))
            for guest in guests:
                guest.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_a_thousand_in_flight():
    crowd = Crowd(1000)
    scenario, step = described(lambda item: Call("GET", f"/{item}", check=lambda response: response.text))
    with engine(scenario, crowd.url, slots=1000) as desk:
        for item in range(1000):
            desk.put(step, [item])
    crowd.thread.join(PATIENCE_S)
    assert sorted(result.item for result in desk.results) == list(range(1000))
    assert {msgspec.msgpack.decode(result.value) for result in desk.results} == {"ok"}
