"""A server that misbehaves on request, and writes down what it saw: for the session's contract tests."""

from __future__ import annotations

import base64
import contextlib
import datetime
import gzip
import hashlib
import http.client
import ipaddress
import json
import re
import select
import socket
import ssl
import struct
import threading
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Log:
    """What arrived, in order."""

    requests: list[Seen] = field(default_factory=list)
    connections: int = 0

    def take(self) -> list[Seen]:
        taken, self.requests = self.requests, []
        return taken


class Server(ThreadingHTTPServer):
    """Listens on a loopback port of the system's choice; `close` ends its connections and threads."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, handler: type[Handler], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.log = Log()
        self.released = threading.Event()
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.add(connection)
        self.log.connections += 1
        return connection, (self.log.connections, address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what these tests are about."""

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """The path says what to do, e.g. `/status/503`, `/redirect/3`, `/drop`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self._connection_number = self.client_address[0]
        self._served = 0

    def parse_request(self) -> bool:
        # http.server knows only methods that it finds as do_METHOD.
        if not super().parse_request():
            return False
        self._method, self.command = self.command, "ANY"
        return True

    def do_ANY(self) -> None:
        self.command = self._method
        body = self._read_body()
        seen = Seen(self.command, self.path, tuple(self.headers.items()), body, self._connection_number)
        self.server.log.requests.append(seen)
        self._served += 1
        parts = urlsplit(self.path)
        name, *arguments = parts.path.strip("/").split("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        action = getattr(self, f"on_{name.replace('-', '_')}", self.on_echo)
        action(seen, arguments, query)

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int = 200, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for key, value in headers:
            self.send_header(key, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def on_echo(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        echo = {
            "method": seen.method,
            "target": seen.target,
            "headers": seen.headers,
            "body": seen.body.decode("latin-1"),
        }
        self.answer(
            200,
            json.dumps(echo).encode(),
            (("Content-Type", "application/json"), ("X-Two", "1"), ("X-Two", "2")),
        )

    def on_status(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(int(arguments[0]), b"so\n it   is", (("Content-Type", "text/plain"),))

    def on_redirect(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        left = int(arguments[0])
        self.answer(302, b"", (("Location", f"/redirect/{left - 1}" if left > 1 else "/echo"),))

    def on_redirect_to(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(int(query["status"]), b"gone", (("Location", query["url"]),))

    def on_cookies(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        path = "/" + "/".join(arguments)
        self.answer(
            200, b"", tuple(("Set-Cookie", f"{key}={value}; Path={path}") for key, value in query.items())
        )

    def on_set_and_go(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(302, b"", (("Set-Cookie", "hop=1; Path=/"), ("Location", "/echo")))

    def on_gzip(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(200, gzip.compress(b"squeezed " * 200), (("Content-Encoding", "gzip"),))

    def on_deflate(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(200, zlib.compress(b"squeezed " * 200), (("Content-Encoding", "deflate"),))

    def on_not_gzip(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.answer(200, b"this is no gzip", (("Content-Encoding", "gzip"),))

    def on_chunked(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Late")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-Late: yes\r\n\r\n")

    def on_early(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n")
        self.answer(200, b"late", (("X-Final", "yes"),))

    def on_continue(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\nX-Early: yes\r\n\r\n")
        self.answer(200, b"late", (("X-Final", "yes"),))

    def on_slow(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.server.released.wait(20)
        self.close_connection = True

    def on_slow_body(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        self.server.released.wait(20)
        self.close_connection = True

    def on_drip(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        """A byte every 50 ms: never silent, never done."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self.server.released.wait(0.05):
            self.wfile.write(b".")
        self.close_connection = True

    def on_drop(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.close_connection = True

    def on_second_drops(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        """Answers the first request on a connection, and closes it after reading the second."""
        if self._served == 1:
            self.answer(200, b"first")
        else:
            self.close_connection = True

    def on_reset(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def on_truncated(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        self.close_connection = True

    def on_truncated_chunk(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nsome")
        self.close_connection = True

    def on_garbage(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        self.wfile.write(b"220 this is a mail server\r\n")
        self.close_connection = True

    def on_basic(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        wanted = "Basic " + base64.b64encode(b"ann:secret").decode()
        ok = seen.header("Authorization") == wanted
        self.answer(200 if ok else 401, b"", () if ok else (("WWW-Authenticate", 'Basic realm="r"'),))

    def on_digest(self, seen: Seen, arguments: list[str], query: dict[str, str]) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', seen.header("Authorization") or ""))
        if given and given["response"] == _digest(given, seen.method, "ann", "secret"):
            self.answer(200, b"welcome")
        else:
            challenge = 'Digest realm="r", nonce="n1", qop="auth", algorithm=MD5'
            self.answer(401, b"who?", (("WWW-Authenticate", challenge),))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quietly."""


class ProxyHandler(Handler):
    """Forwards plain requests and tunnels CONNECT; refuses both to `/closed` users."""

    def do_ANY(self) -> None:
        if self._method != "CONNECT":
            self._forward()
            return
        self.command = self._method
        self.server.log.requests.append(
            Seen(self.command, self.path, tuple(self.headers.items()), b"", self._connection_number)
        )
        if self.headers.get("Proxy-Authorization"):
            self.answer(407)
            return
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as upstream:
            self.send_response(200)
            self.end_headers()
            self._pump(upstream)
        self.close_connection = True

    def _forward(self) -> None:
        self.command = self._method
        body = self._read_body()
        headers = tuple(self.headers.items())
        self.server.log.requests.append(Seen(self.command, self.path, headers, body, self._connection_number))
        parts = urlsplit(self.path)
        upstream = http.client.HTTPConnection(parts.netloc, timeout=10)
        upstream.request(self.command, parts.path, body, dict(self.headers.items()))
        response = upstream.getresponse()
        self.answer(response.status, response.read(), (("X-Via", "proxy"),))
        upstream.close()

    def _pump(self, upstream: socket.socket) -> None:
        other = {self.connection: upstream, upstream: self.connection}
        while True:
            for readable in select.select(list(other), [], [])[0]:
                data = readable.recv(65536)
                if not data:
                    return
                other[readable].sendall(data)


def _digest(given: dict[str, str], method: str, user: str, password: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    secret = md5(f"{user}:{given['realm']}:{password}")
    what = md5(f"{method}:{given['uri']}")
    return md5(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{what}")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "server.pem", folder / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


def tls_context(certificate: Path, key: Path, *, ask_for_client: bool = False) -> ssl.SSLContext:
    """For a server; with `ask_for_client` it wants the same certificate from its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if ask_for_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    return context
