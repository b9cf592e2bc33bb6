"""What a worker leaves on its disk, and who may take it from there."""

import os
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest

from loadgen.columns import Harvest
from loadgen.errors import UsageError
from loadgen.queues.messages import Batch
from loadgen.sample import Outcome, Result
from loadgen.worker import spool as spools
from loadgen.worker.spool import Spool, left_behind

BATCHES = [
    Batch(seq, 1, 0, Harvest.of([Result(seq, 2, Outcome.FAILED, 5, 6, "no" * 200)])) for seq in range(1, 9)
]


def found(directory: Path) -> list[tuple[str, list[int]]]:
    return [(session, [b.seq for b in batches]) for _, session, batches in left_behind(directory, "r1", "me")]


def test_what_a_worker_had_when_it_died_is_found(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r1", "s1")
    spool.add(BATCHES[:3])
    spool.add(BATCHES[3:4])
    spool.forget(2)
    spool.close()
    assert found(tmp_path) == [("s1", [1, 2, 3, 4])], "the master ignores what it has"
    assert list(left_behind(tmp_path, "r1", "s1")) == []


def test_one_that_is_all_acknowledged_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r1", "s1")
    spool.add(BATCHES)
    spool.forget(len(BATCHES))
    assert spool.path.stat().st_size == 0
    spool.close()
    assert list(tmp_path.iterdir()) == []


DYING = """
import sys
from pathlib import Path
from tests.unit.worker.test_spool import BATCHES
from loadgen.worker.spool import Spool
spool = Spool(Path(sys.argv[1]), "r1", "s1")
spool.add(BATCHES[:2])
print("there", flush=True)
sys.stdin.readline()
"""


def test_a_live_worker_keeps_its_own(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        assert found(tmp_path) == []
        process.kill()
    assert found(tmp_path) == [("s1", [1, 2])]


def test_what_is_acknowledged_does_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, "r1", "s1")
    (size,) = spool.add(BATCHES[:1])
    monkeypatch.setattr(spools, "MOST_DEAD", 3 * size)
    for _ in range(50):  # one is always under way
        spool.add(BATCHES[1:2])
        spool.forget(1)
        assert spool.path.stat().st_size < 6 * size
        assert found(tmp_path) == [], "also while it is written anew"
    spool.add(BATCHES[2:3])
    spool.close()
    assert found(tmp_path)[0][1][-2:] == [2, 3]


class Full(FileIO):
    """A disk with little room."""

    room = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        part = data[: self.room]
        if not part:
            raise OSError(28, "No space left on device")
        self.room -= len(part)
        return super().write(part)


def test_half_a_frame_hides_no_later_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "r1", "s1")
    spool._file.close()
    spool._file = disk = Full(spool.path, "w+b")
    disk.room = 10_000
    (size, *_) = spool.add(BATCHES[:2])
    disk.room = size // 2
    spool.add(BATCHES[2:5])  # half of one, and nothing of the others
    disk.room = 10_000
    spool.add(BATCHES[5:7])
    spool.forget(1)
    spool.close()
    assert found(tmp_path) == [("s1", [1, 2, 6, 7])]


def test_a_file_that_was_replaced_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "r1", "s1")
    spool.add(BATCHES[:1])
    spool.close()
    lock = spools.lock

    def slow(file: FileIO) -> bool:
        spool.path.with_suffix(".new").touch()
        spool.path.with_suffix(".new").replace(spool.path)
        return lock(file)

    monkeypatch.setattr(spools, "lock", slow)
    assert found(tmp_path) == []


def test_a_place_where_nothing_can_be_kept_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(UsageError, match="spool/r1: cannot keep results there: Not a directory"):
        Spool(tmp_path / "spool", "r1", "s1")
