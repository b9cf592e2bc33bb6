"""Ctrl-C and SIGTERM: once to wind down, twice to leave; resume does the rest, and no item twice."""

import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from harness import AGAIN, AZKABAN, THINGS, Cli, Running, Target, adds_up, each_once, until

from loadgen.ledger.reader import Reader

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def held(cli: Cli, target: Target) -> Running:
    """A run with four items in flight and more to do."""
    target.gate.clear()
    args = ("--target", target.url, "--set", "things=60", "--concurrency", 4, "--lease-ttl", 1)
    run = cli.start_run(cli.scenario(AGAIN), *args)
    until(lambda: len(target.seen) == 4, "four items are in flight")
    return run


def resume(cli: Cli, *args: object) -> None:
    ended = cli(
        "resume",
        "latest",
        "--out",
        cli.out,
        "--listen",
        "127.0.0.1:0",
        "--processes",
        1,
        "--quiet",
        "--lease-ttl",
        1,
        *args,
    )
    assert (ended.code, ended.err) == (0, "")


def test_one_signal_lets_settle_and_resume_does_the_rest(cli: Cli, target: Target, held: Running) -> None:
    """Ctrl-C does the same: other tests press it."""
    held.signal(signal.SIGTERM)
    target.gate.set()
    ended = held.wait()
    assert (ended.code, ended.err) == (4, "")
    assert "stopped by SIGTERM" in ended.out
    assert f"loadgen resume {cli.directory().name}" in ended.out
    assert cli.processes() == {}
    assert cli.tokens() == []
    summary = cli.summary()
    adds_up(summary)
    assert summary["items"]["done"] == sum(target.count("/things").values()) < 60
    assert summary["items"]["pending"] == 60 - summary["items"]["done"]
    resume(cli)
    each_once(target, 60)
    assert cli.summary()["items"]["done"] == 60
    assert cli.summary()["verdict"]["ok"] is True


def test_a_terminal_that_is_closed_winds_the_run_down(cli: Cli, target: Target) -> None:
    """Nothing can be printed any more; all is settled and reported all the same."""
    target.gate.clear()
    path = cli.scenario()
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under `nohup`
        args = ["run", str(path), "--set", "things=900", "--target", target.url, "--out", str(cli.out)]
        os.execve(
            sys.executable, [sys.executable, "-m", "loadgen", *args, "--listen", "127.0.0.1:0"], cli.env
        )
    until(lambda: target.seen, "items are in flight")
    os.close(terminal)
    target.gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    adds_up(cli.summary())
    with Reader(cli.directory()) as reader:
        assert reader.incomplete() == "stopped by SIGHUP"


def test_again_and_again(cli: Cli, target: Target) -> None:
    """However often it is interrupted, each item is called once."""
    things = 2000
    begin = ("run", cli.scenario(), "--target", target.url, "--set", f"things={things}")
    args = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--concurrency", 2)
    for words in (begin, ("resume", "latest")):
        left = [path for path in map("/things/{}".format, range(things)) if path not in target.count()]
        target.held = left[9]  # one that no session has called yet
        run = cli.start(*words, *args)
        until(lambda held=target.held: held in target.count(), "it got so far")
        run.interrupt()
        target.release()
        assert run.wait().code == 4
    resume(cli)
    each_once(target, things)


def test_a_second_signal_leaves_at_once(cli: Cli, target: Target, held: Running) -> None:
    held.signal(signal.SIGTERM)
    time.sleep(0.05)  # two signals of one kind that come together are one
    held.signal(signal.SIGTERM)
    ended = held.wait(20)  # much less than what is in flight would take
    assert ended.code == 128 + signal.SIGTERM
    assert "Traceback" not in ended.err
    until(lambda: not cli.processes(), "no process is left", 10)
    target.gate.set()
    before = target.count("/things")
    resume(cli)
    assert cli.summary()["items"]["done"] == 60
    again = {path for path, times in target.count("/things").items() if times > 1}
    assert again <= set(before), "only what was in flight may be done again"


HOOKS = (
    THINGS.replace("Scenario, Session", "Scenario, Session, Verification")
    + """

@scenario.setup
def setup(http: Session, options: Options) -> None:
    http.post("/setup")


@scenario.verify
def verify(http: Session, options: Options) -> Verification:
    http.get("/verify")
    return Verification(options.things, options.things)
"""
)


def test_a_signal_while_setup_hangs_and_resume_sets_up(cli: Cli, target: Target) -> None:
    target.gate.clear()
    run = cli.start_run(cli.scenario(HOOKS), "--target", target.url)
    until(lambda: target.count("/setup"), "setup is under way")
    run.interrupt()
    ended = run.wait(20)
    assert (ended.code, ended.err) == (4, "")
    assert "stopped by SIGINT" in ended.out
    assert cli.processes() == {}
    assert target.count("/things") == {}
    target.gate.set()
    resume(cli)
    assert target.count("/setup") == {"/setup": 2}, "it was not done yet"
    each_once(target, 20)


def test_a_signal_while_verify_hangs_and_resume_verifies(cli: Cli, target: Target) -> None:
    target.held = "/verify"
    run = cli.start_run(cli.scenario(HOOKS), "--target", target.url)
    until(lambda: target.count("/verify"), "verify is under way")
    run.interrupt()
    ended = run.wait(20)
    assert (ended.code, ended.err) == (4, "")
    assert cli.summary()["items"]["done"] == 20
    assert cli.summary()["verification"] is None
    target.release()
    resume(cli)
    each_once(target, 20)
    assert cli.summary()["verification"]["found"] == 20
    assert target.count("/setup") == {"/setup": 1}, "once a run"


def test_a_signal_while_it_waits_for_workers(cli: Cli, target: Target) -> None:
    run = cli.start_run(cli.scenario(), "--target", target.url, "--processes", 0, "--wait-for-workers", 3)
    until(lambda: "waiting for workers" in run.out, "it waits")
    run.interrupt()
    assert run.wait(20).code == 4


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.1, 0.2])
def test_a_signal_at_any_moment_of_the_start(cli: Cli, delay_s: float) -> None:
    """Whatever it was doing: it leaves, in one piece, and no worker stays behind."""
    run = cli.start_run(AZKABAN, "--set", "flows=40")
    until(lambda: run.out, "its first line")
    time.sleep(delay_s)  # not waiting for something: choosing a moment
    run.interrupt()
    ended = run.wait(20)
    assert "Traceback" not in ended.err + ended.out
    assert ended.code in (0, 4, 130)
    left = cli.processes().values()
    assert not [line for line in left if "worker" in line or "spawn" in line]
    if ended.code != 4:  # nothing to resume: nobody needs the sandbox any more
        until(lambda: not cli.processes(), "the sandbox is gone")


def test_the_sandbox_stays_for_a_resume(cli: Cli) -> None:
    run = cli.start_run(AZKABAN, "--set", "flows=600", "--set", "projects=20")
    until(lambda: "upload" in log(cli), "flows are being created")
    run.interrupt()
    assert run.wait().code == 4
    assert [line for line in cli.processes().values() if "sandbox azkaban" in line]
    resume(cli, "--processes", 2)
    assert cli.summary()["verification"]["found"] == 600
    uploads = [line["item"] for line in cli.access_log() if line["action"] == "upload"]
    assert sorted(uploads) == list(range(600))
    until(lambda: not cli.processes(), "the sandbox is gone")


def log(cli: Cli) -> str:
    return "".join(path.read_text() for path in cli.out.glob("*/access.jsonl"))


class Terminal:
    """`loadgen` on a real terminal, of which we hold the other end."""

    def __init__(self, cli: Cli, *args: object) -> None:
        import pty

        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.shown = ""
        environment = {**cli.env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        environment.pop("NO_COLOR")
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *map(str, args)],
            cwd=cli.home,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def shows(self, pattern: str) -> bool:
        """Whether the pattern was ever on the screen; codes for colours and the cursor are left out."""
        self.read()
        return re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)) is not None

    def read(self) -> None:
        try:
            while text := os.read(self._ours, 65536):
                self.shown += text.decode(errors="replace")
        except OSError:  # nothing there now, or the other end is closed
            return

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait(self) -> int:
        """The exit code; reads on, so that the command never waits for us."""
        until(lambda: (self.read(), self.process.poll() is not None)[1], "it ends")
        self.read()
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)


TAKE_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C comes as it does to people
from loadgen.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_on_terminal(cli: Cli, target: Target, *args: object) -> Terminal:
    common = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--concurrency", 1)
    return Terminal(cli, "run", cli.scenario(), "--target", target.url, *common, *args)


@pytest.mark.parametrize("pressed", ["\x03", "\x03\x03", "s\x03"])
def test_ctrl_c_on_a_terminal(cli: Cli, target: Target, pressed: str) -> None:
    target.held = "/things/9"
    terminal = run_on_terminal(cli, target, "--set", "things=5000")
    try:
        until(lambda: terminal.shows(r"\b[1-9]\d? of 5000\b"), "progress is shown")
        until(lambda: "/things/9" in target.count(), "an item hangs")
        first, then = pressed[0], pressed[1:]
        terminal.press(first)
        if then:
            until(lambda: terminal.shows("what is in flight settles; Ctrl-C leaves at once"), "it heard")
            terminal.press(then)
            until(lambda: terminal.shows("left at once"), "it leaves")
        target.release()
        assert terminal.wait() == (130 if then else 4)
        assert "Traceback" not in terminal.shown
        assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l"), "the cursor is back"
        assert terminal.shows("loadgen resume")
        until(lambda: not cli.processes(), "no process is left")
    finally:
        terminal.close()


def test_a_run_on_a_terminal_ends_with_its_report(cli: Cli, target: Target) -> None:
    terminal = run_on_terminal(cli, target)
    try:
        assert terminal.wait() == 0
        assert terminal.shows("OK +20 of 20 items done")
        assert "\x1b[1;38;5;33mOK" in terminal.shown, "good news are blue"
    finally:
        terminal.close()
