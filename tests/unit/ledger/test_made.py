"""What a run made, as verify and teardown are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_values import START_US, a_report, a_result, a_run, a_step, a_worker
from msgspec.structs import replace

from loadgen.errors import ScenarioError
from loadgen.ledger.made import LedgerMade
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.plan import Chunk
from loadgen.record import Armed, Decided, Entry, Fate, Granted, LeaseEnded, OpenItem, SetUp
from loadgen.sample import Outcome
from loadgen.scenario import Made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    it = Ledger(tmp_path, started_us=START_US)
    it.begin(a_run(), [a_step(0, "create", 10), a_step(1, "run", 5)])
    yield it
    it.close()


def made(ledger: Ledger, *entries: Entry) -> Iterator[Made]:
    ledger.submit([a_worker(), *entries]).wait()
    with Reader(ledger.path.parent) as reader:
        yield LedgerMade(reader, ["create", "run", "schedule"])


def test_what_the_steps_returned_comes_in_the_order_of_the_items(ledger: Ledger) -> None:
    """Only of items that are done, and nothing for those that returned nothing."""
    results = [
        a_result(2, value="c"),
        a_result(0, value={"id": 7}),
        a_result(1),
        a_result(3, outcome=Outcome.FAILED),
    ]
    for it in made(ledger, a_report(results)):
        assert it.steps == ("create", "run")
        assert list(it("create")) == [{"id": 7}, "c"]
        assert list(it.failed("create")) == [3]
        assert list(it.unknown("create")) == []
        assert list(it("run")) == []


def test_what_setup_returned(ledger: Ledger) -> None:
    """None until it did."""
    for it in made(ledger):
        assert it.setup is None
    for it in made(ledger, SetUp(b'{"projects": ["a"]}')):
        assert it.setup == {"projects": ["a"]}


def test_what_may_have_been_made(ledger: Ledger) -> None:
    """Unknown outcomes, doubts, what waited for another try, was armed when the run broke off, or was found.

    Each once, in order.
    """
    entries = [
        Decided(0, [Fate(9, Outcome.UNKNOWN, 1, "its worker was lost")], [OpenItem(7, 1, 1, in_doubt=True)]),
        Decided(0, [], [OpenItem(8, 2, 0, in_doubt=False)]),  # waits for its retry: it was sent before
        Decided(0, [], [OpenItem(5, 1, 1, in_doubt=False)]),  # given back
        Decided(0, [Fate(6, Outcome.DONE, 1, "found on the target")], []),
        a_report([replace(a_result(3, 2), found=True), replace(a_result(4), found=True)]),  # 4: there before
        Granted(1, 1, Chunk(0, 0, 5), verifying=False),
        Armed(1, 0, 3),
        a_report([a_result(1, value="b")]),
        Granted(2, 1, Chunk(0, 5, 6), verifying=False),
        Armed(2, 0, 1),
        LeaseEnded(2),
    ]
    for it in made(ledger, *entries):
        assert list(it.unknown("create")) == [0, 2, 3, 6, 7, 8, 9]
        assert list(it.unknown("run")) == []


def test_a_step_that_the_run_did_not_have_made_nothing_and_a_typo_is_told(ledger: Ledger) -> None:
    """A teardown that asks for the wrong step must not pass for one with nothing to do."""
    for it in made(ledger):
        assert (list(it("schedule")), list(it.unknown("schedule")), list(it.failed("schedule"))) == (
            [],
            [],
            [],
        )
        with pytest.raises(ScenarioError, match="no step 'creat'; there are create, run, schedule"):
            it("creat")
