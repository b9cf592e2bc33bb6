"""What the end-to-end tests share: the real command line in a folder of its own, a target that keeps count.

Nothing here waits blindly: `until` polls a condition against a deadline.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from unittest import mock

from loadgen.cli import main

REPO = Path(__file__).resolve().parents[2]
AZKABAN = REPO / "scenarios" / "azkaban_flows.py"
DEADLINE_S = 45.0
"""Long enough for a busy machine: no test waits for it when all is well."""

THINGS = '''"""Put things on a shelf."""

from dataclasses import dataclass

from loadgen import Scenario, Session


@dataclass(frozen=True)
class Options:
    things: int = 20


scenario = Scenario(options=Options)


@scenario.step(items=lambda options: options.things)
def put(http: Session, item: int, options: Options) -> int:
    http.post(f"/things/{item}")
    return item
'''


AGAIN = THINGS.replace("options.things)", 'options.things, delivery="at_least_once")')
"""The same, where an item that may have been done is done again."""


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
    """The condition's first true value.  Fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.01)
    return value


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclasses.dataclass
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    def complains(self, code: int, *words: str) -> None:
        """One line on stderr with these words, this exit code, and no traceback."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("loadgen: "), self.err
        assert "Traceback" not in self.err + self.out
        assert self.code == code, self
        for word in words:
            assert word in self.err, self.err


class Running:
    """A command under way."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._out, self._err = out, err

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def interrupt(self) -> None:
        self.signal(signal.SIGINT)

    def wait(self, seconds: float = DEADLINE_S) -> Finished:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {seconds} s: {self.out[-2000:]} {self.err}") from None
        return Finished(code, self.out, self.err)


class Cli:
    """`loadgen` in a folder of its own, with a state directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"
        self.out = home / "runs"
        self._count = 0
        self._started: list[subprocess.Popen[bytes]] = []
        strange = ("loadgen_", "azkaban_", "http_proxy", "https_proxy", "all_proxy")
        kept = {name: value for name, value in os.environ.items() if not name.lower().startswith(strange)}
        mine = {"LOADGEN_STATE_DIR": str(self.state), "COLUMNS": "100", "PYTHONUTF8": "1", "NO_COLOR": "1"}
        self.env = {**kept, **mine, "LOADGEN_NO_DASHBOARD": "1"}

    def start(self, *args: object, env: Mapping[str, str] | None = None) -> Running:
        """Start a command; its output goes to files, so that it never waits for a reader."""
        self._count += 1
        out, err = self.home / f"{self._count}.out", self.home / f"{self._count}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "loadgen", *map(str, args)],
                cwd=self.home,
                env={**self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
            )
        self._started.append(process)
        return Running(process, out, err)

    def __call__(self, *args: object, env: Mapping[str, str] | None = None) -> Finished:
        """Run a command to its end."""
        return self.start(*args, env=env).wait()

    def here(self, *args: object, env: Mapping[str, str] | None = None) -> Finished:
        """Run a command to its end in this process: what only looks spends its time on Python's start."""
        files = [io.BytesIO(), io.BytesIO()]
        out, err = (io.TextIOWrapper(file, "utf-8", write_through=True) for file in files)
        with (
            contextlib.chdir(self.home),
            mock.patch.dict(os.environ, {**self.env, **(env or {})}, clear=True),
            mock.patch.object(sys, "path", [*sys.path]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main([str(word) for word in args])
        return Finished(code, *(file.getvalue().decode() for file in files))

    def start_run(self, scenario: Path, *args: object, env: Mapping[str, str] | None = None) -> Running:
        """Start `loadgen run` on a free port, small unless told otherwise."""
        common = ["--out", self.out, "--listen", "127.0.0.1:0", "--processes", 1]
        return self.start("run", scenario, *common, *args, env=env)

    def run(self, scenario: Path, *args: object, env: Mapping[str, str] | None = None) -> Finished:
        """`loadgen run` to its end."""
        return self.start_run(scenario, *args, env=env).wait()

    def scenario(self, text: str = THINGS, name: str = "things.py") -> Path:
        """Write a scenario file."""
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path

    # what a run left

    def directories(self) -> list[Path]:
        return sorted(path.parent for path in self.out.glob("*/run.db"))

    def directory(self) -> Path:
        """The directory of the only run."""
        (only,) = self.directories()
        return only

    def summary(self, directory: Path | None = None) -> dict[str, Any]:
        path = (directory or self.directory()) / "summary.json"
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def access_log(self) -> list[dict[str, Any]]:
        text = (self.directory() / "access.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def tokens(self) -> list[Path]:
        """Token files of masters that are there."""
        return sorted(self.state.glob("*.token"))

    def port(self) -> int:
        """Where the master listens that is there."""
        return int(until(self.tokens, "the master left its token")[0].stem)

    # what still lives

    def processes(self) -> dict[int, str]:
        """Command lines of all processes that this command line started, by process id (Linux only)."""
        mark = f"LOADGEN_STATE_DIR={self.state}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found[int(folder.name)] = line.strip()
        return found

    def pid_of(self, word: str) -> int:
        """The process whose command line has the word."""

        def search() -> int | None:
            return next((pid for pid, line in self.processes().items() if word in line), None)

        return int(until(search, f"a process with {word}"))

    def close(self) -> None:
        """Leave nothing behind."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(), "all processes are gone")


@dataclasses.dataclass
class Seen:
    """A request, as the target saw it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    began: float
    ended: float = 0.0

    @property
    def item(self) -> int:
        return int(self.headers.get("X-Loadgen-Item", -1))


class Target:
    """A real HTTP server in this process that remembers what it was asked.

    `answer` says status and body.  While `gate` is closed answers wait, those below `held` until `release`.
    """

    def __init__(self, port: int = 0) -> None:
        self.seen: list[Seen] = []
        self.delay_s = 0.0
        self.answer: Callable[[Seen], tuple[int, str]] = lambda _: (200, "{}")
        self.held = "nothing"
        self.gate, self._released = threading.Event(), threading.Event()
        self.gate.set()
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60
            wbufsize = -1  # head and body in one packet: two would wait for each other's acknowledgement

            def handle_any(self) -> None:
                target._serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the server's names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        seen = Seen(handler.command, handler.path, dict(handler.headers), body, time.monotonic())
        self.seen.append(seen)
        (self._released if seen.path.startswith(self.held) else self.gate).wait(DEADLINE_S)
        if self.delay_s:
            time.sleep(self.delay_s)
        status, text = self.answer(seen)
        seen.ended = time.monotonic()
        content = text.encode()
        with contextlib.suppress(OSError):  # the client may be gone
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
            handler.wfile.flush()

    def count(self, prefix: str = "/") -> Counter[str]:
        """How often each path below the prefix was asked for."""
        return Counter(seen.path for seen in list(self.seen) if seen.path.startswith(prefix))

    def release(self) -> None:
        """Answer what was held, and hold nothing more."""
        self.held = "nothing"
        held, self._released = self._released, threading.Event()
        held.set()

    def close(self) -> None:
        self.gate.set()
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Clients that are killed are part of the tests."""


def each_once(target: Target, count: int, prefix: str = "/things/") -> None:
    """Each thing was put exactly once, and no others."""
    assert target.count(prefix) == {f"{prefix}{n}": 1 for n in range(count)}


def adds_up(summary: Mapping[str, Any]) -> None:
    """Planned is the sum of the rest, for the run and for each step."""
    for items in (summary["items"], *(step["items"] for step in summary["steps"])):
        assert items["planned"] == sum(number for end, number in items.items() if end != "planned")


def taught(document: Path, name: str) -> list[list[str]]:
    """The words of a document's commands under `<!-- command: NAME -->`, a list for each line."""
    (block,) = (
        block for before, block in fenced(document.read_text()) if before == f"<!-- command: {name} -->"
    )
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def fenced(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a Markdown text, each with the line before it."""
    before, block, last = "", None, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            if block is None:
                before, block = last, []
            else:
                yield before, "".join(f"{part}\n" for part in block)
                block = None
        elif block is not None:
            block.append(line)
        last = line.strip()
