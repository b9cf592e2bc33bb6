"""HTTP/2 spoken with a real server (nginx), HTTP/3 with nobody; connections kept, or opened for each call."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass

import pycurl
import pytest
import requests
from http_server import Handler, Server, make_certificate, tls_context

from loadgen.clock import SystemClock
from loadgen.errors import UsageError
from loadgen.execution.runner import open_session
from loadgen.execution.session import Session
from loadgen.scenario import Scenario

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
CONF = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  ssl_certificate server.pem; ssl_certificate_key server.key; ssl_session_cache builtin;
  server {{ listen 127.0.0.1:{0} ssl http2; include places; }}
  server {{ listen 127.0.0.1:{1} ssl; include places; }}
  server {{ listen 127.0.0.1:{2} http2; include places; }}
}}
"""
PLACES = """
location / { return 200 "$server_protocol $request_method $http_x_loadgen_item $connection$ssl_session_reused"; }
location /move { return 302 /there; }
location /no { return 503 busy; }
"""


@dataclass(frozen=True)
class Doors:
    """URLs of one nginx."""

    both: str
    """TLS; HTTP/2 or 1.1, as agreed."""
    old: str
    """TLS; HTTP/1.1 only."""
    bare: str
    """HTTP/2 without TLS."""


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def answers(port, process):
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    return False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def nginx(certificate):
    if NGINX is None:
        pytest.skip("there is no nginx to speak HTTP/2 with")
    folder = certificate[0].parent
    ports = free_ports(3)
    (folder / "nginx.conf").write_text(CONF.format(*ports))
    (folder / "places").write_text(PLACES)
    command = [NGINX, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    with (folder / "nginx.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            if not answers(ports[2], process):
                log.seek(0)
                pytest.skip(f"this nginx does not serve HTTP/2: {log.read()[-300:]}")
            both, old, bare = ports
            yield Doors(f"https://127.0.0.1:{both}", f"https://127.0.0.1:{old}", f"http://127.0.0.1:{bare}")
        finally:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def speak(certificate):
    """Sessions that trust the test's authority."""
    with contextlib.ExitStack() as opened:

        def session(url, **options):
            http = opened.enter_context(Session(url, **options))
            http.verify = str(certificate[0])
            return http

        yield session


# ---- which HTTP ----


@pytest.mark.parametrize(
    ("door", "http", "spoken"),
    [
        ("both", "1.1", "HTTP/1.1"),
        ("both", "2", "HTTP/2.0"),
        ("both", "auto", "HTTP/2.0"),
        ("old", "auto", "HTTP/1.1"),
        ("bare", "2", "HTTP/2.0"),
    ],
)
def test_the_version_asked_for_is_spoken(nginx, speak, door, http, spoken):
    session = speak(getattr(nginx, door), http=http)
    session.begin("create", 7, 1, "r1")
    for method in ("GET", "POST", "GET"):
        answer = session.request(method, "/x", data={"a": 1} if method == "POST" else None)
        assert answer.text.startswith(f"{spoken} {method} 7 ")
        assert answer.headers["Server"].startswith("nginx")
        assert answer.status_code == 200
    first, *others = session.finish()[0]
    assert 0 < first.connect_us <= first.first_byte_us <= first.total_us
    assert [sample.connect_us for sample in others] == [0, 0]
    assert all(sample.bytes_in > len(answer.content) for sample in (first, *others))


def test_http_2_redirects_and_refusals_are_what_they_always_are(nginx, speak):
    session = speak(nginx.both, http="2")
    assert session.get("/move", allow_redirects=True).url == f"{nginx.both}/there"
    assert session.get("/no").status_code == 503
    assert session.failure == "GET /no answered 503: busy"
    assert [sample.status for sample in session.samples] == [302, 200, 503]


def test_no_older_version_is_spoken_instead(nginx, speak):
    """It would be measured, and taken for the one asked for."""
    session = speak(nginx.old, http="2")
    with pytest.raises(
        requests.ConnectionError, match=r"127\.0\.0\.1:\d+ does not speak HTTP/2: .*application"
    ):
        session.get("/x")
    assert session.samples[0].bytes_out == 0


def test_prior_knowledge_that_is_wrong_is_explained():
    server = Server(Handler)
    try:
        with Session(server.url, http="2") as http, pytest.raises(requests.ConnectionError, match="HTTP/2"):
            http.get("/echo", timeout=10)
    finally:
        server.close()


needs_http3 = pytest.mark.skipif(
    not pycurl.version_info()[4] & pycurl.VERSION_HTTP3, reason="this libcurl cannot speak HTTP/3"
)


@needs_http3
def test_http_3_where_nobody_speaks_it(certificate, speak):
    server = Server(Handler, tls_context(*certificate))
    try:
        with pytest.raises(requests.ConnectionError, match=r"127\.0\.0\.1:\d+ does not speak HTTP/3"):
            speak(server.url, http="3").get("/echo", timeout=10)
        assert server.log.take() == []
    finally:
        server.close()


@needs_http3
def test_http_3_needs_tls():
    with (
        Session("http://127.0.0.1:1", http="3") as http,
        pytest.raises(ValueError, match="requested for non-HTTPS URL"),
    ):
        http.get("/")


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_libcurl_without_it_says_so(monkeypatch, version):
    info = pycurl.version_info()
    monkeypatch.setattr(pycurl, "version_info", lambda: (*info[:4], 0, *info[5:]))
    with pytest.raises(UsageError, match=rf"cannot speak HTTP/{version}: PycURL/"):
        Session(http=version)
    Session(http="auto").close()


@pytest.mark.parametrize(
    "options", [{"http": "2", "transport": "requests"}, {"http": "4"}, {"connections": "0"}]
)
def test_what_no_session_can_do_is_refused(options):
    with pytest.raises(ValueError, match="http="):
        Session(**options)


# ---- connections ----


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_a_new_connection_for_each_call(transport):
    server = Server(Handler)
    try:
        with Session(server.url, transport=transport, connections="new") as http:
            for path in ("/echo", "/redirect/1", "/echo"):
                http.get(path, allow_redirects=True)
            assert {one.header("Connection") for one in server.log.requests} == {"close"}
            http.headers["Connection"] = "keep-alive"  # it is not the header that does it
            http.get("/echo")
            http.get("/echo")
        seen = server.log.take()
        assert len({one.connection for one in seen}) == len(seen) == 6
        if transport == "curl":
            assert all(sample.connect_us > 0 for sample in http.samples)
    finally:
        server.close()


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_each_handshake_is_a_whole_one(nginx, speak, version):
    session = speak(nginx.both, http=version, connections="new")
    words = [session.get("/x").text.split()[-1] for _ in range(3)]
    assert len(set(words)) == 3, "the connection's number"
    assert all(word.endswith(".") for word in words), "r: the TLS session was resumed"
    assert all(0 < sample.connect_us < sample.tls_us for sample in session.samples)


def test_a_name_is_resolved_for_a_connection_not_for_a_call():
    server = Server(Handler)
    try:
        with Session(server.url.replace("127.0.0.1", "localhost")) as http:
            http.get("/echo")
            http.get("/echo")
        first, second = http.samples
        assert 0 < first.dns_us <= first.connect_us
        assert second.dns_us == 0
    finally:
        server.close()


def test_a_scenario_says_how_its_sessions_speak(nginx, certificate):
    scenario = Scenario(http="2", connections="new")
    with open_session(scenario, nginx.both, None, SystemClock()) as session:
        session.verify = str(certificate[0])
        words = [session.get("/x").text.split() for _ in range(2)]
    assert [one[0] for one in words] == ["HTTP/2.0"] * 2
    assert words[0][-1] != words[1][-1]
