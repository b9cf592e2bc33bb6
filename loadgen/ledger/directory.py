"""Run directories: how they are named, made and found again.

runs/20261120-221833-azkaban_flows-3f2a/
    run.db          the ledger
    summary.json    the numbers
    manifest.jsonl  what the steps returned
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from loadgen.errors import RunDirectoryError, RunNotFound
from loadgen.ledger.store import FILE

LATEST = "latest"
"""Names the newest run, wherever a run is asked for."""


def new_id(scenario: str, now_us: int) -> str:
    """A run's id: sorts by time, tells the scenario, and is not used twice."""
    moment = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    return f"{moment:%Y%m%d-%H%M%S}{moment.microsecond // 1000:03d}-{scenario}-{secrets.token_hex(2)}"


def make(out: Path, run: str) -> Path:
    """Make a run's directory.  Raises RunDirectoryError when it cannot be made or written."""
    directory = out / run
    try:
        directory.mkdir(parents=True)
        probe = directory / FILE
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunDirectoryError(f"{out}: cannot write run directories there: {error.strerror}") from error
    return directory


def find(out: Path, name: str) -> Path:
    """The directory of a run, by its path, its id, a part of it that is unique, or `latest`.

    Raises RunNotFound, naming what could have been meant.
    """
    path = Path(name)
    if (path / FILE).is_file():
        return path
    if path.name == FILE and path.is_file():
        return path.parent
    known = everything(out)
    if name == LATEST and known:
        return known[-1]
    if (out / name) in known:
        return out / name
    matches = [directory for directory in known if name in directory.name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RunNotFound(f"{name}: could be {', '.join(match.name for match in matches[-5:])}")
    there = f"the newest is {known[-1].name}" if known else "there are none"
    raise RunNotFound(f"{name}: no such run in {out} ({there})")


def everything(out: Path) -> list[Path]:
    """All run directories below `out`, oldest first."""
    return sorted(path.parent for path in out.glob(f"*/{FILE}"))
