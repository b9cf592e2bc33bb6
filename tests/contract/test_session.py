"""Both transports of the session do what requests does: on the wire, in the answer, and in how they fail."""

from __future__ import annotations

import contextlib
import io
import re
import socket

import pycurl
import pytest
import requests
from http_server import Handler, ProxyHandler, Server, make_certificate, tls_context
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from loadgen.execution.curl import CurlTransport
from loadgen.execution.session import Bearer, Session
from loadgen.sample import NO_ITEM

TRANSPORTS = ("curl", "requests")


@pytest.fixture(scope="module")
def server():
    server = Server(Handler)
    yield server
    server.close()


@pytest.fixture(scope="module")
def other_server():
    server = Server(Handler)
    yield server
    server.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_server(certificate):
    server = Server(Handler, tls_context(*certificate))
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxy():
    server = Server(ProxyHandler)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch):
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=TRANSPORTS)
def http(request, server):
    server.log.take()
    with Session(server.url, transport=request.param) as session:
        yield session


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / "flow.zip"
    path.write_bytes(b"PK" + bytes(range(256)) * 40)
    return path


# ---- the same as plain requests, byte for byte ----


class Shout(AuthBase):
    def __call__(self, request):
        request.headers["X-Auth"] = "loud"
        return request


def pieces():
    yield b"one,"
    yield b"two"


CALLS = {
    "get": ("GET", "/echo", {}),
    "params": ("GET", "/echo", {"params": {"a": "b c", "n": 1, "l": [1, 2], "none": None, "u": "ü&="}}),
    "plain params": ("GET", "/echo", {"params": {"u": "ü", "s": "a b/c~d_e", "n": 7}}),
    "plain form": ("POST", "/echo", {"data": {"u": "ü", "s": "a b/c~d_e", "n": 7, "e": ""}}),
    "params added": ("GET", "/echo?x=1", {"params": [("y", "2"), ("y", "3")]}),
    "params as text": ("GET", "/echo", {"params": "a=ä&b"}),
    "non-ASCII path": ("GET", "/grüße/ß/a b/%7Eme/%2f", {}),
    "dot segments": ("GET", "/a/../b/./c", {}),
    "fragment": ("GET", "/echo?x=1#part", {}),
    "odd query": ("GET", "/echo?q=[1]|{2}%zz", {}),
    "head": ("HEAD", "/echo", {}),
    "options": ("OPTIONS", "/echo", {}),
    "delete": ("DELETE", "/echo", {}),
    "delete with body": ("DELETE", "/echo", {"json": {"why": "ü"}}),
    "get with body": ("GET", "/echo", {"data": "about"}),
    "own method": ("PURGE", "/echo", {}),
    "empty post": ("POST", "/echo", {}),
    "form": ("POST", "/echo", {"data": {"a": "b c", "l": ["1", "2"], "none": None, "u": "ü"}}),
    "form of tuples": ("POST", "/echo", {"data": [("a", 1), ("a", 2)]}),
    "text body": ("POST", "/echo", {"data": "grüße"}),
    "bytes body": ("PUT", "/echo", {"data": b"\x00\xff"}),
    "json": ("PATCH", "/echo", {"json": {"a": [1, None, "ü"]}}),
    "empty json": ("POST", "/echo", {"json": {}}),
    "data beats json": ("POST", "/echo", {"data": {"a": 1}, "json": [1]}),
    "file body": ("POST", "/echo", {"data": lambda: io.BytesIO(b"from a file")}),
    "text file body": ("POST", "/echo", {"data": lambda: io.StringIO("grüße " * 9)}),
    "bytearray body": ("POST", "/echo", {"data": bytearray(b"ab")}),
    "generator body": ("POST", "/echo", {"data": pieces}),
    "headers": (
        "GET",
        "/echo",
        {"headers": {"X-Empty": "", "accept": "text/html", "X-B": b"bytes", "X-L": "ü"}},
    ),
    "no headers": (
        "POST",
        "/echo",
        {"headers": {"User-Agent": None, "Accept": None, "Accept-Encoding": None}},
    ),
    "own content type": ("POST", "/echo", {"data": {"a": 1}, "headers": {"content-type": "text/x"}}),
    "own host": ("GET", "/echo", {"headers": {"Host": "azkaban.example"}}),
    "own cookie header": ("GET", "/echo", {"headers": {"Cookie": "a=1"}}),
    "cookies": ("GET", "/echo", {"cookies": {"a": "1", "b": "2"}}),
    "basic auth": ("GET", "/basic", {"auth": ("ann", "secret")}),
    "basic auth object": ("POST", "/basic", {"auth": HTTPBasicAuth("ann", "secret"), "data": {"a": 1}}),
    "bearer": ("GET", "/echo", {"auth": Bearer("token")}),
    "other auth": ("GET", "/echo", {"auth": Shout()}),
    "stream": ("GET", "/chunked", {"stream": True}),
    "chunked": ("GET", "/chunked", {}),
    "100 unasked": ("GET", "/continue", {}),
    "gzip": ("GET", "/gzip", {}),
    "gzip head": ("HEAD", "/gzip", {}),
    "deflate": ("GET", "/deflate", {}),
    "no content": ("GET", "/status/204", {}),
    "not modified": ("GET", "/status/304", {}),
    "own reason": ("GET", "/status/418", {}),
    "server error": ("GET", "/status/503", {}),
    "redirect": ("GET", "/redirect/2", {}),
    "redirects followed": ("GET", "/redirect/3", {"allow_redirects": True}),
    "302 after post": (
        "POST",
        "/redirect-to?status=302&url=/echo",
        {"data": {"a": 1}, "allow_redirects": True},
    ),
    "303 after put": (
        "PUT",
        "/redirect-to?status=303&url=/echo",
        {"data": {"a": 1}, "allow_redirects": True},
    ),
    "307 after post": (
        "POST",
        "/redirect-to?status=307&url=/echo",
        {"data": {"a": 1}, "allow_redirects": True},
    ),
    "308 with file": (
        "POST",
        "/redirect-to?status=308&url=/echo",
        {"data": lambda: io.BytesIO(b"again"), "allow_redirects": True},
    ),
    "cookie on the way": ("GET", "/set-and-go", {"allow_redirects": True}),
    "files": ("POST", "/echo", {"files": {"f": ("n.txt", b"content")}, "data": {"a": ["1", "2"], "u": "ü"}}),
    "files typed": (
        "POST",
        "/echo",
        {"files": [("f", ("n.zip", "text", "application/zip")), ("g", b"bare")]},
    ),
    "files with headers": (
        "POST",
        "/echo",
        {"files": {"f": ("ü.txt", io.BytesIO(b"x"), "text/x", {"X-P": "1"})}},
    ),
    "file without name": ("POST", "/echo", {"files": {"f": (None, "just a field")}}),
    "digest": ("GET", "/digest", {"auth": lambda: HTTPDigestAuth("ann", "secret")}),
    "digest refused": ("POST", "/digest", {"auth": lambda: HTTPDigestAuth("ann", "wrong"), "data": {"a": 1}}),
}


def normal(text):
    return re.sub(rb"[0-9a-f]{32}", b"BOUNDARY", text if isinstance(text, bytes) else text.encode())


def seen_normally(seen):
    # The cnonce of a digest is random, and so is the response; its place is what matters.
    fresh = re.compile(r'(cnonce|response)="[0-9a-f]+"')
    headers = sorted((key.lower(), normal(fresh.sub(r"\1", value))) for key, value in seen.headers)
    return seen.method, seen.target, headers, normal(seen.body)


def got_normally(response):
    """What a caller can see, without what differs from call to call."""
    echoed = (
        normal(response.content)
        if "json" not in response.headers.get("Content-Type", "")
        else b"(see the log)"
    )
    return {
        "status": response.status_code,
        "reason": response.reason,
        "ok": response.ok,
        "url": response.url,
        "encoding": response.encoding,
        "content": echoed,
        "headers": {k: v for k, v in response.headers.items() if k not in ("Date", "Content-Length")},
        "cookies": response.cookies.get_dict(),
        "history": [one.status_code for one in response.history],
        "redirect": (response.is_redirect, response.next.url if response.next else None),
        "request": (response.request.method, response.request.url, bool(response.request.body)),
    }


def made(value):
    return value() if callable(value) and not isinstance(value, AuthBase) else value


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("call", CALLS)
def test_server_and_caller_see_what_plain_requests_shows_them(server, transport, call):
    method, path, options = CALLS[call]
    results = []
    for kind in (requests.Session, lambda: Session(transport=transport)):
        with kind() as session:
            session.headers.update({"User-Agent": "same", "Accept-Encoding": "gzip, deflate"})
            for key, value in options.items():
                if key == "files":
                    rewind(value)
            server.log.take()
            given = {"allow_redirects": False} | {key: made(value) for key, value in options.items()}
            response = session.request(method, server.url + path, **given)
            jar = session.cookies.get_dict()
            results.append(([seen_normally(one) for one in server.log.take()], got_normally(response), jar))
    plain, ours = results
    if call == "no headers":  # requests lets urllib3 put its own name in place of the one removed
        plain[0][0][2][:] = [
            pair for pair in plain[0][0][2] if pair[0] not in ("user-agent", "accept-encoding")
        ]
    assert ours == plain


def rewind(files):
    for _, given in files.items() if isinstance(files, dict) else files:
        if isinstance(given, tuple) and hasattr(given[1], "seek"):
            given[1].seek(0)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("nowhere", requests.exceptions.MissingSchema),
        ("ftp://host/file", requests.exceptions.InvalidSchema),
        ("http://", requests.exceptions.InvalidURL),
        ("http://*.example/", requests.exceptions.InvalidURL),
        ("http://host:70000/", requests.exceptions.InvalidURL),
    ],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unusable_urls_raise_what_requests_raises(transport, url, kind):
    with requests.Session() as plain, pytest.raises(kind):
        plain.get(url)
    with Session(transport=transport) as http, pytest.raises(kind) as failed:
        http.get(url)
    assert "\n" not in str(failed.value)
    assert http.samples == []


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X A:": "1"}, {"X-A": 1}, {"X-A": "\u20ac"}])
def test_headers_that_would_break_the_request_are_refused(http, server, headers):
    with pytest.raises(requests.exceptions.InvalidHeader):
        http.get("/echo", headers=headers)
    with pytest.raises(requests.exceptions.InvalidHeader):
        http.get("/echo", headers=headers, allow_redirects=True)
    assert server.log.take() == []


def test_a_refused_header_does_not_mislead_the_next_call(http, server):
    http.get("/echo")
    with pytest.raises(requests.exceptions.InvalidHeader):
        http.get("/status/500", headers={"X-A": "\u20ac"})
    http.get("/echo")
    assert [seen.target for seen in server.log.take()] == ["/echo", "/echo"]


# ---- where it goes ----


@pytest.mark.parametrize(
    ("base", "url", "target"),
    [
        ("", "/manager", "/manager"),
        ("/", "manager", "/manager"),
        ("/app", "/manager", "/app/manager"),
        ("/app/", "manager?x=1", "/app/manager?x=1"),
        ("/app", "?x=1", "/app?x=1"),
        ("/app", "", "/app"),
    ],
)
def test_relative_urls_keep_the_path_of_the_base(http, server, base, url, target):
    http.base_url = Session(server.url + base).base_url
    http.get(url)
    assert server.log.take()[0].target == target


def test_absolute_url_leaves_the_base(http, other_server):
    assert http.get(f"{other_server.url}/echo").url == f"{other_server.url}/echo"


def test_credentials_in_the_url_are_used(http, server):
    url = server.url.replace("http://", "http://ann:secret@")
    assert http.get(f"{url}/basic").status_code == 200


def test_netrc_is_left_alone(http, server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    http.get("/echo")
    http.get("/redirect/1", allow_redirects=True)
    assert [seen.header("Authorization") for seen in server.log.take()] == [None] * 3


def test_redirects_are_not_followed_unless_asked(http, server):
    for method in (http.get, http.options, http.head, http.post, http.put, http.patch, http.delete):
        response = method("/redirect/1")
        assert (response.status_code, response.history) == (302, [])
        assert response.headers["Location"] == "/echo"
        assert response.next.url == f"{server.url}/echo"
    assert len(server.log.take()) == len(http.samples) == 7


def test_prepared_requests_are_not_redirected_either(http, server):
    request = http.prepare_request(requests.Request("GET", f"{server.url}/redirect/1"))
    assert http.send(request).status_code == 302
    assert http.send(request, allow_redirects=True).status_code == 200


def test_each_hop_has_its_sample(http):
    response = http.get("/redirect/2", allow_redirects=True, name="walk")
    assert [one.status_code for one in response.history] == [302, 302]
    assert [(one.status, one.label) for one in http.samples] == [(302, "walk"), (302, "walk"), (200, "walk")]


def test_redirects_without_end_stop_at_max_redirects(http, server):
    http.max_redirects = 3
    with pytest.raises(requests.TooManyRedirects):
        http.get(f"/redirect-to?status=302&url={server.url}/redirect/9", allow_redirects=True)
    assert len(http.samples) == 4


def test_a_redirect_is_followed_to_the_very_path_it_names(http, server):
    http.get(f"/redirect-to?status=302&url={server.url}/a/../b", allow_redirects=True)
    assert server.log.take()[-1].target == "/a/../b"


def test_credentials_do_not_follow_to_another_host(http, server, other_server):
    other_server.log.take()
    elsewhere = f"{server.url.replace('127.0.0.1', 'localhost')}/echo"
    http.get("/redirect-to", params={"status": 302, "url": elsewhere}, auth=("a", "b"), allow_redirects=True)
    first, second = server.log.take()
    assert first.header("Authorization")
    assert second.header("Authorization") is None


# ---- cookies ----


def test_cookies_are_kept_and_sent_back(http, server):
    assert http.get("/cookies", params={"a": "1", "b": "2"}).cookies.get_dict() == {"a": "1", "b": "2"}
    http.cookies.set("mine", "3", domain="127.0.0.1", path="/")
    for _ in range(2):
        http.get("/echo")
    http.cookies.clear("127.0.0.1", "/", "a")
    http.get("/echo")
    sent = [set((seen.header("Cookie") or "").split("; ")) for seen in server.log.take()[1:]]
    assert sent == [{"a=1", "b=2", "mine=3"}] * 2 + [{"b=2", "mine=3"}]


def test_cookies_of_a_path_go_to_that_path_only(http, server):
    http.get("/cookies/admin", params={"a": "1"})
    for path in ("/admin/x", "/echo", "/admin/y"):
        http.get(path)
    assert [seen.header("Cookie") for seen in server.log.take()[1:]] == ["a=1", None, "a=1"]


def test_cookies_of_one_call_are_not_kept(http, server):
    http.cookies = {"always": "1"}
    http.get("/echo", cookies={"once": "2"})
    http.get("/echo")
    first, second = server.log.take()
    assert set(first.header("Cookie").split("; ")) == {"always=1", "once=2"}
    assert second.header("Cookie") == "always=1"


def test_a_cookie_header_of_the_call_replaces_the_jar(http, server):
    http.cookies.set("a", "1", domain="127.0.0.1", path="/")
    http.get("/echo", headers={"Cookie": "b=2"})
    assert server.log.take()[0].header("Cookie") == "b=2"


def test_an_expired_cookie_is_not_sent(http, server):
    http.cookies.set("old", "1", domain="127.0.0.1", path="/", expires=1)
    http.cookies.set("new", "2", domain="127.0.0.1", path="/", expires=2**40)
    for _ in range(2):
        http.get("/echo")
    assert [seen.header("Cookie") for seen in server.log.take()] == ["new=2"] * 2


def test_cookies_are_not_sent_to_other_hosts(http, server):
    http.get("/cookies", params={"a": "1"})
    http.get("/echo")
    http.get(server.url.replace("127.0.0.1", "localhost") + "/echo")
    assert [seen.header("Cookie") for seen in server.log.take()[1:]] == ["a=1", None]


# ---- files ----


def test_a_file_on_disk_is_streamed_with_its_length(http, server, upload):
    with upload.open("rb") as file:
        http.post("/echo", data={"ajax": "upload"}, files={"file": ("flow.zip", file, "application/zip")})
    with upload.open("rb") as file, requests.Session() as plain:
        plain.post(
            f"{server.url}/echo",
            data={"ajax": "upload"},
            files={"file": ("flow.zip", file, "application/zip")},
        )
    ours, theirs = server.log.take()
    assert ours.header("Content-Length") == theirs.header("Content-Length") == str(len(ours.body))
    assert ours.header("Transfer-Encoding") is None
    boundary = [seen.header("Content-Type").partition("boundary=")[2].encode() for seen in (ours, theirs)]
    assert ours.body.replace(boundary[0], b"B") == theirs.body.replace(boundary[1], b"B")


def test_a_text_file_is_sent_as_it_reads(http, server, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("grün\r\nweiß\r\n".encode())
    with path.open(encoding="utf-8") as file:
        http.post("/echo", files={"rows": file})
    assert "\r\n\r\ngrün\nweiß\n\r\n--".encode() in server.log.take()[0].body


def test_a_file_is_sent_from_where_it_stands(http, server, upload):
    with upload.open("rb") as file:
        file.seek(10_000)
        http.post("/echo", files={"file": file})
    (seen,) = server.log.take()
    assert upload.read_bytes()[10_000:] in seen.body
    assert len(seen.body) < 2_000


def test_a_streamed_upload_is_sent_again_after_a_307(http, server, upload):
    with upload.open("rb") as file:
        http.post("/redirect-to?status=307&url=/echo", files={"file": file}, allow_redirects=True)
    first, second = server.log.take()
    assert first.body == second.body
    assert b'filename="flow.zip"' in first.body
    assert upload.read_bytes() in second.body


def test_a_plain_request_after_a_streamed_one_is_plain(http, server, upload):
    with upload.open("rb") as file:
        http.put("/echo", data=file)
    http.get("/echo")
    http.post("/echo", data={"a": 1})
    bodies = [(seen.method, len(seen.body), seen.header("Content-Length")) for seen in server.log.take()]
    size = upload.stat().st_size
    assert bodies == [("PUT", size, str(size)), ("GET", 0, None), ("POST", 3, "3")]


def test_a_file_that_cannot_be_read_raises_its_own_error(http):
    def broken():
        yield b"start"
        raise LookupError("no more rows")

    with pytest.raises(LookupError, match="no more rows"):
        http.post("/echo", data=broken())
    assert [sample.error for sample in http.samples] == ["no more rows"]
    assert http.get("/echo").status_code == 200


@pytest.mark.parametrize("options", [{}, {"allow_redirects": True}])
def test_a_form_of_nothing_is_no_body(http, server, options):
    """Plain requests sends an empty body in chunks, which some servers take for a mistake."""
    http.post("/echo", data={"a": None}, **options)
    (seen,) = server.log.take()
    assert (seen.header("Content-Length"), seen.header("Transfer-Encoding")) == ("0", None)


# ---- answers ----


def test_headers_are_requests_headers(http):
    response = http.get("/echo")
    assert isinstance(response, requests.Response)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-two"] == "1, 2"
    assert response.json()["method"] == "GET"
    assert response.raw.read(2) == b'{"'
    assert b"".join(response.iter_content(7)) == response.content
    assert response.elapsed.total_seconds() > 0


def test_early_hints_are_not_taken_for_the_answer(server):
    """http.client, and so requests, does."""
    with Session(server.url) as http:
        response = http.get("/early")
    assert (response.status_code, response.content) == (200, b"late")
    assert "X-Early" not in response.headers
    assert response.headers["X-Final"] == "yes"


def test_trailers_are_not_taken_for_headers(http):
    response = http.get("/chunked")
    assert response.content == b"hello!"
    assert "X-Late" not in response.headers


def test_raise_for_status(http):
    with pytest.raises(requests.HTTPError, match="503 Server Error: Service Unavailable"):
        http.get("/status/503").raise_for_status()


def test_response_hooks_are_called(http):
    called = []
    http.get("/echo", hooks={"response": lambda response, **_: called.append(response.status_code)})
    assert called == [200]


# ---- how it fails ----


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


FAILURES = {
    "/drop": (requests.ConnectionError, "{peer} closed the connection without an answer"),
    "/reset": (requests.ConnectionError, "connection reset by {peer}"),
    "/garbage": (requests.ConnectionError, "{peer} did not answer in HTTP"),
    "/truncated": (requests.exceptions.ChunkedEncodingError, "{peer} closed the connection in the middle"),
    "/truncated-chunk": (
        requests.exceptions.ChunkedEncodingError,
        "{peer} closed the connection in the middle",
    ),
    "/not-gzip": (requests.exceptions.ContentDecodingError, "the answer of {peer} is not encoded"),
    "/slow": (requests.ReadTimeout, "no complete answer from {peer} within 0.4 s"),
    "/slow-body": (requests.ReadTimeout, "no complete answer from {peer} within 0.4 s"),
}


@pytest.mark.parametrize("path", FAILURES)
def test_failures_are_requests_exceptions_with_one_line(http, server, path):
    kind, words = FAILURES[path]
    with pytest.raises(kind) as failed:
        http.get(path, timeout=0.4 if "slow" in path else 10)
    message = str(failed.value)
    assert type(failed.value) is kind
    assert message.startswith(words.format(peer=f"127.0.0.1:{server.server_port}"))
    assert "\n" not in message
    assert "HTTPConnectionPool" not in message
    assert failed.value.request.url == server.url + path
    (sample,) = http.samples
    assert (sample.status, sample.error) == (0, message)
    assert sample.total_us > 0
    assert http.failure is None
    assert len(server.log.take()) == 1
    assert http.get("/echo").status_code == 200


def test_refused(http):
    port = closed_port()
    with pytest.raises(requests.ConnectionError) as failed:
        http.get(f"http://127.0.0.1:{port}/")
    assert str(failed.value) == f"connection refused by 127.0.0.1:{port}"
    assert http.samples[0].error == str(failed.value)


def test_unknown_host(http):
    with pytest.raises(requests.ConnectionError, match=r"cannot resolve host no-such-host\.invalid"):
        http.get("http://no-such-host.invalid/")


def test_no_connection_in_time(http):
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # fills the backlog: the next connection is not answered
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        with pytest.raises(requests.ConnectTimeout, match=r"no connection to 127.0.0.1:\d+ within 0.1 s"):
            http.get(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=(0.1, 5))


def test_each_call_has_its_own_deadline(http):
    assert http.get("/echo", timeout=(0.2, 60)).status_code == 200
    with pytest.raises(requests.ReadTimeout, match=r"within (0\.3|0\.1) s"):
        http.get("/slow", timeout=(0.2, 0.1))


def test_the_deadline_is_for_the_whole_call(server):
    """Of libcurl; requests' begins anew with each piece that arrives."""
    with Session(server.url) as http, pytest.raises(requests.ReadTimeout, match=r"within 0\.3 s"):
        http.get("/drip", timeout=0.3)


@pytest.mark.parametrize("timeout", [0, -1, (0, 1)])
def test_a_timeout_is_never_nothing(http, timeout):
    with pytest.raises(ValueError, match="more than 0"):
        http.get("/echo", timeout=timeout)


@pytest.mark.parametrize("body", [None, {"order": 1}, pieces])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_on_a_dying_connection_is_sent_once(http, server, method, body):
    """libcurl, left alone, sends it again without a word."""
    assert http.request(method, "/second-drops").content == b"first"
    with pytest.raises(requests.ConnectionError, match="closed the connection without an answer"):
        http.request(method, "/second-drops", data=made(body))
    first, second = server.log.take()
    assert first.connection == second.connection
    assert [sample.error == "" for sample in http.samples] == [True, False]
    assert http.request(method, "/second-drops").content == b"first"


# ---- TLS ----


def test_unknown_authority_is_refused(http, tls_server):
    tls_server.log.take()
    with pytest.raises(requests.exceptions.SSLError, match=r"TLS with 127\.0\.0\.1.*certificate"):
        http.get(f"{tls_server.url}/echo")
    assert tls_server.log.take() == []


def test_authority_from_a_file_or_none_at_all(http, tls_server, certificate):
    assert http.get(f"{tls_server.url}/echo", verify=str(certificate[0])).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        http.get(f"{tls_server.url}/echo")
    http.verify = str(certificate[0])
    assert http.get(f"{tls_server.url}/echo").status_code == 200
    assert http.samples[0].status == 200


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_switched_off(http, tls_server):
    assert http.get(f"{tls_server.url}/echo", verify=False).status_code == 200
    http.verify = False
    assert http.get(f"{tls_server.url}/echo").status_code == 200


def test_authority_from_the_environment(http, tls_server, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    assert http.get(f"{tls_server.url}/echo").status_code == 200


def test_missing_authority_file(http, tls_server, tmp_path):
    with pytest.raises(requests.exceptions.SSLError):
        http.get(f"{tls_server.url}/echo", verify=str(tmp_path / "missing.pem"))


def test_client_certificate(http, certificate):
    server = Server(Handler, tls_context(*certificate, ask_for_client=True))
    try:
        http.verify = str(certificate[0])
        with pytest.raises(requests.RequestException):
            http.get(f"{server.url}/echo")
        assert http.get(f"{server.url}/echo", cert=tuple(map(str, certificate))).status_code == 200
    finally:
        http.close()
        server.close()


# ---- proxies ----


def test_plain_requests_through_a_proxy(http, server, proxy):
    proxy.log.take()
    response = http.post("/echo", data={"a": 1}, proxies={"http": proxy.url})
    assert response.headers["X-Via"] == "proxy"
    (seen,) = proxy.log.take()
    assert (seen.method, seen.target, seen.body) == ("POST", f"{server.url}/echo", b"a=1")
    assert seen.header("Proxy-Connection") is None
    assert http.get("/echo").headers.get("X-Via") is None


def test_tls_through_a_proxy(http, tls_server, certificate, proxy):
    proxy.log.take()
    http.proxies = {"https": proxy.url}
    response = http.get(f"{tls_server.url}/echo", verify=str(certificate[0]))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert [(seen.method, seen.target) for seen in proxy.log.take()] == [
        ("CONNECT", f"127.0.0.1:{tls_server.server_port}")
    ]


def test_proxy_from_the_environment(http, proxy, monkeypatch, server):
    monkeypatch.setenv("http_proxy", proxy.url)
    assert http.get("/echo").headers["X-Via"] == "proxy"
    http.trust_env = False
    assert "X-Via" not in http.get("/echo").headers
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Session(server.url) as fresh:
        assert "X-Via" not in fresh.get("/echo").headers


def test_a_given_proxy_is_used_whatever_no_proxy_says(http, server, proxy, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with requests.Session() as plain:
        theirs = plain.get(f"{server.url}/echo", proxies={"http": proxy.url})
    ours = http.get("/echo", proxies={"http": proxy.url})
    assert ours.headers.get("X-Via") == theirs.headers.get("X-Via") == "proxy"


def test_a_proxy_that_is_not_there(http):
    port = closed_port()
    with pytest.raises(requests.exceptions.ProxyError, match=f"cannot connect to proxy 127.0.0.1:{port}"):
        http.get("/echo", proxies={"http": f"http://127.0.0.1:{port}"})


def test_a_proxy_that_refuses_to_tunnel(http, tls_server, proxy):
    refusing = proxy.url.replace("http://", "http://user:wrong@")
    with pytest.raises(requests.exceptions.ProxyError, match="answered 407 to CONNECT"):
        http.get(f"{tls_server.url}/echo", proxies={"https": refusing})


def test_libcurl_does_not_read_proxies_from_the_environment_by_itself(http, proxy, monkeypatch):
    http.trust_env = False
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    assert "X-Via" not in http.get("/echo").headers


# ---- samples ----


def test_a_sample_is_what_happened(http, server):
    http.begin("create", 7, 2, "r1")
    http.post("/echo/12/x?y=3", data={"a": "b"})
    http.get("/echo")
    (first, second), failure = http.finish()
    assert failure is None
    assert (first.item, first.attempt, first.label, first.status, first.error) == (
        7,
        2,
        "create POST /echo/#/x",
        200,
        "",
    )
    assert 0 < first.first_byte_us <= first.total_us
    assert first.bytes_in > 100
    seen = server.log.take()[0]
    assert seen.header("X-Loadgen-Item") == "7"
    on_wire = sum(len(f"{key}: {value}\r\n") for key, value in seen.headers) + len(seen.body)
    on_wire += len(f"POST {seen.target} HTTP/1.1\r\n\r\n")
    # What http.client adds is not known to the requests transport exactly.
    assert first.bytes_out == pytest.approx(on_wire, abs=0 if second.connect_us or first.connect_us else 40)


def test_connect_time_is_that_of_new_connections_only(server, tls_server, certificate):
    with Session(server.url) as http:
        http.get("/echo")
        http.get("/echo")
        http.get(f"{tls_server.url}/echo", verify=str(certificate[0]))
    first, second, tls = http.samples
    assert 0 < first.connect_us <= first.first_byte_us
    assert second.connect_us == second.tls_us == first.tls_us == 0
    assert 0 < tls.connect_us < tls.tls_us <= tls.first_byte_us


def test_a_call_can_be_performed_by_somebody_else(server):
    """As CurlMulti does with thousands of them."""
    session, transport = Session(server.url), CurlTransport()
    server.log.take()
    for item in (1, 2):
        session.begin("create", item, 1, "r1")
        outgoing = session.prepare_call(
            "post", f"/echo/{item}", params={"q": 1}, json={"a": 1}, headers={"X-A": "b"}, timeout=5
        )
        assert server.log.requests == []
        transport.aim(outgoing)
        transport.handle.perform()
        answer = session.settle(outgoing, transport.received(), 1_000_000 + item)
        assert answer.json()["body"] == '{"a": 1}'
        (seen,) = server.log.take()
        assert (seen.method, seen.target, seen.header("X-Loadgen-Item")) == (
            "POST",
            f"/echo/{item}?q=1",
            str(item),
        )
        assert (seen.header("X-A"), seen.header("Content-Type")) == ("b", "application/json")
        (sample,), failure = session.finish()
        assert failure is None
        assert (sample.item, sample.start_us, sample.label) == (item, 1_000_000 + item, "create POST /echo/#")
        assert sample.total_us > 0
    transport.close()
    session.close()


def test_what_somebody_else_performed_can_fail(server):
    session, transport = Session(server.url), CurlTransport()
    outgoing = session.prepare_call("GET", "/drop")
    transport.aim(outgoing)
    with pytest.raises(pycurl.error) as failed:
        transport.handle.perform()
    received = transport.failed(outgoing, *failed.value.args)
    with pytest.raises(requests.ConnectionError, match="without an answer") as told:
        session.settle(outgoing, received, 5)
    assert [sample.error for sample in session.samples] == [str(told.value)]
    outgoing = session.prepare_call("GET", "/status/503")
    transport.aim(outgoing)
    transport.handle.perform()
    assert session.settle(outgoing, transport.received(), 6, "mine", 500).status_code == 503
    assert session.failure == "GET /status/503 answered 503: so it is"
    assert session.samples[1].label == "mine"
    transport.close()
    session.close()


def test_calls_of_several_kinds_take_turns(http, server):
    """The transport sets only what differs from its last call."""
    http.cookies.set("sid", "1", domain="127.0.0.1", path="/")
    for item in range(3):
        http.begin("create", item, 1, "r1")
        http.get("/echo")
        http.post("/echo", data=b"n")
        http.post("/echo", data={"n": item})
        http.post("/echo", data={"n": item}, headers={"X-A": str(item)})
        http.get("/echo", auth=Bearer("t"))
        http.finish()
        http.get("/echo")
    names = ("X-Loadgen-Item", "Content-Type", "Content-Length", "X-A", "Authorization", "Cookie")
    form = "application/x-www-form-urlencoded"
    assert [tuple(seen.header(name) for name in names) for seen in server.log.take()] == [
        line
        for item in ("0", "1", "2")
        for line in (
            (item, None, None, None, None, "sid=1"),
            (item, None, "1", None, None, "sid=1"),
            (item, form, "3", None, None, "sid=1"),
            (item, form, "3", item, None, "sid=1"),
            (item, None, None, None, "Bearer t", "sid=1"),
            (None, None, None, None, None, "sid=1"),
        )
    ]


def test_bytes_in_counts_what_came_not_what_it_became(http):
    http.get("/gzip")
    (sample,) = http.samples
    assert sample.bytes_in < 500


def test_a_digest_challenge_is_no_failure_but_a_call(http):
    assert http.get("/digest", auth=HTTPDigestAuth("ann", "secret")).content == b"welcome"
    assert [(one.status, one.error) for one in http.samples] == [(401, ""), (200, "")]
    assert http.failure is None
    http.get("/digest", auth=HTTPDigestAuth("ann", "wrong"))
    assert http.failure == "GET /digest answered 401: who?"


def test_login_sends_no_item_headers_and_its_samples_belong_to_no_item(http, server):
    http.on_login = lambda session: session.post("/cookies?sid=1", data={"action": "login"})
    http.begin("create", 3, 1, "r1")
    http.get("/echo")
    http.get("/echo")
    login, first, second = server.log.take()
    assert login.header("X-Loadgen-Item") is None
    assert (first.header("X-Loadgen-Item"), first.header("Cookie")) == ("3", "sid=1")
    assert second.header("Cookie") == "sid=1"
    assert [(one.item, one.label) for one in http.samples] == [
        (NO_ITEM, "login POST /cookies"),
        (3, "create GET /echo"),
        (3, "create GET /echo"),
    ]
