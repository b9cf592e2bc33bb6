"""Whether a run did what it promised: the one place where an outcome becomes an exit code.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec.structs import replace

from loadgen.errors import ExitCode
from loadgen.record import ItemCounts, Verified
from loadgen.reports.schema import ThresholdSummary, Verdict

WORDS: Mapping[int, str] = MappingProxyType(
    {
        ExitCode.OK: "OK",
        ExitCode.INTERNAL: "INVALID",
        ExitCode.ITEMS: "FAILED",
        ExitCode.INCOMPLETE: "INCOMPLETE",
        ExitCode.VERIFICATION: "MISMATCH",
        ExitCode.THRESHOLD: "THRESHOLD",
    }
)
"""By exit code: what a verdict is called."""
RUNNING = "RUNNING"
"""What stands there while there is none yet."""


def judge(
    counts: ItemCounts,
    verified: Verified | None,
    incomplete: str | None = None,
    stopped_with: int = ExitCode.INCOMPLETE,
) -> Verdict:
    """The verdict on a run's items, its verification, and why it stopped early (None: it did not).

    The exit code says what to do first: resume (4), look at the items (3), look at the target (5).
    `stopped_with`: that of a run which was stopped on its user's order (--fail-fast, a threshold's abort).
    """
    of = f"of {_number(counts.planned, 'item')}"
    unfinished = [incomplete.strip().rstrip(".")] if incomplete is not None else []
    if counts.pending:
        unfinished.append(f"{counts.pending} {of} {_is(counts.pending)} pending")
    spoiled = [
        text
        for count, text in (
            (counts.failed, f"{counts.failed} {of} failed"),
            (counts.unknown, f"{counts.unknown} {of} {_have(counts.unknown)} an unknown outcome"),
            (counts.dropped, f"{counts.dropped} {of} {_was(counts.dropped)} dropped"),
            (counts.cancelled, f"{counts.cancelled} {of} {_was(counts.cancelled)} cancelled"),
        )
        if count
    ]
    mismatch = [] if verified is None or verified.ok else [_mismatch(verified)]
    code = ExitCode.OK
    if incomplete is not None:
        code = ExitCode(stopped_with)
    elif unfinished:
        code = ExitCode.INCOMPLETE
    elif spoiled:
        code = ExitCode.ITEMS
    elif mismatch:
        code = ExitCode.VERIFICATION
    reasons = (*unfinished, *spoiled, *mismatch)
    return Verdict(code is ExitCode.OK, int(code), reasons, resumable=bool(unfinished))


def under_way(counts: ItemCounts, paused: str = "", *, timed: bool = False) -> Verdict:
    """What there is to say of a run that still goes on: how far it is.

    `paused`: by whom; `timed`: it goes on for a time, so nobody knows how many items that will be.
    """
    of = "" if timed else f"of {counts.planned:,} "
    troubles = [
        f"{number:,} {kind}"
        for kind in ("failed", "unknown", "dropped", "cancelled")
        if (number := getattr(counts, kind))
    ]
    held = [f"paused {paused}"] if paused else []
    text = ", ".join([f"{counts.settled:,} {of}settled so far", *troubles, *held])
    return Verdict(ok=False, exit_code=int(ExitCode.INCOMPLETE), reasons=(text,), running=True)


def cross(verdict: Verdict, thresholds: Sequence[ThresholdSummary]) -> Verdict:
    """The verdict with its thresholds.

    A crossed one makes the exit code 99 where all was well or items failed: `failed<1%` could not be told
    by it otherwise.  What is worse stays: untrue times (1), a run that is not complete (4), a target that
    does not hold what it was told was done (5).  A run that goes on has no verdict on what it has not seen.
    """
    unfinished = verdict.resumable or verdict.running
    crossed = [each for each in thresholds if not each.ok and not (unfinished and each.value is None)]
    if not crossed:
        return verdict
    gives_way = verdict.exit_code in (ExitCode.OK, ExitCode.ITEMS)
    so_far = " so far" if verdict.running else ""
    reasons = [
        f"threshold crossed{so_far}: {each.expr}: {each.reason}"
        for each in crossed
        if not any(f": {each.expr}: " in f"{reason}: " for reason in verdict.reasons)
    ]
    return replace(
        verdict,
        ok=False,
        exit_code=int(ExitCode.THRESHOLD) if gives_way else verdict.exit_code,
        reasons=(*verdict.reasons, *reasons),
    )


def _mismatch(verified: Verified) -> str:
    wrong = [
        f"{count} {what}"
        for count, what in ((verified.missing, "missing"), (verified.unexpected, "unexpected"))
        if count
    ]
    found = f"found {verified.found} of {verified.expected} expected"
    return f"the target does not hold what it should: {', '.join([found, *wrong])}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
