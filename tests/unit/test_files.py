"""Files that are there whole or not at all, and belong to one process."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

import pytest

from loadgen.files import lock, whole


def test_a_file_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("old")
    with whole(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_one_that_breaks_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page"

    def break_half_way() -> None:
        with whole(path) as draft:
            draft.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_half_way()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    """So is a device: `--json /dev/full`, by root, made it an ordinary file for everybody."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with whole(path) as place:
        place.write_text("new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert path.is_fifo()


def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path: Path) -> None:
    """Else `--output /dev/stdout >page`, by root, made /dev/stdout an ordinary file for everybody."""
    path, link = tmp_path / "page", tmp_path / "there" / "link"
    link.parent.mkdir()
    path.write_text("old")
    link.symlink_to(path)
    with whole(link) as draft:
        assert draft.parent == tmp_path
        draft.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_a_lock_lasts_as_long_as_its_file_is_open(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.touch()
    with FileIO(path, "r+b") as one, FileIO(path, "r+b") as other:
        assert lock(one)
        assert not lock(other)
    with FileIO(path, "r+b") as next_one:
        assert lock(next_one)
