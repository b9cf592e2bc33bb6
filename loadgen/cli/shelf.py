"""A run directory as `loadgen runs` shows it, and why it had better not be removed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from loadgen.cli.finish import verdict_now
from loadgen.errors import LoadgenError
from loadgen.ledger.lock import RunLock
from loadgen.ledger.reader import Reader
from loadgen.record import ItemCounts, RunFacts
from loadgen.reports.advice import named
from loadgen.reports.schema import Items, Verdict
from loadgen.reports.summary import total
from loadgen.reports.verdict import WORDS

_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A run directory."""

    path: Path
    bytes: int
    """All of its files."""
    running: bool = False
    """A master holds it."""
    error: str = ""
    """Why its ledger cannot be read; what follows is empty then."""
    facts: RunFacts | None = None
    started_us: int = 0
    counts: ItemCounts = field(default_factory=ItemCounts)
    verdict: Verdict | None = None
    rate_per_s: float | None = None
    """That of the report, of the step with the most items; None: there is no report, or it is running."""
    cleaned: bool = False
    clean_begun: bool = False
    """Then it cannot be resumed any more."""

    @property
    def word(self) -> str:
        """The verdict, in a word."""
        if self.verdict is None:
            return "unreadable"
        return "running" if self.running else WORDS.get(self.verdict.exit_code, "ERROR")

    @property
    def objection(self) -> str:
        """Why it should stay; empty when nothing is lost with it but its figures."""
        if self.facts is None or self.verdict is None:
            return self.error
        if self.running:
            return "it is running"
        name = named(self.facts.id, self.path)
        if self.verdict.resumable and not self.clean_begun:
            return f"it can be resumed ({self.counts.pending} items pending): loadgen resume {name}"
        made = self.counts.done + self.counts.failed + self.counts.unknown
        if self.facts.undoable and made and not self.cleaned:
            return f"what it made on {self.facts.target} is still there: loadgen clean {name}"
        return ""

    def told(self) -> dict[str, Any]:
        """For machines."""
        facts = self.facts
        if facts is None or self.verdict is None:
            return {
                "id": self.path.name,
                "directory": str(self.path),
                "bytes": self.bytes,
                "error": self.error,
            }
        started = datetime.datetime.fromtimestamp(self.started_us // 1000 / 1000, datetime.UTC)
        return {
            "id": facts.id,
            "directory": str(self.path),
            "bytes": self.bytes,
            "started_at": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "scenario": facts.scenario,
            "target": facts.target,
            "running": self.running,
            "verdict": msgspec.to_builtins(self.verdict),
            "items": msgspec.to_builtins(Items.of(self.counts)),
            "rate_per_s": self.rate_per_s,
            "cleaned": self.cleaned,
        }


def look(path: Path) -> Shelved:
    """What there is to say about the run in a directory; never raises for a damaged one."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    running = RunLock.is_held(path)
    try:
        with Reader(path) as reader:
            facts, counts, verdict = reader.facts(), total(reader), verdict_now(reader)
            phases = reader.phases()
    except LoadgenError as error:
        return Shelved(path=path, bytes=size, running=running, error=str(error))
    kept = None if running else _kept(path)
    return Shelved(
        path=path,
        bytes=size,
        running=running,
        facts=facts,
        started_us=phases.started_us,
        counts=counts,
        verdict=verdict if verdict.resumable or kept is None else kept.verdict,
        rate_per_s=None if kept is None else kept.rate_per_s,
        cleaned=phases.cleaned_us is not None,
        clean_begun=(phases.cleaned_us or phases.clean_started_us) is not None,
    )


class _Step(msgspec.Struct):
    items: Items
    rate_per_s: float | None


class _Kept(msgspec.Struct):
    verdict: Verdict
    steps: tuple[_Step, ...] = ()

    @property
    def rate_per_s(self) -> float | None:
        most = max(self.steps, key=lambda step: step.items.planned, default=None)
        return None if most is None else most.rate_per_s


def _kept(path: Path) -> _Kept | None:
    """What summary.json says: its verdict knows of thresholds and --strict as well."""
    try:
        return msgspec.json.decode((path / "summary.json").read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None


def size(number: float) -> str:
    """Bytes for people.

    >>> size(17), size(1234), size(34_567_890)
    ('17 B', '1.2 kB', '35 MB')
    """
    place = 0
    while number >= 999.5 and place + 1 < len(_UNITS):  # noqa: PLR2004 - rounds to a thousand
        number, place = number / 1000, place + 1
    return f"{number:.1f} {_UNITS[place]}" if place and number < 9.95 else f"{number:.0f} {_UNITS[place]}"  # noqa: PLR2004
