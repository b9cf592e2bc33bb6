"""The short version of the chaos suite: one round a kind, and what needs a disk or a network of its own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from loadgen.ledger.reader import Reader

from . import processes
from .__main__ import KINDS
from .checker import check
from .loops import Loop
from .rounds import Play, Round
from .target import Manners, Target

pytestmark = [
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc"),
    pytest.mark.timeout(170),
]
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount and make namespaces"
)
ITEMS = 1200


@pytest.mark.parametrize("kind", ["at_most_once", "at_least_once", "verify", "keyed verify"])
def test_whatever_dies_nothing_is_lost_and_nothing_done_twice(kind: str, tmp_path: Path) -> None:
    play = replace(
        KINDS[kind],
        items=ITEMS,
        seed=int.from_bytes(os.urandom(3)),
        most_actions=6,
        pause_s=(0.2, 0.7),
        stop_s=(0.1, 2.0),
    )
    played = Round(play, tmp_path / "round").play()
    assert not played.findings.violations, f"seed {play.seed}, after {dict(played.actions)}"


def test_a_master_that_is_killed_again_and_again_costs_nothing(tmp_path: Path) -> None:
    play = replace(KINDS["master only"], items=ITEMS, most_actions=2, pause_s=(1.0, 1.5))
    played = Round(play, tmp_path / "round").play()
    assert not played.findings.violations
    assert played.findings.done == ITEMS
    assert played.exit_code == 0


@dataclass
class Stage:
    """A target, and a scratch directory whose processes end with the test."""

    target: Target
    directory: Path
    names: Iterator[int]
    family: processes.Family

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> tuple[subprocess.Popen[bytes], Path]:
        """Start `loadgen`; returns the process and where its output goes."""
        log = self.directory / f"{next(self.names)}.log"
        return self.family.start(arguments, log, prefix=prefix), log

    def run(self, play: Play, out: Path, *more: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a run."""
        scenario = self.directory / "chaos.py"
        scenario.write_text(play.scenario())
        numbers = ("--set", "first=0", "--set", f"second={play.items}")
        target = ("--target", self.target.url, "--lease-ttl", str(play.ttl_s), "--out", str(out))
        return self.start("run", str(scenario), *target, *numbers, "--quiet", *more)

    def hits(self, count: int) -> None:
        """Wait for so many calls."""
        processes.until(lambda: len(self.target.log.hits) >= count, within_s=30, what=f"{count} calls")


@pytest.fixture
def loop() -> Iterator[Loop]:
    with Loop() as loop:
        yield loop


@pytest.fixture
def stage(loop: Loop, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(Target(loop), tmp_path, itertools.count(1), processes.Family(tmp_path / "state"))
    try:
        yield stage
    finally:
        stage.family.end()
        stage.target.close()


def test_a_run_that_goes_on_cannot_be_resumed(stage: Stage) -> None:
    out = stage.directory / "runs"
    local = ("--processes", "1", "--listen", "127.0.0.1:0")
    _, _ = stage.run(Play("at_most_once", items=50_000), out, *local)
    stage.hits(50)
    (directory,) = out.iterdir()
    second, log = stage.start("resume", directory.name, "--out", str(out))
    assert second.wait(20) == 2
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("another master is running it")


def test_a_pool_child_that_dies_takes_along_only_what_it_had(stage: Stage) -> None:
    """Its items are in doubt at once, not when their lease runs out; the rest of the lease goes on."""
    out, play = stage.directory / "runs", Play("at_most_once", items=1500, ttl_s=15)
    local = ("--processes", "2", "--concurrency", "8", "--listen", "127.0.0.1:0")
    master, log = stage.run(play, out, *local)
    for hits in (200, 700):
        stage.hits(hits)
        child = next(process for process in stage.family.find() if process.role == "child")
        processes.send(child.pid, signal.SIGKILL)
    assert master.wait(60) == 3, log.read_text()
    (directory,) = out.iterdir()
    findings = check(directory, stage.target.log, exit_code=3)
    assert not findings.violations
    assert 0 < findings.unknown <= 2 * (8 + 60)
    with Reader(directory) as reader:
        assert "lease expired" not in [event.kind for event in reader.events()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@needs_root
def test_a_full_disk_ends_a_run_that_can_be_resumed(stage: Stage, small_disk: Path) -> None:
    """What was in flight when the disk was full is not even unknown: it waits in the worker's spool."""
    stage.target.manners = Manners(latency_s=0.005)
    play = Play("at_most_once", items=12_000)
    local = ("--processes", "2", "--listen", "127.0.0.1:0")
    first, log = stage.run(play, small_disk, *local)
    assert first.wait(60) == 4, log.read_text()
    said = log.read_text()
    assert "disk" in said
    assert "Traceback" not in said
    sent = len(stage.target.log.hits)
    (directory,) = [path for path in small_disk.iterdir() if path.is_dir()]
    assert len(stage.target.log.hits) == sent, "it goes on without a ledger"
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    second, log = stage.start(
        "resume", directory.name, "--out", str(small_disk), "--lease-ttl", "1", "--processes", "2", "--quiet"
    )
    assert second.wait(60) == 0, log.read_text()
    assert not check(directory, stage.target.log, exit_code=0).violations


@dataclass(frozen=True)
class Link:
    """A network namespace and the cable to it."""

    namespace: str
    device: str
    here: str
    """Our end's address."""

    def set(self, state: str) -> None:
        subprocess.run(["ip", "link", "set", self.device, state], check=True)


@pytest.fixture
def link() -> Iterator[Link]:
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip`")
    number = os.getpid() % 250
    made = Link(f"loadgen{number}", f"lgen{number}", f"10.231.{number}.1")
    inside = ("ip", "-n", made.namespace)
    if subprocess.run(["ip", "netns", "add", made.namespace], check=False).returncode:
        pytest.skip("network namespaces cannot be made here")
    try:
        for command in (
            ("ip", "link", "add", made.device, "type", "veth", "peer", "eth0", "netns", made.namespace),
            ("ip", "address", "add", f"{made.here}/30", "dev", made.device),
            ("ip", "link", "set", made.device, "up"),
            (*inside, "address", "add", f"{made.here[:-1]}2/30", "dev", "eth0"),
            (*inside, "link", "set", "eth0", "up"),
        ):
            subprocess.run(command, check=True)
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.namespace], check=False)


@needs_root
def test_a_worker_whose_network_goes_away_and_comes_back(loop: Loop, link: Link, tmp_path: Path) -> None:
    family = processes.Family(tmp_path / "state")
    stage = Stage(Target(loop, host=link.here), tmp_path, itertools.count(1), family)
    play = Play("verify", items=1500)
    out = tmp_path / "runs"
    try:
        master, log = stage.run(play, out, "--allow-target", "--processes", "0", "--listen", f"{link.here}:0")
        processes.until(lambda: list(stage.family.state.glob("*.token")), within_s=20, what="a token")
        (token,) = stage.family.state.glob("*.token")
        _, far = stage.start(
            *("worker", "--server", f"{link.here}:{token.stem}", "--token-file", str(token)),
            *("--processes", "1", "--concurrency", "8"),
            prefix=("ip", "netns", "exec", link.namespace),
        )
        stage.hits(200)
        link.set("down")
        time.sleep(2.5)  # longer than a lease lives
        link.set("up")
        code = master.wait(60)
        with Reader(next(out.iterdir())) as reader:
            events = [event.kind for event in reader.events()]
        findings = check(next(out.iterdir()), stage.target.log, exit_code=code)
        assert not findings.violations, far.read_text()
        assert findings.done + findings.failed == play.items
        assert "lease expired" in events, log.read_text()
    finally:
        stage.family.end()
        stage.target.close()
