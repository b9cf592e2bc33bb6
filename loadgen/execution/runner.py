"""One item at a time on one thread: execute it, judge it, say what came of it.

A runner has one Session, and so one connection and one login.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import requests

from loadgen.clock import Clock
from loadgen.errors import LoadgenError
from loadgen.execution.session import Session
from loadgen.sample import NOTHING, Outcome, Result, Sample
from loadgen.scenario import Call, Scenario, Step

LONGEST_ERROR = 500
"""Characters of an error message that travel."""
LARGEST_VALUE = 16 * 1024
"""Bytes of what a step returns; the manifest is for ids, not for bodies."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One item to be done."""

    step: Step[..., Any]
    item: int
    """Its index."""
    argument: Any
    """What the step's function is given: the index, or the data row."""
    attempt: int
    """The first attempt to make."""


def open_session(
    scenario: Scenario,
    target: str,
    options: Any,
    clock: Clock,
    on_sample: Callable[[Sample], None] | None = None,
) -> Session:
    """A Session for the scenario's target that logs in by itself."""
    session = Session(
        target, transport=scenario.transport, timeout=scenario.timeout, clock=clock, on_sample=on_sample
    )
    login = scenario.hooks.get("login")
    if login is not None:
        session.on_login = lambda http: login(http, options)
    return session


class Runner:
    """Executes items."""

    def __init__(self, options: Any, session: Session, clock: Clock, run: str = "") -> None:
        """`run`: the run's id, for the X-Loadgen-* headers; empty: send none."""
        self._options = options
        self._session = session
        self._clock = clock
        self._run = run
        self._rng = random.Random()  # noqa: S311 - jitter between retries, nothing secret

    def run(self, errand: Errand) -> Iterator[tuple[Result, list[Sample]]]:
        """Do an item, and again as its step's Retry says; yields each attempt as it ends."""
        attempt, last = errand.attempt, errand.attempt
        retry = errand.step.retry
        if retry is not None:
            last = max(errand.attempt, retry.attempts)
        while True:
            result, samples, causes = self._attempt(errand, attempt)
            again = (
                retry is not None
                and attempt < last
                and result.outcome is Outcome.FAILED
                and not causes.isdisjoint(retry.on)
            )
            yield (msgspec.structs.replace(result, final=False) if again else result), samples
            if not again or retry is None:
                return
            self._clock.sleep(retry.wait_s(attempt, self._rng))
            attempt += 1

    def _attempt(self, errand: Errand, attempt: int) -> tuple[Result, list[Sample], set[str | int]]:
        session = self._session
        session.begin(errand.step.name, errand.item, attempt, self._headers(errand.item, attempt))
        start_us, began_us = self._clock.now_us(), self._clock.monotonic_us()
        error, value, causes = "", NOTHING, set[str | int]()
        try:
            value = _packed(self._execute(errand))
        except Exception as failure:
            error, causes = explain(failure), _causes(failure)
        duration_us = self._clock.monotonic_us() - began_us
        samples, refused = session.finish()
        if not error and refused:
            error = refused
        if error:
            causes |= {sample.status for sample in samples if sample.error and sample.status}
        outcome = Outcome.FAILED if error else Outcome.DONE
        result = Result(
            errand.item,
            attempt,
            outcome,
            start_us,
            duration_us,
            error[:LONGEST_ERROR],
            value if not error else NOTHING,
        )
        return result, samples, causes

    def _execute(self, errand: Errand) -> Any:
        step = errand.step
        if not step.described:
            return step.function(self._session, errand.argument, self._options)
        call = step.function(errand.argument, self._options)
        if not isinstance(call, Call):
            raise LoadgenError(f"{step.name} has no http parameter, so it must return a Call, not {call!r}")
        return make_call(self._session, call)

    def _headers(self, item: int, attempt: int) -> dict[str, str]:
        if not self._run:
            return {}
        return {
            "X-Loadgen-Run": self._run,
            "X-Loadgen-Item": str(item),
            "X-Loadgen-Attempt": str(attempt),
        }


def make_call(session: Session, call: Call) -> object:
    """Make a described call; returns what its check returns."""
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
    return call.check(response) if call.check is not None else None


def explain(error: BaseException) -> str:
    """One line for people: the message, with the kind of error where the message alone says little."""
    text = " ".join(str(error).split())
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


def _packed(value: object) -> msgspec.Raw:
    if value is None:
        return NOTHING
    try:
        packed = msgspec.msgpack.encode(value)
    except (TypeError, OverflowError) as error:
        raise LoadgenError(f"the step returned what cannot go into the manifest: {error}") from error
    if len(packed) > LARGEST_VALUE:
        raise LoadgenError(
            f"the step returned {len(packed):,} bytes for the manifest; at most {LARGEST_VALUE:,}"
        )
    return msgspec.Raw(packed)
