"""One attempt at a time on one thread: execute it, judge it, say what came of it.

A runner has one Session, and so one connection and one login.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import requests

from loadgen.clock import Clock
from loadgen.errors import LoadgenError, one_line
from loadgen.execution.case import Case
from loadgen.execution.session import Session
from loadgen.sample import NOTHING, Outcome, Presence, Result, Sample
from loadgen.scenario import Call, Connections, Scenario, Step, Timed, where

LONGEST_ERROR = 500
"""Characters of an error message that travel."""
LONGEST_SHOWN = 60
"""Characters of a value in a message."""
_DONE = Outcome.DONE
"""Asking the enum, as is done here for each item, takes as long as calling a function."""
LARGEST_VALUE = 16 * 1024
"""Bytes of what a step returns; the manifest is for ids, not for bodies."""


class LeaseLost(BaseException):
    """The item is not this worker's any more: no call of it may follow.

    Not an Exception, so that a step's own `except Exception` does not take it for an answer.
    """


class Errand(msgspec.Struct, frozen=True, gc=False):
    """One item to be done."""

    step: Step[..., Any]
    item: int
    """Its index."""
    argument: Any
    """What the step's function is given: the index, or the data row."""
    attempt: int
    """The attempt to make."""
    due_us: int = 0
    """When it was meant to start, by the machine's monotonic clock; 0: as soon as a slot was free."""


def open_session(
    scenario: Scenario,
    target: str,
    options: Any,
    clock: Clock,
    on_sample: Callable[[Sample], None] | None = None,
    connections: Connections | None = None,
) -> Session:
    """A Session for the scenario's target that logs in by itself; `connections`: None for the scenario's."""
    session = Session(
        target,
        transport=scenario.transport,
        timeout=scenario.timeout,
        on_sample=on_sample,
        clock=clock,
        http=scenario.http,
        connections=connections or scenario.connections,
    )
    login = scenario.hooks.get("login")
    if login is not None:
        session.on_login = lambda http: login(http, options)
    return session


class Attempt(msgspec.Struct):
    """One try at an item, and what is known of it so far."""

    errand: Errand
    case: Case
    """What its calls came to."""
    start_us: int
    """Wall clock."""
    began_us: int
    """Monotonic clock."""
    value: object = None
    """What the step returned."""
    raised: BaseException | None = None
    """What the step raised."""


class Judge:
    """Says what an attempt came to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rng = random.Random()  # noqa: S311 - jitter between retries, nothing secret

    def judge(self, attempt: Attempt) -> Result:
        """The attempt has ended just now."""
        duration_us = self._clock.monotonic_us() - attempt.began_us
        errand, case = attempt.errand, attempt.case
        lag_us = max(attempt.began_us - errand.due_us, 0) if errand.due_us else 0
        if lag_us and case.samples:  # the calls after the first start when the one before has ended
            case.samples[0] = msgspec.structs.replace(case.samples[0], lag_us=lag_us)
        value, raised = NOTHING, attempt.raised
        if raised is None and attempt.value is not None:
            try:
                if isinstance(attempt.value, Timed):
                    took_us, attempt.value = attempt.value.microseconds, attempt.value.value
                    attempt.start_us = max(attempt.start_us + duration_us - took_us, 0)  # it ended just now
                    duration_us = took_us
                value = _packed(attempt.value)
            except Exception as unfit:
                raised = unfit
        if raised is None and case.failure is None:
            return Result(
                errand.item,
                errand.attempt,
                _DONE,
                attempt.start_us,
                duration_us,
                value=value,
                lag_us=lag_us,
            )
        causes = set() if raised is None else _causes(raised)
        if case.failure is not None:  # else all such answers were forgiven
            causes |= {sample.status for sample in case.samples if sample.error and sample.status}
        # An unexpected status comes first: what the step then raised follows from it.
        error = case.failure or ("" if raised is None else explain(raised))
        return Result(
            errand.item,
            errand.attempt,
            Outcome.FAILED,
            attempt.start_us,
            duration_us,
            error[:LONGEST_ERROR],
            retry_ms=self._retry_ms(errand, causes, case.retry_after),
            lag_us=lag_us,
        )

    def _retry_ms(self, errand: Errand, causes: set[str | int], retry_after: str | None) -> int | None:
        """When to try again, in milliseconds from now; None: not at all."""
        retry = errand.step.retry
        if retry is None or errand.attempt >= retry.attempts or causes.isdisjoint(retry.on):
            return None
        asked_s = _seconds(retry_after, self._clock.now_us())
        return round(retry.wait_s(errand.attempt, self._rng, asked_s) * 1000)


class Runner:
    """Executes items."""

    def __init__(self, options: Any, session: Session, clock: Clock, run: str = "") -> None:
        """`run`: the run's id, for the X-Loadgen-* headers; empty: send none."""
        self._options = options
        self._session = session
        self._clock = clock
        self._run = run
        self._judge = Judge(clock)

    def run(self, errand: Errand) -> tuple[Result, list[Sample]]:
        """Make one attempt at an item.  Raises LeaseLost."""
        session = self._session
        case = session.begin(errand.step.name, errand.item, errand.attempt, self._run)
        attempt = Attempt(errand, case, self._clock.now_us(), self._clock.monotonic_us())
        try:
            attempt.value = self._execute(errand)
        except LeaseLost:
            raise
        except BaseException as failure:  # a step that exits, or is cancelled, must not take its thread along
            attempt.raised = failure
        session.finish()
        return self._judge.judge(attempt), case.samples

    def look(self, errand: Errand) -> tuple[Presence, list[Sample]]:
        """Look for an item in doubt on the target, with the step's `exists`."""
        presence, attempt = self._look(errand)
        return presence, attempt.case.samples

    def _look(self, errand: Errand) -> tuple[Presence, Attempt]:
        """The same, and what kept it from being told."""
        step, session = errand.step, self._session
        case = session.begin(f"{step.name}.exists", errand.item, errand.attempt, self._run)
        attempt = Attempt(errand, case, self._clock.now_us(), self._clock.monotonic_us())
        presence = Presence.UNSURE
        try:
            if step.exists_function is not None:
                found = step.exists_function(session, errand.argument, self._options)
                presence = Presence.EXISTS if found else Presence.ABSENT
        except LeaseLost:
            raise
        except BaseException as failure:  # it could not be told: the item's outcome stays unknown
            attempt.raised = failure
        session.finish()
        return (Presence.UNSURE if case.failure else presence), attempt

    def _execute(self, errand: Errand) -> Any:
        step = errand.step
        if not step.described:
            value = step.function(self._session, errand.argument, self._options)
            if isinstance(value, Call):
                raise LoadgenError(
                    f"{where(step.function)}: {step.name} returned a Call, which nobody makes: "
                    "a step has an http parameter, or returns Calls"
                )
            return value
        return make_calls(self._session, described_calls(step, step.function(errand.argument, self._options)))


class TopUpRunner(Runner):
    """Looks for each item on the target first, and does only what is missing."""

    def run(self, errand: Errand) -> tuple[Result, list[Sample]]:
        """Make one attempt at an item, unless it is there.  Raises LeaseLost."""
        presence, looked = self._look(errand)
        if presence is Presence.ABSENT:
            result, samples = super().run(errand)
            return result, looked.case.samples + samples
        if presence is Presence.UNSURE:
            why = looked.case.failure or ("" if looked.raised is None else explain(looked.raised))
            looked.case.failure = f"it could not be looked for, so it was not done: {why}"
        result = self._judge.judge(looked)
        return msgspec.structs.replace(result, found=presence is Presence.EXISTS), looked.case.samples


def described_calls(step: Step[..., Any], returned: Any) -> Sequence[Call]:
    """The calls that a described step returned.  Raises LoadgenError for anything else."""
    if type(returned) is Call:
        return (returned,)
    calls = (returned,) if isinstance(returned, Call) else returned
    if isinstance(calls, list | tuple) and calls and all(isinstance(call, Call) for call in calls):
        return calls
    shown = " ".join(repr(returned).split())
    raise LoadgenError(
        f"{where(step.function)}: {step.name} has no http parameter, so it must return a Call, "
        f"or several in a list, not {shown[:LONGEST_SHOWN]}"
    )


def make_calls(session: Session, calls: Sequence[Call]) -> object:
    """Make described calls in order, until one is refused; returns what the last check returned."""
    value: object = None
    for call in calls:
        response = session.request(
            call.method,
            call.url,
            params=call.params,
            data=call.data,
            json=call.json,
            headers=call.headers,
            timeout=call.timeout,
            name=call.name,
            expect=call.expect,
        )
        if session.failure is not None:
            break
        if call.check is not None:
            value = call.check(response)
    return value


def explain(error: BaseException) -> str:
    """One line for people: the message, with the kind of error where the message alone says little."""
    text = one_line(error)
    if isinstance(error, LoadgenError | requests.RequestException) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _causes(error: BaseException) -> set[str | int]:
    """What a Retry may name: `connect`, `timeout`, or a status."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return {error.response.status_code}
    causes: set[str | int] = set()
    if isinstance(error, requests.Timeout):
        causes.add("timeout")
    if isinstance(error, requests.ConnectionError):
        causes.add("connect")
    return causes


def _seconds(retry_after: str | None, now_us: int) -> float | None:
    """What Retry-After asks for (RFC 9110, 10.2.3): seconds, or a date; None: nothing that makes sense."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now_us / 1_000_000)


def _packed(value: object) -> msgspec.Raw:
    if value is None:
        return NOTHING
    try:
        if not isinstance(value, str | int | float):
            msgspec.json.encode(value)  # which knows fewer keys than MessagePack does
        packed = msgspec.msgpack.encode(value)
    except (TypeError, OverflowError) as error:
        raise LoadgenError(f"the step returned what cannot go into the manifest: {error}") from error
    if len(packed) > LARGEST_VALUE:
        raise LoadgenError(
            f"the step returned {len(packed):,} bytes for the manifest; at most {LARGEST_VALUE:,}"
        )
    return msgspec.Raw(packed)
