"""What the session adds to requests: labels, samples, failures, logins.  No sockets here."""

from __future__ import annotations

import pickle

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter

from loadgen.clock import SteppedClock
from loadgen.execution.http_messages import Received, prepared
from loadgen.execution.http_prepare import Labels
from loadgen.execution.session import Bearer, Session
from loadgen.sample import NO_ITEM


class FakeTransport:
    """Answers from a list of statuses (200 when it is empty), and keeps what was sent."""

    accept_encoding = "gzip"

    def __init__(self, clock):
        self.clock = clock
        self.statuses = []
        self.sent = []
        self.body = b"it said: \n no"
        self.error = None

    def send(self, request):
        self.sent.append(request)
        self.clock.step(0.25)
        status = self.statuses.pop(0) if self.statuses else 200
        if self.error:
            return Received(99, error=self.error)
        head = f"HTTP/1.1 {status} Words\r\nContent-Type: text/plain\r\n\r\n".encode()
        return Received(1234, 10, 20, 1000, 300, 400, status, head, self.body)

    def close(self):
        pass


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def http(clock):
    session = Session("http://target/app", transport="requests", clock=clock)
    session.trust_env = False
    session._transport.close()
    session._transport = FakeTransport(clock)
    return session


def labels(http):
    return [sample.label for sample in http.samples]


# ---- labels ----


@pytest.mark.parametrize(
    ("step", "method", "url", "label"),
    [
        ("create", "POST", "http://t/manager?id=4", "create POST /manager"),
        ("", "GET", "http://t/jobs/17/runs/2b4", "GET /jobs/#/runs/#b#"),
        ("run", "GET", "http://t", "run GET /"),
        ("run", "GET", "http://t8/v1/", "run GET /v#/"),
        ("run", "GET", "http://t/gr%C3%BC%C3%9Fe/1", "run GET /grüße/#"),
    ],
)
def test_label_is_step_method_and_path_without_numbers(step, method, url, label):
    assert Labels().of(step, method, url) == label


def test_labels_do_not_grow_with_the_number_of_items():
    known = Labels()
    for item in range(20_000):
        assert known.of("create", "GET", f"http://t/jobs/{item}") == "create GET /jobs/#"
    assert len(known._known) <= 4096


def test_name_is_used_as_it_is(http):
    http.begin("create", 1, 1)
    http.post("/x/1", name="the 1st")
    http.post("/x/1")
    assert labels(http) == ["the 1st", "create POST /app/x/#"]


# ---- samples ----


def test_sample_holds_the_transport_s_times_and_the_item(http, clock):
    started = clock.now_us()
    http.begin("create", 41, 3)
    http.get("/x")
    ((sample,), failure) = http.finish()
    assert failure is None
    assert sample.start_us == started
    assert (sample.item, sample.attempt, sample.status, sample.error) == (41, 3, 200, "")
    assert (sample.total_us, sample.connect_us, sample.tls_us, sample.first_byte_us) == (1234, 10, 20, 1000)
    assert (sample.bytes_out, sample.bytes_in) == (300, 400)


def test_calls_outside_items_belong_to_none(http):
    http.get("/before")
    http.begin("create", 1, 1, "r1")
    assert http.samples == []
    http.get("/in")
    http.finish()
    http.get("/after")
    assert [(sample.item, sample.attempt, sample.label) for sample in http.samples] == [
        (NO_ITEM, 1, "GET /app/after")
    ]
    assert prepared(http._transport.sent[1]).headers["X-Loadgen-Item"] == "1"
    assert "X-Loadgen-Item" not in prepared(http._transport.sent[2]).headers


def test_on_sample_takes_them_all(http):
    taken = []
    http.on_sample = taken.append
    http.get("/x")
    assert len(taken) == 1
    assert http.finish() == ([], None)


def test_a_call_that_raises_has_its_sample(http):
    http._transport.error = requests.ConnectionError("connection refused\n by target:80")
    with pytest.raises(requests.ConnectionError):
        http.get("/x")
    (sample,) = http.samples
    assert (sample.status, sample.total_us, sample.error) == (0, 99, "connection refused by target:80")
    assert http.failure is None


# ---- headers ----


def test_headers_of_the_call_win_over_the_item_s_and_these_over_the_session_s(http):
    http.headers["X-A"] = "session"
    http.headers["X-Loadgen-Run"] = "session"
    http.begin("s", 7, 1, "r1")
    for options in ({}, {"allow_redirects": True}):
        http.get("/x", headers={"x-loadgen-item": "call", "Accept": None}, **options)
        sent = {name.lower(): value for name, value in prepared(http._transport.sent[-1]).headers.items()}
        assert (sent["x-a"], sent["x-loadgen-run"], sent["x-loadgen-item"]) == ("session", "r1", "call")
        assert "accept" not in sent


def test_a_changed_session_header_is_sent_from_then_on(http):
    for change in (
        lambda: http.headers.update({"X-A": "1"}),
        lambda: http.headers.pop("X-A"),
        lambda: setattr(http, "headers", {"X-A": "2"}),
    ):
        http.get("/x")
        before = http._transport.sent[-1].headers
        change()
        http.get("/x")
        assert http._transport.sent[-1].headers != before
    assert dict(http._transport.sent[-1].headers) == {"X-A": "2"}


def test_the_session_s_headers_are_the_same_tuple_until_they_change(http):
    """By which the transport knows that it has them already."""
    for item in range(3):
        http.begin("s", item, 1, "r1")
        http.get("/x")
        http.get("/y")
    first, *others = http._transport.sent
    assert all(sent.headers is first.headers for sent in others)
    assert [dict(sent.item_headers)["X-Loadgen-Item"] for sent in http._transport.sent] == list("001122")
    http.headers["x-loadgen-item"] = "session"  # the item's wins, and is not sent twice
    http.get("/x")
    names = [
        name.lower() for name, _ in http._transport.sent[-1].headers + http._transport.sent[-1].item_headers
    ]
    assert names.count("x-loadgen-item") == 1
    assert prepared(http._transport.sent[-1]).headers["X-Loadgen-Item"] == "2"


def test_a_cookie_that_has_expired_is_not_sent(http, clock, monkeypatch):
    monkeypatch.setattr("http.cookiejar.time.time", lambda: clock.now_us() / 1_000_000)
    http.cookies.set("sid", "1", domain="target.local", path="/", expires=clock.now_us() // 1_000_000 + 60)
    http.get("/x")
    http.get("/x")
    clock.step(100)
    http.get("/x")
    sent = [prepared(one).headers.get("Cookie") for one in http._transport.sent]
    assert sent == ["sid=1", "sid=1", None]


def test_where_a_call_goes_follows_the_session_s_attributes(http):
    http.get("/x")
    http.base_url = "http://elsewhere"
    http.get("/x")
    http.verify, http.cert = False, "me.pem"
    http.get("/x")
    sent = [(one.url, one.verify, one.cert) for one in http._transport.sent]
    assert sent == [
        ("http://target/app/x", True, None),
        ("http://elsewhere/x", True, None),
        ("http://elsewhere/x", False, "me.pem"),
    ]


@pytest.mark.parametrize("change", [{"params": {"a": 1}}, {"proxies": {"http": "http://p"}}, {"auth": print}])
def test_a_described_call_is_one_that_needs_only_one_request(http, change):
    for name, value in change.items():
        setattr(http, name, value)
    with pytest.raises(requests.RequestException, match="a described call"):
        http.prepare_call("GET", "/x")
    assert http._transport.sent == []


def test_preparing_a_call_sends_nothing(http):
    """Neither login nor call."""
    http.on_login = lambda session: session.get("/login")
    outgoing = http.prepare_call("delete", "/x", timeout=(1, 2))
    assert (outgoing.method, outgoing.url, outgoing.total_s) == ("DELETE", "http://target/app/x", 3)
    assert http._transport.sent == []


def test_session_params_and_auth_are_added(http):
    http.params = {"v": "1"}
    http.auth = Bearer("t")
    http.get("/x", params={"a": "2"})
    (sent,) = http._transport.sent
    assert sent.url == "http://target/app/x?v=1&a=2"
    assert dict(sent.headers)["Authorization"] == "Bearer t"


# ---- failures ----


def test_the_first_unexpected_status_is_remembered(http):
    http.begin("create", 1, 1)
    http._transport.statuses = [500, 200, 404]
    assert [http.get(f"/x/{n}?secret=1").status_code for n in range(3)] == [500, 200, 404]
    samples, failure = http.finish()
    assert failure == "GET /app/x/0 answered 500: it said: no"
    assert [sample.error for sample in samples] == ["HTTP 500", "", "HTTP 404"]
    assert http.failure is None


def test_a_long_answer_is_cut_in_the_failure(http):
    http._transport.statuses = [500]
    http._transport.body = ("é" * 5000).encode()
    http.get("/x")
    assert http.failure == "GET /app/x answered 500: " + "é" * 200


@pytest.mark.parametrize("expect", [404, [404, 410], {404}, range(400, 500)])
@pytest.mark.parametrize("options", [{}, {"allow_redirects": True}])
def test_expected_statuses_are_no_failure(http, expect, options):
    http._transport.statuses = [404, 500]
    http.get("/x", expect=expect, **options)
    assert (http.samples[0].error, http.failure) == ("", None)
    http.get("/x", expect=expect, **options)
    assert (http.samples[1].error, http.failure) == ("HTTP 500", "GET /app/x answered 500: it said: no")


def test_expect_is_for_one_call(http):
    http._transport.statuses = [404, 404]
    http.get("/x", expect=404, allow_redirects=True)
    http.get("/x", allow_redirects=True)
    assert [sample.error for sample in http.samples] == ["", "HTTP 404"]


def test_name_and_expect_do_not_leak_into_a_prepared_request(http):
    http._transport.statuses = [404, 404]
    http.get("/x", name="mine", expect=404, allow_redirects=True)
    http.send(http.prepare_request(requests.Request("GET", "http://target/y")))
    assert [(sample.label, sample.error) for sample in http.samples] == [("mine", ""), ("GET /y", "HTTP 404")]


# ---- login ----


def test_login_comes_before_the_first_request_and_after_expire(http):
    http.on_login = lambda session: session.post("/login")
    http.begin("create", 5, 2, "r1")
    http.get("/a")
    http.get("/b")
    http.expire()
    http.get("/c", name="c", allow_redirects=True)
    login = "login POST /app/login"
    assert labels(http) == [login, "create GET /app/a", "create GET /app/b", login, "c"]
    assert [(sample.item, sample.attempt) for sample in http.samples] == [
        (NO_ITEM, 1),
        (5, 2),
        (5, 2),
        (NO_ITEM, 1),
        (5, 2),
    ]
    assert ["X-Loadgen-Item" in prepared(request).headers for request in http._transport.sent] == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_login_that_raises_is_tried_again(http):
    def login(session):
        session.get("/login")
        raise LookupError("no session id")

    http.on_login = login
    http.begin("create", 5, 2)
    for _ in range(2):
        with pytest.raises(LookupError, match="no session id"):
            http.get("/x")
    assert labels(http) == ["login GET /app/login"] * 2
    http.on_login = None
    http.get("/x")
    assert (http.samples[-1].item, http.samples[-1].label) == (5, "create GET /app/x")


@pytest.mark.parametrize("options", [{}, {"allow_redirects": True}])
def test_a_refused_login_is_no_silent_success(http, options):
    http._transport.statuses = [401]
    http.on_login = lambda session: session.post("/login", **options)
    with pytest.raises(requests.HTTPError) as failed:
        http.get("/x")
    assert str(failed.value) == "POST /app/login answered 401: it said: no"
    assert failed.value.response.status_code == 401
    assert [sample.error for sample in http.samples] == ["HTTP 401"]
    assert len(http._transport.sent) == 1
    http.get("/x")
    assert labels(http)[1:] == ["login POST /app/login", "GET /app/x"]


def test_an_expected_status_in_login_is_no_failure(http):
    http._transport.statuses = [409]
    http.on_login = lambda session: session.post("/login", expect=409)
    assert http.get("/x").status_code == 200


def test_a_prepared_request_logs_in_too(http):
    http.on_login = lambda session: session.get("/login")
    http.send(http.prepare_request(requests.Request("GET", "http://target/x")))
    assert labels(http) == ["login GET /app/login", "GET /x"]


# ---- the rest ----


@pytest.mark.parametrize(
    ("timeout", "deadlines"),
    [
        (None, (60.0, 60.0)),
        (5, (5, 5)),
        ((1, 2), (1, 3)),
        ((None, 2), (60.0, 62.0)),
        ((0.5, None), (0.5, 60.5)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"allow_redirects": True}])
def test_a_timeout_is_a_deadline_for_all(http, timeout, deadlines, options):
    http.get("/x", timeout=timeout, **options)
    (sent,) = http._transport.sent
    assert (sent.connect_s, sent.total_s) == deadlines


def test_the_environment_is_asked_once_for_each_origin(http, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Session,
        "merge_environment_settings",
        lambda _, url, *rest: asked.append(url) or {"proxies": {}, "verify": None, "cert": None},
    )
    for url in ("/a", "/b", "http://other/a", "/c"):
        http.get(url)
    assert asked == ["http://target/app/a", "http://other/a"]
    http.verify = False
    http.get("/d")
    assert len(asked) == 3


def test_no_adapter_can_be_mounted(http):
    with pytest.raises(TypeError, match="one transport"):
        http.mount("http://", HTTPAdapter())


def test_unknown_transport():
    with pytest.raises(ValueError, match="'curl' or 'requests'"):
        Session(transport="carrier pigeon")


def test_a_head_request_has_no_body(http):
    with pytest.raises(requests.RequestException, match="HEAD request with a body"):
        http.head("/x", data={"a": 1})
    assert http._transport.sent == []


def test_a_response_survives_pickling(http):
    response = http.post("/x", data={"a": 1})
    copy = pickle.loads(pickle.dumps(response))
    assert (copy.status_code, copy.text, copy.url) == (200, response.text, response.url)
    assert copy.headers == response.headers
    assert copy.elapsed == response.elapsed
    assert copy.request.body == "a=1"


def test_bearer_works_in_plain_requests():
    request = requests.Request("GET", "http://target/", auth=Bearer("abc")).prepare()
    assert request.headers["Authorization"] == "Bearer abc"
    assert "abc" not in repr(Bearer("abc"))
    assert Bearer("a") == Bearer("a") != Bearer("b")


@responses.activate
def test_responses_mocks_the_requests_transport():
    responses.post(
        "http://target/manager", json={"id": 7}, status=201, headers={"Set-Cookie": "sid=1; Path=/"}
    )
    with Session("http://target", transport="requests") as http:
        response = http.post("/manager", data={"a": 1})
        http.post("/manager")
        with pytest.raises(requests.ConnectionError, match="doesn't match any registered mock"):
            http.get("/elsewhere")
    assert (response.status_code, response.json(), response.cookies["sid"]) == (201, {"id": 7}, "1")
    assert responses.calls[0].request.body == "a=1"
    assert responses.calls[1].request.headers["Cookie"] == "sid=1"
    assert [sample.status for sample in http.samples] == [201, 201, 0]
