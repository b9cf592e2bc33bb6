"""The table of verdicts."""

from __future__ import annotations

import pytest

from loadgen.errors import ExitCode
from loadgen.record import ItemCounts, Verified
from loadgen.reports.verdict import judge

GOOD = Verified(10, 10, 0, 0)
BAD = Verified(10, 8, 2, 1)
DONE = ItemCounts(planned=10, done=10)
FAILED = ItemCounts(planned=10, done=9, failed=1)
UNKNOWN = ItemCounts(planned=10, done=8, unknown=2)
DROPPED = ItemCounts(planned=10, done=7, dropped=3)
PENDING = ItemCounts(planned=10, done=5, failed=1)


@pytest.mark.parametrize(
    ("counts", "verified", "incomplete", "code"),
    [
        (DONE, GOOD, None, ExitCode.OK),
        (DONE, None, None, ExitCode.OK),
        (ItemCounts(), None, None, ExitCode.OK),
        (FAILED, GOOD, None, ExitCode.ITEMS),
        (UNKNOWN, None, None, ExitCode.ITEMS),
        (DROPPED, None, None, ExitCode.ITEMS),
        (ItemCounts(planned=1, cancelled=1), None, None, ExitCode.ITEMS),
        (PENDING, None, None, ExitCode.INCOMPLETE),
        (DONE, None, "nothing answers at the target", ExitCode.INCOMPLETE),
        (DONE, BAD, None, ExitCode.VERIFICATION),
        (FAILED, BAD, None, ExitCode.ITEMS),
        (PENDING, BAD, None, ExitCode.INCOMPLETE),
        (DONE, BAD, "stopped", ExitCode.INCOMPLETE),
        (DONE, Verified(10, 9, 0, 0), None, ExitCode.VERIFICATION),
    ],
)
def test_the_exit_code_says_what_to_do_first(counts, verified, incomplete, code):
    verdict = judge(counts, verified, incomplete)
    assert verdict.exit_code == code
    assert verdict.ok is (code == ExitCode.OK)
    assert bool(verdict.reasons) is not verdict.ok


def test_every_reason_is_given():
    counts = ItemCounts(planned=10_000, done=9_950, failed=12, unknown=1, dropped=2, cancelled=3)
    assert judge(counts, BAD, "stopped by Ctrl-C.").reasons == (
        "stopped by Ctrl-C",
        "32 of 10000 items are pending",
        "12 of 10000 items failed",
        "1 of 10000 items has an unknown outcome",
        "2 of 10000 items were dropped",
        "3 of 10000 items were cancelled",
        "the target does not hold what it should: found 8 of 10 expected, 2 missing, 1 unexpected",
    )


def test_one_item():
    assert judge(ItemCounts(planned=1), None).reasons == ("1 of 1 item is pending",)
