"""Before a run writes to its target: is it allowed, and is it not too much?  `guard` decides; here we ask.

What was allowed once is kept in the state directory, a line HOST:PORT each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from loadgen.cli.config import read_rules
from loadgen.errors import RunDirectoryError, TargetNotAllowed
from loadgen.guard import Place, cap, is_allowed
from loadgen.queues.token import state_directory

FILE = "allowed_targets"


def admit(target: str, items: int | None, *, allow: bool) -> None:
    """Let a run of so many items at the target begin; `allow`: the user said --allow-target.

    `items`: None where nobody knows how many there will be.

    Raises TargetNotAllowed, and UsageError when the configuration cannot be read.
    """
    place, rules = Place.of(target), read_rules(Path.cwd())
    limit = cap(place, rules)
    if limit is not None and items is None:
        raise TargetNotAllowed(
            f"a run for a time has no fixed number of items, and the configuration allows {limit[1]} for "
            f'{place} (max_items of "{limit[0]}")'
        )
    if limit is not None and items is not None and items > limit[1]:
        pattern, most = limit
        raise TargetNotAllowed(
            f"the plan has {items} items for {place}, and the configuration allows {most} "
            f'(max_items of "{pattern}")'
        )
    if is_allowed(place, rules, _remembered()):
        return
    if not allow:
        _ask(place)
    _remember(place)


def _ask(place: Place) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise TargetNotAllowed(
            f"{place} is not on this machine, and nobody has allowed to write to it yet: say --allow-target "
            f'once, or put it into the configuration: allow_targets = ["{place}"]'
        )
    if not typer.confirm(f"{place} is not on this machine. Write to it, now and in later runs?", err=True):
        raise TargetNotAllowed(f"{place}: not allowed, so nothing was sent")


def _remembered() -> frozenset[str]:
    try:
        return frozenset(_file().read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):  # then nothing was allowed yet
        return frozenset()


def _remember(place: Place) -> None:
    """Add a line: two runs that do so at the same time both are kept."""
    path = _file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{place}\n")
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: cannot remember that {place} is allowed: {error.strerror}"
        ) from error


def _file() -> Path:
    return state_directory(os.environ) / FILE
