"""Run directories: named, made, found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import RunDirectoryError, RunNotFound
from loadgen.ledger.directory import LATEST, everything, find, make, new_id
from loadgen.ledger.store import FILE

NOW_US = 1_763_677_113_000_000


def a_run(out: Path, name: str) -> Path:
    directory = make(out, name)
    (directory / FILE).touch()
    return directory


def wrong(out: Path, name: str) -> str:
    with pytest.raises(RunNotFound) as caught:
        find(out, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_id_tells_time_and_scenario() -> None:
    """In UTC, with a random end."""
    first, second = new_id("flows", NOW_US), new_id("flows", NOW_US)
    assert first.startswith("20251120-221833000-flows-")
    assert len(first) == len("20251120-221833000-flows-3f2a")
    assert len({new_id("flows", NOW_US) for _ in range(20)}) > 1
    assert first[:-4] == second[:-4]


@given(st.integers(0, 4_000_000_000), st.integers(1, 10**8))
def test_ids_sort_by_time(second: int, later: int) -> None:
    """To the second."""
    assert new_id("z", second * 10**6) < new_id("a", (second + later) * 10**6)


def test_a_directory_is_made(tmp_path: Path) -> None:
    """With all that lies above it; empty."""
    directory = make(tmp_path / "a" / "runs", "r1")
    assert directory == tmp_path / "a" / "runs" / "r1"
    assert not list(directory.iterdir())


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file is in the way; it is there already."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="file: cannot write run directories there: "):
        make(tmp_path / "file", "r1")
    make(tmp_path, "r1")
    with pytest.raises(RunDirectoryError, match="File exists"):
        make(tmp_path, "r1")


def test_all_runs_oldest_first(tmp_path: Path) -> None:
    """What holds no ledger is no run."""
    assert everything(tmp_path / "gone") == []
    later, sooner = a_run(tmp_path, "20260102-x"), a_run(tmp_path, "20260101-x")
    make(tmp_path, "20260103-x")
    (tmp_path / "20260104-x").write_text("")
    assert everything(tmp_path) == [sooner, later]


def test_a_run_is_found_by_what_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path, id, part of an id, ledger, `latest`."""
    first = a_run(tmp_path, "20260101-000000-flows-aaaa")
    second = a_run(tmp_path, "20260102-000000-users-bbbb")
    assert find(tmp_path, str(first)) == first
    assert find(tmp_path, f"{first}/") == first
    assert find(tmp_path, str(first / FILE)) == first
    assert find(tmp_path, first.name) == first
    assert find(tmp_path, "users") == second
    assert find(tmp_path, "aaaa") == first
    assert find(tmp_path, LATEST) == second
    monkeypatch.chdir(tmp_path.parent)
    assert find(Path("elsewhere"), f"{tmp_path.name}/{first.name}").resolve() == first


def test_an_id_wins_over_a_part_of_another(tmp_path: Path) -> None:
    """The whole name is never ambiguous."""
    short = a_run(tmp_path, "run")
    a_run(tmp_path, "run-2")
    assert find(tmp_path, "run") == short


def test_what_cannot_be_found(tmp_path: Path) -> None:
    """The message says what there is."""
    assert wrong(tmp_path, "x") == f"x: no such run in {tmp_path} (there are none)"
    assert wrong(tmp_path, LATEST) == f"latest: no such run in {tmp_path} (there are none)"
    newest = a_run(tmp_path, "20260101-flows")
    assert wrong(tmp_path, "x") == f"x: no such run in {tmp_path} (the newest is {newest.name})"
    for number in range(2, 9):
        a_run(tmp_path, f"2026010{number}-flows")
    message = wrong(tmp_path, "flows")
    assert message.startswith("flows: could be 20260104-flows, ")
    assert message.endswith(", 20260108-flows")
