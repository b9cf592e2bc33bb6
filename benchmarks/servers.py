"""The web server that all contenders call: nginx on a core of its own, or a small asyncio server without it.

Three addresses: `/json` answers at once, `/fixed` after 20 ms, `/bimodal` after 5 ms or, for 8 % of the
requests, after 50 ms: p50 and p90 lie safely in the fast mode, p99 in the slow one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from benchmarks.lab import Lab, wait_until

JSON = '{"ok": true, "id": 4711, "name": "flow_004711"}'
FIXED_MS = 20.0
FAST_MS, SLOW_MS = 5.0, 50.0
SLOW_SHARE = 0.08
MODULES = (
    "/usr/lib/nginx/modules",
    "/usr/lib64/nginx/modules",
    "/usr/local/libexec/nginx",
    "/etc/nginx/modules",
)
ECHO = "ngx_http_echo_module.so"

CONFIG = """
{load}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    split_clients $request_id $delay {{ {fast:g}% {fast_s}; * {slow_s}; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /json {{ return 200 '{json}'; }}
        {delays}
    }}
}}
"""
DELAYS = """location = /fixed {{ echo_sleep {fixed_s}; echo_exec /json; }}
        location = /bimodal {{ echo_sleep $delay; echo_exec /json; }}"""


@dataclass(frozen=True, slots=True)
class Web:
    """Where to call."""

    fast: str
    """Base URL of the server that has `/json`."""
    delayed: str
    """Base URL of the server that has `/fixed` and `/bimodal`."""
    what: str
    """For the circumstances."""

    @property
    def json(self) -> str:
        """Answers at once."""
        return f"{self.fast}/json"


@contextlib.contextmanager
def web_server(lab: Lab) -> Iterator[Web]:
    """Start what there is.  Raises Failed when it does not answer."""
    with contextlib.ExitStack() as stack:
        if shutil.which("nginx") is None:
            base = stack.enter_context(_stand_in(lab))
            yield Web(
                base, base, "asyncio server in Python: nginx is not on PATH; it is slower than the clients"
            )
            return
        module = echo_module()
        base = stack.enter_context(_nginx(lab, module))
        delayed = base if module else stack.enter_context(_stand_in(lab))
        how = "delays by its echo module" if module else "delays by an asyncio server: no echo module"
        yield Web(base, delayed, f"nginx, one process, {how}")


def echo_module() -> Path | None:
    """The echo module of nginx, where distributions put it."""
    return next((path for folder in MODULES if (path := Path(folder) / ECHO).exists()), None)


def configuration(folder: Path, port: int, module: Path | None) -> str:
    """For the server, all its files in one folder."""
    return CONFIG.format(
        load=f"load_module {module};" if module else "",
        folder=folder,
        port=port,
        json=JSON,
        fast=100 * (1 - SLOW_SHARE),
        fast_s=FAST_MS / 1000,
        slow_s=SLOW_MS / 1000,
        delays=DELAYS.format(fixed_s=FIXED_MS / 1000) if module else "",
    )


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _nginx(lab: Lab, module: Path | None) -> Iterator[str]:
    folder = lab.new("nginx")
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, module))
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(file)]
    with lab.beside(command, core=lab.server_core):
        yield _answering(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def _stand_in(lab: Lab) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stand_in", str(port)]
    with lab.beside(command, core=lab.server_core):
        yield _answering(f"http://127.0.0.1:{port}")


def _answering(base: str) -> str:
    def ask() -> str | None:
        with contextlib.suppress(OSError), urlopen(f"{base}/json", timeout=2):  # noqa: S310 - our own URL
            return base
        return None

    return wait_until(ask, "the web server")


def cores() -> tuple[int | None, int | None]:
    """For clients and for the server; None, None where there are not two, or no way to choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)
