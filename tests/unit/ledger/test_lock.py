"""A run directory has one master, and is free again however that one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.errors import RunDirectoryError
from loadgen.ledger.lock import FILE, RunLock

HOLDER = """
import sys
from pathlib import Path
from loadgen.ledger.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def refused(directory: Path) -> str:
    with pytest.raises(RunDirectoryError) as caught:
        RunLock(directory)
    return str(caught.value)


def test_a_second_master_is_refused(tmp_path: Path) -> None:
    """With words, and at once; another directory is another matter."""
    lock = RunLock(tmp_path)
    assert refused(tmp_path) == f"{tmp_path}: another master is running it"
    (tmp_path / "other").mkdir()
    RunLock(tmp_path / "other").release()
    lock.release()


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    """Also after a refusal, and after being released twice."""
    lock = RunLock(tmp_path)
    refused(tmp_path)
    lock.release()
    lock.release()
    RunLock(tmp_path).release()


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_master_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """The operating system lets go of its lock."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert refused(tmp_path) == f"{tmp_path}: another master is running it"
        process.send_signal(signal.SIGKILL)
    RunLock(tmp_path).release()


@pytest.mark.parametrize("content", [b"no database at all, but of some length" * 100, None])
def test_a_lock_that_cannot_be_taken(tmp_path: Path, content: bytes | None) -> None:
    """A folder that is gone, a file of something else: RunDirectoryError, not sqlite3's."""
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    directory = tmp_path if content else tmp_path / "gone"
    assert refused(directory).startswith(f"{directory}: cannot lock it: ")
