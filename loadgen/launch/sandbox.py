"""A sandbox for one run: a `loadgen sandbox` process on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from loadgen.errors import LoadgenError

IDLE_EXIT_S = 600
"""Seconds; a sandbox that nobody asks for anything ends by itself: a resume may never come."""
FILE = "sandbox.json"


class SandboxProcess:
    """A running sandbox: started for a run, or found again by the run's resume.

    It outlives its master on purpose: what it holds is what a resumed run builds on.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    @classmethod
    def start(cls, name: str, directory: Path, *options: str) -> SandboxProcess:
        """Start one, with these options of `loadgen sandbox`.  Raises LoadgenError."""
        usual = ("--port", "0", "--idle-exit", str(IDLE_EXIT_S))
        command = [sys.executable, "-m", "loadgen", "sandbox", name, *usual, *options]
        with (directory / "sandbox.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        if process.stdout is None:
            raise LoadgenError("the sandbox has no output")
        try:
            with process.stdout as output:
                line = output.readline().decode().strip()
        except BaseException:  # interrupted while it starts
            process.kill()
            raise
        url = line.rpartition(" ")[2]
        if not url.startswith("http"):
            process.kill()
            words = (directory / "sandbox.log").read_text(errors="replace").strip()
            raise LoadgenError(f"the sandbox did not start: {words.splitlines()[-1] if words else line}")
        (directory / FILE).write_text(json.dumps({"url": url, "pid": process.pid}))
        return cls(url, process.pid)

    @classmethod
    def find(cls, directory: Path) -> SandboxProcess | None:
        """The sandbox of a run, when it is still there."""
        try:
            known = json.loads((directory / FILE).read_text())
        except (OSError, ValueError):
            return None
        return cls(known["url"], known["pid"]) if _pid_at(known["url"]) == known["pid"] else None

    def status(self) -> dict[str, Any]:
        """What it says of itself.  Raises OSError and ValueError."""
        with urlopen(f"{self.url}/status", timeout=10) as answer:  # noqa: S310 - the URL that we printed
            return dict(json.load(answer))

    def stop(self) -> None:
        """End it; what it held is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def access_log(directory: Path) -> tuple[str, str]:
    """The option that has a sandbox write down there what it was asked."""
    return "--access-log", str(directory / "access.jsonl")


def _pid_at(url: str) -> int | None:
    """The process that answers there, by its own word; None when none does that is a sandbox."""
    try:
        with urlopen(f"{url}/status", timeout=2) as answer:  # noqa: S310 - the URL that we printed ourselves
            return int(json.load(answer)["pid"])
    except (OSError, ValueError, KeyError):
        return None


def is_alive(url: str) -> bool:
    """Whether anything listens there."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=2).close()
    except OSError:
        return False
    return True
