"""`loadgen runs rm RUN...` and `loadgen runs prune`: run directories go, unless something is lost with them.

Only directories below `--out` are removed, and only those that hold a ledger.  A run that is running stays,
whatever is said; one that can be resumed, or whose work on its target was not cleaned, stays unless forced.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words
from loadgen.errors import LoadgenError, UsageError

if TYPE_CHECKING:
    from loadgen.cli.shelf import Shelved

_SPANS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
Force = Annotated[
    bool, typer.Option("--force", help="Even if it can be resumed, or was not cleaned; not if it is running.")
]
Shelf = Annotated[
    Path | None,
    typer.Option("--out", envvar="LOADGEN_OUT", metavar="DIR", help="Where run directories lie."),
]


def rm(
    context: typer.Context,
    names: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs: ids, parts of them, or `latest`.")
    ],
    yes: Yes = False,
    force: Force = False,
    out: Shelf = None,
) -> None:
    """Remove runs: ledger, reports, all."""
    from loadgen.cli.shelf import look
    from loadgen.ledger import directory

    shelf = _shelf(context, out)
    known = directory.everything(shelf)
    paths = list(dict.fromkeys(directory.find(shelf, name) for name in names))
    strangers = [str(path) for path in paths if path not in known]
    if strangers:
        raise UsageError(f"{', '.join(strangers)}: not below {shelf}: only runs there are removed")
    found = [look(path) for path in paths]
    kept = [f"{run.path.name}: {run.objection}" for run in found if _stays(run, force=force)]
    if kept:
        hint = "" if force else " (--force removes all but running ones)"
        raise UsageError(f"nothing was removed: {'; '.join(kept)}{hint}")
    _confirm(found, yes=yes)
    _remove(found)


def prune(
    context: typer.Context,
    keep: Annotated[int | None, typer.Option("--keep", min=0, metavar="N", help="Keep the newest N.")] = None,
    older: Annotated[
        str | None,
        typer.Option("--older", metavar="AGE", help="Only those that began so long ago: 12h, 30d, 8w."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be removed.")] = False,
    yes: Yes = False,
    force: Force = False,
    out: Shelf = None,
) -> None:
    """Remove old runs; those that should stay are named."""
    from loadgen.cli.shelf import look
    from loadgen.clock import SystemClock
    from loadgen.ledger import directory

    if keep is None and older is None:
        raise UsageError("say which runs are old: --keep N, --older AGE, or both")
    before_us = None if older is None else SystemClock().now_us() - age_us(older)
    shelf = _shelf(context, out)
    paths = directory.everything(shelf)
    old = paths[: max(len(paths) - keep, 0)] if keep is not None else paths
    found = [run for run in map(look, old) if before_us is None or _began_us(run) < before_us]
    for run in found:
        if _stays(run, force=force):
            sys.stdout.write(f"stays: {run.path.name}: {run.objection}\n")
    going = [run for run in found if not _stays(run, force=force)]
    if not going:
        sys.stdout.write(f"nothing to remove in {shelf}\n")
    elif dry_run:
        sys.stdout.writelines(f"would remove {line}\n" for line in _lines(going))
    else:
        _confirm(going, yes=yes)
        _remove(going)


def age_us(text: str) -> int:
    """A length of time.  Raises UsageError.

    >>> age_us("30d") // 86_400_000_000
    30
    """
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if found is None:
        raise UsageError(f"--older {text}: expected a number with s, m, h, d or w, like 30d")
    return int(found[1]) * _SPANS_S[found[2]] * 1_000_000


def _shelf(context: typer.Context, out: Path | None) -> Path:
    """Where runs lie: as said here, or before the name of this command, or in the configuration."""
    parent = context.parent
    return out or (words.OUT if parent is None else Path(parent.params.get("out") or words.OUT))


def _stays(run: Shelved, *, force: bool) -> bool:
    return run.running or bool(run.objection and not force)


def _began_us(run: Shelved) -> float:
    """The ledger's word, or the file's where it has none."""
    return run.started_us or run.path.stat().st_mtime * 1_000_000


def _lines(going: Iterable[Shelved]) -> list[str]:
    from loadgen.cli.shelf import size

    return [f"{run.path.name}  {run.word}, {size(run.bytes)}" for run in going]


def _confirm(going: Sequence[Shelved], *, yes: bool) -> None:
    """Ask.  Raises UsageError where nobody can answer, or says no."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"this removes {_runs(going)}, and there is no terminal to ask at: say --yes")
    sys.stdout.writelines(f"{line}\n" for line in _lines(going))
    if not typer.confirm(f"Remove {_runs(going)} for good?"):
        raise UsageError("not confirmed: nothing was removed")


def _runs(going: Sequence[Shelved]) -> str:
    from loadgen.cli.shelf import size
    from loadgen.reports.words import count

    return f"{count(len(going), 'run')} ({size(sum(run.bytes for run in going))})"


def _remove(going: Iterable[Shelved]) -> None:
    import shutil

    from loadgen.cli.order import identity_file
    from loadgen.control import socket_path
    from loadgen.launch.sandbox import SandboxProcess
    from loadgen.ledger.lock import RunLock
    from loadgen.ledger.store import FILE
    from loadgen.queues.token import state_directory

    for run in going:
        try:
            lock = RunLock(run.path)  # not under the feet of a resume that has begun meanwhile
            try:
                if sandbox := SandboxProcess.find(run.path):
                    sandbox.stop()
                (run.path / FILE).unlink()  # first: half a run is none
            finally:
                lock.release()
            shutil.rmtree(run.path)
        except OSError as error:
            raise LoadgenError(f"{run.path}: cannot remove it: {error.strerror}") from error
        identity_file(run.path.name).unlink(missing_ok=True)
        socket_path(run.path, os.environ).unlink(missing_ok=True)
        shutil.rmtree(state_directory(os.environ) / "spool" / run.path.name, ignore_errors=True)
        sys.stdout.write(f"removed {run.path.name}\n")
