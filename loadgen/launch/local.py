"""Local workers: ordinary `loadgen worker` processes, started, watched and stopped.

They get a session of their own, so that Ctrl-C reaches the master alone, which then winds them down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadgen.errors import UsageError, WorkersGone

RESTARTS = 3
"""How often a worker that died is replaced while nothing gets done meanwhile."""


@dataclass(frozen=True, slots=True)
class LocalPlan:
    """What the local worker should be like."""

    server: str
    """host:port of the master."""
    processes: int
    concurrency: int | None
    """Items in flight a process; None: it finds out."""
    log: Path
    """Where its standard error goes."""
    patience_s: float
    """How long it looks for a master that is gone."""


class LocalWorker:
    """One `loadgen worker` on this machine, replaced when it dies."""

    def __init__(
        self, plan: LocalPlan, token: str, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._environ = {**environ, "LOADGEN_TOKEN": token}
        self._say = say
        self._process = self._start()
        self._restarts = 0
        self._settled = 0

    def tend(self, settled: int) -> None:
        """Replace the worker when it died; `settled`: items of the run that have their outcome by now.

        Raises WorkersGone when it dies again and again and nothing gets done.
        """
        code = self._process.poll()
        if code is None or code == 0:
            return
        if settled > self._settled:
            self._settled, self._restarts = settled, 0
        if self._restarts >= RESTARTS or code == UsageError.exit_code:  # a mistake is one the next time, too
            raise WorkersGone(f"the local worker cannot run: {self._last_words() or f'exit code {code}'}")
        self._restarts += 1
        self._say(f"the local worker (pid {self._process.pid}) {_how(code)}; another one is started")
        self._process = self._start()

    def wait(self, seconds: float) -> bool:
        """Give it time to leave; True: it left."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and its children at once."""
        if self._process.poll() is not None:
            return
        if os.name == "posix":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        plan = self._plan
        command = [
            *(sys.executable, "-m", "loadgen", "worker", "--server", plan.server),
            *("--processes", str(plan.processes), "--wait", str(plan.patience_s), "--tied"),
            *(() if plan.concurrency is None else ("--concurrency", str(plan.concurrency))),
        ]
        with plan.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command
                command,
                env=self._environ,
                stdin=subprocess.PIPE,  # closed by the kernel when this process dies, however it does
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        lines = self._plan.log.read_text(errors="replace").splitlines()
        said = [line for line in lines if line and not line[0].isspace()]  # else a mistake is pointed at
        return said[-1].removeprefix("loadgen: ") if said else ""


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
