"""One item of each step, done as a worker would do it, and told line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from loadgen import options as scenario_options
from loadgen.cli.prepare import Prepared
from loadgen.clock import SystemClock
from loadgen.errors import TargetDown
from loadgen.execution.exchange import Mask, Recorder, told
from loadgen.execution.runner import Errand, Runner, explain, open_session
from loadgen.execution.session import Session
from loadgen.master import reach
from loadgen.plan import StepPlan
from loadgen.sample import NO_ITEM, Outcome

RUN = "check"
"""What its calls say in X-Loadgen-Run."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How the first item of a step went."""

    plan: StepPlan
    seconds: float
    bytes_out: int
    bytes_in: int


class Rehearsal:
    """Login, setup, and item 0 of each step."""

    def __init__(self, prepared: Prepared, target: str) -> None:
        self._prepared = prepared
        self._target = target
        self._mask = Mask(scenario_options.secrets(prepared.options))
        self._clock = SystemClock()
        self.done: list[Rehearsed] = []
        self.failures: list[str] = []
        """What failed, in words; empty: nothing did."""

    def lines(self) -> Iterator[str]:
        """Do it, and tell how it goes."""
        try:
            reach(self._target)
        except TargetDown as error:
            self.failures.append(str(error))
            return
        scenario, options = self._prepared.loaded.scenario, self._prepared.options
        with open_session(scenario, self._target, options, self._clock) as session:
            recorder = session.observe(Recorder)
            for hook in ("login", "setup"):
                if hook in scenario.hooks:
                    yield from self._hook(hook, session, recorder)
                if self.failures:
                    return
            for plan in self._prepared.work.plan.steps:
                yield from self._item(plan, session, recorder)

    def _hook(self, name: str, session: Session, recorder: Recorder) -> Iterator[str]:
        session.begin(name, NO_ITEM, 1)
        value, problem = None, ""
        try:
            if name == "login":
                session.log_in()
            else:
                value = self._prepared.loaded.scenario.hooks[name](session, self._prepared.options)
                msgspec.json.encode(value)  # as a run keeps it
        except (Exception, SystemExit) as error:
            problem = explain(error)
        _, refused = session.finish()
        yield from self._told(name, recorder, refused or problem, value)

    def _item(self, plan: StepPlan, session: Session, recorder: Recorder) -> Iterator[str]:
        if not plan.items:
            yield from ("", f"{plan.name}: no items")
            return
        rows = self._prepared.work.rows[plan.index]
        step = self._prepared.loaded.step(plan.name)
        runner = Runner(self._prepared.options, session, self._clock, RUN)
        result, samples = runner.run(Errand(step, 0, rows[0] if rows else 0, 1))
        if result.error.startswith(KeyboardInterrupt.__name__):  # a runner takes it for the step's own
            raise KeyboardInterrupt
        sizes = sum(sample.bytes_out for sample in samples), sum(sample.bytes_in for sample in samples)
        self.done.append(Rehearsed(plan, result.duration_us / 1_000_000, *sizes))
        error = result.error if result.outcome is Outcome.FAILED else ""
        yield from self._told(f"{plan.name}, item 0", recorder, error, msgspec.msgpack.decode(result.value))

    def _told(self, what: str, recorder: Recorder, error: str, value: Any) -> Iterator[str]:
        """Each exchange so far, and what came of them."""
        yield from ("", what)
        for exchange in recorder.exchanges:
            yield from (f"  {line}" for line in told(exchange, self._mask))
        recorder.exchanges.clear()
        if error:
            self.failures.append(f"{what}: {self._mask.text(error)}")
            yield f"  failed: {self._mask.text(error)}"
        else:
            yield f"  returned {self._mask.text(_shown(value))}"


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, default=repr, ensure_ascii=False)
    except (TypeError, ValueError):  # keys that JSON does not have
        return repr(value)
