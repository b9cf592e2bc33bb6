"""The table of verdicts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from loadgen.errors import ExitCode
from loadgen.record import ItemCounts, Verified
from loadgen.reports.schema import ThresholdSummary, Verdict
from loadgen.reports.verdict import cross, judge, under_way

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


GATE = ThresholdSummary("p95<1s", 1.5, ok=False, unit="s", reason="it was 1.5s")
UNSEEN = ThresholdSummary("calls.x.p95<1s", None, ok=False, unit="s", reason="no such call was made")


@pytest.mark.parametrize(
    ("counts", "verified", "incomplete", "stopped_with", "code"),
    [
        (DONE, GOOD, None, 4, ExitCode.THRESHOLD),
        (FAILED, GOOD, None, 4, ExitCode.THRESHOLD),
        (FAILED, BAD, None, 4, ExitCode.THRESHOLD),
        (DONE, BAD, None, 4, ExitCode.VERIFICATION),
        (PENDING, None, None, 4, ExitCode.INCOMPLETE),
        (PENDING, None, "stopped by SIGINT", 4, ExitCode.INCOMPLETE),
        (PENDING, None, "stopped by a threshold", 99, ExitCode.THRESHOLD),
        (PENDING, None, "stopped by --fail-fast", 3, ExitCode.THRESHOLD),
    ],
)
def test_a_crossed_threshold_gives_way_to_what_is_worse(counts, verified, incomplete, stopped_with, code):
    verdict = cross(judge(counts, verified, incomplete, stopped_with), [GATE])
    assert verdict.exit_code == code
    assert not verdict.ok
    assert verdict.reasons[-1] == "threshold crossed: p95<1s: it was 1.5s"


def test_what_was_not_seen_yet_is_no_crossing_in_a_run_that_goes_on():
    assert cross(judge(PENDING, None, "stopped", 3), [UNSEEN]).exit_code == ExitCode.ITEMS
    assert cross(judge(DONE, None), [UNSEEN]).exit_code == ExitCode.THRESHOLD


def test_untrue_times_are_worse_than_a_crossed_threshold():
    assert cross(Verdict(ok=False, exit_code=1), [GATE]).exit_code == ExitCode.INTERNAL


def test_what_stopped_the_run_is_said_once():
    verdict = cross(judge(PENDING, None, "stopped by a threshold: p95<1s: it is 2s", 99), [GATE])
    assert len([reason for reason in verdict.reasons if "p95" in reason]) == 1


def test_one_item():
    assert judge(ItemCounts(planned=1), None).reasons == ("1 of 1 item is pending",)


def test_a_run_that_goes_on_has_no_verdict_yet_but_says_how_far_it_is():
    counts = ItemCounts(planned=10_000, done=3_388, failed=12)
    verdict = under_way(counts, "by hand")
    assert verdict.reasons == ("3,400 of 10,000 settled so far, 12 failed, paused by hand",)
    assert verdict.running
    assert not verdict.ok
    assert not verdict.resumable, "nobody can resume it while it runs"
    assert under_way(counts, timed=True).reasons == ("3,400 settled so far, 12 failed",)


def test_what_is_crossed_while_it_goes_on_is_crossed_so_far():
    verdict = cross(under_way(PENDING), [GATE, replace(GATE, value=None, reason="nothing yet")])
    assert verdict.running
    assert verdict.reasons[1:] == ("threshold crossed so far: p95<1s: it was 1.5s",)
