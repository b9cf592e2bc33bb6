"""Whether a run did what it promised: the one place where an outcome becomes an exit code.  Pure."""

from __future__ import annotations

from loadgen.errors import ExitCode
from loadgen.record import ItemCounts, Verified
from loadgen.reports.schema import Verdict


def judge(counts: ItemCounts, verified: Verified | None, incomplete: str | None = None) -> Verdict:
    """The verdict on a run's items, its verification, and why it stopped early (None: it did not).

    The exit code says what to do first: resume (4), look at the items (3), look at the target (5).
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
    if unfinished:
        code = ExitCode.INCOMPLETE
    elif spoiled:
        code = ExitCode.ITEMS
    elif mismatch:
        code = ExitCode.VERIFICATION
    return Verdict(code is ExitCode.OK, int(code), (*unfinished, *spoiled, *mismatch))


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
