"""The tests of the lease machine, tested: each of these bugs is put into the code, and must be found.

A random search that finds nothing is worth what it would have found.  The seeds are fixed: a bug is
found after the same number of runs each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lease_model
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import run_state_machine_as_test
from lease_model import Replica, SimWorker, Violated, World
from test_lease_machine import LeaseRuns

from loadgen.queues.leases import Decisions, LeaseMachine, State
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.supply import KeyedSupply
from loadgen.sample import Presence

EXAMPLES = 2000
"""Several times what the rarest of them needs."""
SEED = 2
"""One by which all of them are found soon: the rarest within 200 runs."""
Patch = pytest.MonkeyPatch


def no_marks(patch: Patch) -> None:
    """Workers send without asking."""

    def arm(self: World, worker: Any, held: Any, count: int, fault: str = "") -> None:
        held.armed.update(range(len(held.order)))

    patch.setattr(World, "arm", arm)


def armed_items_are_requeued(patch: Patch) -> None:
    """at_most_once: what may have been sent is handed out again."""
    lose = LeaseMachine._lose

    def again(self: LeaseMachine, item: int, now_us: int, made: Decisions) -> None:
        if self._rules.delivery == "at_most_once":
            self._try_again(item, self._attempts[item] + 1, now_us, made)
        else:
            lose(self, item, now_us, made)

    patch.setattr(LeaseMachine, "_lose", again)


def stale_leases_are_armed(patch: Patch) -> None:
    """Whoever wants to arm is told that it is well."""
    arm = LeaseMachine.arm
    patch.setattr(LeaseMachine, "arm", lambda self, *args: arm(self, *args) or ())


def replies_come_before_the_commit(patch: Patch) -> None:
    """The entries of a call are committed with the next call."""
    submit, wait = Replica.submit, Replica.wait

    def commits_the_ones_before(self: Replica, entries: Any) -> Replica:
        kill, self.kill = self.kill, ""
        wait(self)
        self.kill = kill
        return submit(self, entries)

    def returns_at_once(self: Replica) -> None:
        if self.kill:
            raise lease_model.MasterKilled

    patch.setattr(Replica, "submit", commits_the_ones_before)
    patch.setattr(Replica, "wait", returns_at_once)


def batches_are_taken_twice(patch: Patch) -> None:
    """A report that was seen is counted again."""
    take_in = MemoryQueue.report

    def report(self: MemoryQueue, message: Any) -> Any:
        if message.session in self._workers:
            self._workers[message.session].seq = 0
        return take_in(self, message)

    patch.setattr(MemoryQueue, "report", report)


def late_results_are_dropped(patch: Patch) -> None:
    """Results of a lease that is over are thrown away."""
    settle = LeaseMachine.settle

    def of_live_leases(self: LeaseMachine, number: int, results: Any, now_us: int) -> Decisions:
        return settle(self, number, results if number in self._leases else (), now_us)

    patch.setattr(LeaseMachine, "settle", of_live_leases)


def stale_verdicts_are_accepted(patch: Patch) -> None:
    """What was found long ago decides about what was sent since."""
    verdict = LeaseMachine.verdict

    def any_lease(self: LeaseMachine, session: str, number: int, answers: Any, now_us: int) -> Any:
        made = verdict(self, session, number, answers, now_us)
        if made is not None:
            return made
        made = Decisions()
        for item, presence in answers:
            state = State(self._states[item])
            if state in (State.IN_DOUBT, State.VERIFYING) and presence is Presence.ABSENT:
                self._leave_holder(item, state, made)
                self._try_again(item, self._attempts[item] + 1, now_us, made)
        return made

    patch.setattr(LeaseMachine, "verdict", any_lease)


def keys_are_freed_by_any_item(patch: Patch) -> None:
    """The first item that is settled frees its key, not the last one."""

    def settled(self: KeyedSupply, item: int) -> None:
        self._out[self._lane_of[item]] = 0
        self._offer(self._lane_of[item])

    patch.setattr(KeyedSupply, "settled", settled)


def keys_are_freed_by_a_loss(patch: Patch) -> None:
    """A key is free as soon as its lease is lost, while the request may still be under way."""
    lose = LeaseMachine._lose

    def lets_go(self: LeaseMachine, item: int, now_us: int, made: Decisions) -> None:
        rules, self._rules = self._rules, replace(self._rules, quarantine_us=0)
        lose(self, item, now_us, made)
        self._rules = rules

    patch.setattr(LeaseMachine, "_lose", lets_go)


def attempt_numbers_are_used_again(patch: Patch) -> None:
    """The next try has the number of the last one."""
    again = LeaseMachine._try_again

    def same(self: LeaseMachine, item: int, attempt: int, *rest: Any) -> None:
        again(self, item, max(1, attempt - 1), *rest)

    patch.setattr(LeaseMachine, "_try_again", same)


def doubt_is_never_resolved(patch: Patch) -> None:
    """UNKNOWN stays UNKNOWN, whatever is heard of it."""
    settle = LeaseMachine._settle_one

    def unless_unknown(self: LeaseMachine, number: int, result: Any, *rest: Any) -> None:
        if self._states[result.item] != State.UNKNOWN:
            settle(self, number, result, *rest)

    patch.setattr(LeaseMachine, "_settle_one", unless_unknown)


def there_is_no_quarantine(patch: Patch) -> None:
    """What is in doubt is looked for while its request may be under way."""
    patch.setattr(lease_model, "QUARANTINE_S", 0.0)


def a_new_master_forgets_the_marks(patch: Patch) -> None:
    """What was armed before the restart counts as not sent."""
    reload = LeaseMachine._reload
    patch.setattr(
        LeaseMachine, "_reload", lambda self, record, now_us: reload(self, replace(record, armed=()), now_us)
    )


def a_new_master_forgets_what_it_acknowledged(patch: Patch) -> None:
    """Reports that were acknowledged before the restart are taken in again."""
    restored = Replica.restored

    def from_the_start(self: Replica) -> Any:
        known = restored(self)
        return replace(known, sessions={session: (n, 0) for session, (n, _) in known.sessions.items()})

    patch.setattr(Replica, "restored", from_the_start)


def a_new_master_answers_before_it_knows_its_leases(patch: Patch) -> None:
    """Reports that come before the step is open are acknowledged, and count for nothing."""
    patch.setattr(MemoryQueue, "_await_steps", lambda self, *indexes: None)


def a_new_master_takes_retried_items_for_held(patch: Patch) -> None:
    """An item that left its lease for a retry is thought to be armed there still."""
    patch.setattr(LeaseMachine, "_note", lambda self, *args: None)


def a_new_master_forgets_quarantines(patch: Patch) -> None:
    """Keys are free and doubts are looked into at once."""

    def at_once(self: LeaseMachine, past: Any, now_us: int) -> None:
        self._later = [(now_us, item) for item, s in enumerate(self._states) if s == State.IN_DOUBT]

    patch.setattr(LeaseMachine, "_resume_quarantines", at_once)


def workers_have_no_fence(patch: Patch) -> None:
    """A worker that was not heard of for long starts what it has armed."""
    patch.setattr(SimWorker, "may_start", lambda self, now_us: True)


# Each with the invariants of protocol.md that it breaks.
BUGS: dict[Callable[[Patch], None], set[int]] = {
    no_marks: {6},
    armed_items_are_requeued: {3, 5, 6},
    stale_leases_are_armed: {11},
    replies_come_before_the_commit: {6, 8},
    batches_are_taken_twice: {7, 12},
    late_results_are_dropped: {2},
    stale_verdicts_are_accepted: {9, 11},
    keys_are_freed_by_any_item: {3, 9},
    keys_are_freed_by_a_loss: {3, 10},
    attempt_numbers_are_used_again: {5, 6},
    doubt_is_never_resolved: {2},
    there_is_no_quarantine: {3, 10},
    a_new_master_forgets_the_marks: {3, 5, 6},
    a_new_master_forgets_what_it_acknowledged: {7, 12},
    a_new_master_answers_before_it_knows_its_leases: {2},
    a_new_master_takes_retried_items_for_held: {6},
    a_new_master_forgets_quarantines: {3, 10},
    workers_have_no_fence: {3, 10},
}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_seeded_bug_is_found(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """The state machine fails on it, and names an invariant that it breaks."""
    bug(monkeypatch)
    # hypothesis draws numbers that it finds in whatever modules are loaded: others in each pytest process
    monkeypatch.setattr(providers, "_get_local_constants", providers.Constants, raising=False)
    runs = 0

    @seed(SEED)
    class Counted(LeaseRuns):
        def __init__(self) -> None:
            super().__init__()
            nonlocal runs
            runs += 1

    found = settings(
        max_examples=EXAMPLES,
        stateful_step_count=12,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(Violated) as caught:
        run_state_machine_as_test(Counted, settings=found)
    assert caught.value.number in BUGS[bug], f"found after {runs - 1} runs: {caught.value}"
