"""The original story's job, on a sandbox that the scenario's target describes."""

from __future__ import annotations

from collections import Counter

from harness import REPO, Cli

MAMMUT = REPO / "scenarios" / "mammut_jobs.py"
COSTS = "front-base-cost=1&front-cost-per-job=0.1"


def test_every_job_is_created_once_although_answers_are_lost(cli: Cli) -> None:
    """One in seven is, and as many calls are answered 500."""
    target = f"sandbox:azkaban?front=create-job&{COSTS}&drop-rate=0.15&fail-rate=0.15&seed=1"
    ended = cli.run(MAMMUT, "--target", target, "--set", "jobs=40", "--set", "projects=4")
    assert (ended.code, ended.err) == (0, ""), ended
    assert "40 of 40 expected found" in ended.out
    summary = cli.summary()
    assert summary["items"]["done"] == 44
    statuses = Counter(line["status"] for line in cli.access_log() if line["path"] == "/mammut/jobs")
    assert statuses[None] >= 1
    assert statuses[500] >= 1
    assert statuses.total() == 40 + statuses[500] + statuses[None], "each was asked for until it was there"
