"""What a user writes: options, login, setup, steps, verify, teardown.

A scenario is a plain Python file with one `Scenario` in it.  The decorators only note the functions;
nothing runs on import.  How such a file is found, checked and explained is in `loader`.
"""

from __future__ import annotations

import inspect
import math
import random
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, get_args

import msgspec

from loadgen.breaker import parse_breaker
from loadgen.errors import ScenarioError
from loadgen.feed import Feed
from loadgen.plan import Delivery
from loadgen.steering import Limits, parse_rate
from loadgen.thresholds import parse
from loadgen.warmup import NO_WARM_UP, WarmUp
from loadgen.warmup import parse as parse_warm_up

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

Items: TypeAlias = int | Sequence[Any] | Feed
"""How many items a step has: a count, or rows (one item a row)."""

Transport: TypeAlias = Literal["curl", "requests"]

Http: TypeAlias = Literal["1.1", "2", "3", "auto"]
"""Which HTTP is spoken: that and no other; auto: HTTP/2 where the TLS handshake agrees on it, else 1.1."""

Connections: TypeAlias = Literal["keep", "new"]
"""Keep a connection from call to call, or open a new one for each."""

LONGEST_S = 10 * 365 * 24 * 3600
"""Ten years: no item takes longer."""
SCRIPTED = ("http", "item", "options")
DESCRIBED = ("item", "options")
HOOK = ("http", "options")
INFORMED = ("http", "options", "made")
"""What verify and teardown may take instead, to be told what the run made."""


@dataclass(frozen=True)
class NoOptions:
    """The options of a scenario that has none."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an item again, as a new attempt that is counted and reported.

    Waits `backoff_s` before the second attempt, twice as long before each next one, never longer than
    `max_backoff_s`; the wait is spread over 50 to 100 % of that, so that items do not come back in step.
    """

    attempts: int
    """Attempts in all, the first included."""
    on: Collection[str | int] = ("connect", "timeout", 429, 502, 503, 504)
    """What is worth another try: `connect`, `timeout`, and HTTP statuses."""
    backoff_s: float = 0.5
    """Before the second attempt, in seconds."""
    max_backoff_s: float = 30.0
    """The longest wait, in seconds; a longer Retry-After is cut to it."""
    budget: float = 0.2
    """Retries may be at most this share of the step's attempts so far (ten are always allowed): when
    everything fails, trying everything again only makes it worse."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ScenarioError(f"Retry(attempts={self.attempts}): at least 1 is needed")

    def wait_s(self, attempt: int, rng: random.Random, retry_after_s: float | None = None) -> float:
        """How long to wait after `attempt` (from 1), in seconds.

        `retry_after_s`: what the target asked for; it is waited for at least, up to `max_backoff_s`.
        """
        longest = min(self.backoff_s * 2.0 ** min(attempt - 1, 1000), self.max_backoff_s)
        wait = longest * rng.uniform(0.5, 1.0)
        return wait if retry_after_s is None else min(max(wait, retry_after_s), self.max_backoff_s)


class Call(msgspec.Struct, frozen=True):
    """A request described instead of made: what a step without `http` returns."""

    method: str
    """GET, POST, ..."""
    url: str
    """Absolute, or relative to the target."""
    params: Mapping[str, Any] | None = None
    """The query."""
    data: Any = None
    """The body: form fields, text or bytes."""
    json: Any = None
    """The body, as JSON."""
    headers: Mapping[str, str] | None = None
    """More headers."""
    name: str | None = None
    """The label in the report."""
    expect: int | Collection[int] = ()
    """Statuses of 400 and more that are no failure."""
    timeout: float | None = None
    """Total, in seconds."""
    check: Callable[[Any], object] | None = None
    """Given the response: raises when it is wrong; what it returns goes into the manifest."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What a step returns that watched something: so long it took, and that is the item's time."""

    seconds: float
    value: object = None
    """For the manifest."""

    @property
    def microseconds(self) -> int:
        """The time.  Raises ScenarioError for what is none."""
        if not 0 <= self.seconds < LONGEST_S:
            raise ScenarioError(f"Timed(seconds={self.seconds!r}): a time from 0 on is needed")
        return round(self.seconds * 1_000_000)


@dataclass(frozen=True, slots=True)
class Verification:
    """What the target holds, against what it should hold."""

    expected: int
    """How many things there should be."""
    found: int
    """How many of those are there."""
    missing: Sequence[str] = ()
    """What should be there and is not."""
    unexpected: Sequence[str] = ()
    """What is there and should not be."""

    @classmethod
    def of(cls, expected: Collection[str], found: Collection[str]) -> Verification:
        """Compare two sets of names."""
        wanted, seen = set(expected), set(found)
        return cls(len(wanted), len(wanted & seen), sorted(wanted - seen), sorted(seen - wanted))

    @property
    def ok(self) -> bool:
        """Everything is there, and nothing else."""
        return self.expected == self.found and not self.missing and not self.unexpected


class Made(Protocol):
    """What a run made, as its ledger tells it: the third parameter that verify and teardown may have.

    Values come one after the other from the ledger: a run of any size needs no memory for them.
    """

    @property
    def setup(self) -> Any:
        """What `setup` returned; None when it returned nothing."""

    @property
    def steps(self) -> Sequence[str]:
        """The names of the steps that the run had."""

    def __call__(self, step: str) -> Iterator[Any]:
        """What the step returned for the items that are done, in their order, without what was None.

        Nothing for a step that the run did not have.  Raises ScenarioError for one that the scenario does
        not have.
        """

    def unknown(self, step: str) -> Iterator[int]:
        """Indexes of the step's items that may have been made, or were, and what they returned is lost."""

    def failed(self, step: str) -> Iterator[int]:
        """Indexes of the step's items that failed; a call of theirs may still have had its effect."""


@dataclass(eq=False)
class Step(Generic[P, R]):
    """One kind of work, done for N items.  Calling it calls the function that it decorates."""

    function: Callable[P, R]
    """What is done for each item."""
    items: Items | Callable[[Any], Items]
    """How many items, or which rows."""
    key: Callable[[Any, Any], Any] | None = None
    """Items with the same key never run at the same time, and run in order."""
    delivery: Delivery = "at_most_once"
    """What happens to an item whose outcome is unknown."""
    retry: Retry | None = None
    """What is tried again, and how often."""
    when: Callable[[Any], object] | None = None
    """Whether a run has the step where its user named none; None: it has."""
    think_time: str | None = None
    """How long a slot waits after an item; None: as the scenario says."""
    exists_function: Callable[..., bool] | None = field(default=None, repr=False)
    """Tells whether an item's effect is on the target."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: a step is unit-tested like any other function."""
        return self.function(*args, **kwargs)

    @cached_property  # asked for each item, and for each of its calls
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @cached_property  # asked for each item, and inspecting takes longer than the call
    def described(self) -> bool:
        """Whether it returns Calls instead of making them."""
        return tuple(inspect.signature(self.function).parameters) == DESCRIBED

    def exists(self, function: F) -> F:
        """Note how to find out whether an item's effect is on the target: `(http, item, options) -> bool`."""
        check_parameters(function, SCRIPTED, f"{self.name}.exists")
        self.exists_function = function
        return function


class Scenario:
    """Everything that loadgen needs to know about a piece of work.

    `options` is a frozen dataclass; each of its fields is a `--set NAME=VALUE`.  `target` is the base
    URL, or `sandbox:NAME` for a built-in stand-in, with its options behind a `?`.  `timeout` is in
    seconds, in all, for calls that say nothing else.  `http` and `connections` say how the target is
    spoken to; `processes`, `concurrency` (items in flight a process), `connections`, `thresholds`,
    `warm_up` (`"10s"` or `"500 items"`, done but not measured), `rate`, `stages`, `arrivals`, `max_lag` (when
    items start), `duration`, `ramp`, `think_time`, `mix` (weights by the name of a step), `max_in_flight`
    (items in flight on all workers), `max_rate` ("100/s") and `breaker` ("50% over 10s") hold unless the
    command line says otherwise.
    """

    def __init__(
        self,
        *,
        options: type = NoOptions,
        target: str | None = None,
        transport: Transport = "curl",
        timeout: float = 60.0,
        processes: int | None = None,
        concurrency: int | None = None,
        http: Http = "1.1",
        connections: Connections = "keep",
        thresholds: Sequence[str] = (),
        rate: str | None = None,
        stages: str | None = None,
        arrivals: str | None = None,
        max_lag: str | None = None,
        duration: str | None = None,
        ramp: str | None = None,
        think_time: str | None = None,
        mix: Mapping[str, float] | None = None,
        warm_up: str | None = None,
        max_in_flight: int | None = None,
        max_rate: str | None = None,
        breaker: str | None = None,
    ) -> None:
        caller = sys._getframe(1)  # noqa: SLF001 - the line to name when two scenarios stand in one file
        self.location = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        _check_settings(self.location, transport, timeout, processes=processes, concurrency=concurrency)
        _check_http(self.location, transport, http, connections)
        if isinstance(thresholds, str):
            raise ScenarioError(f"{self.location}: thresholds={thresholds!r} is no list")
        if not isinstance(warm_up, str | None):
            raise ScenarioError(f"{self.location}: warm_up={warm_up!r} is no text")
        self.options = options
        self.target = target
        self.transport: Transport = transport
        self.timeout = timeout
        self.http: Http = http
        self.connections: Connections = connections
        self.thresholds = tuple(parse(text, self.location) for text in thresholds)
        self.warm_up: WarmUp = NO_WARM_UP if warm_up is None else parse_warm_up(warm_up, self.location)
        self.limits = _limits(self.location, max_in_flight, max_rate)
        self.breaker = None if breaker is None else parse_breaker(breaker, self.location)
        self.processes = processes
        self.concurrency = concurrency
        self.rate, self.stages, self.arrivals, self.max_lag = rate, stages, arrivals, max_lag
        self.duration, self.ramp, self.think_time = duration, ramp, think_time
        _check_mix(self.location, mix)
        self.mix = None if mix is None else dict(mix)
        self.steps: list[Step[..., Any]] = []
        self.hooks: dict[str, Callable[..., Any]] = {}

    def login(self, function: F) -> F:
        """Once per Session, and again after `session.expire()`: `(http, options)`."""
        return self._hook("login", function)

    def setup(self, function: F) -> F:
        """Once per run, on the master, before the first step: `(http, options)`.

        What it returns must be JSON-able; it is kept, for `made.setup`.
        """
        return self._hook("setup", function)

    def verify(self, function: F) -> F:
        """Once, on the master, after the last step: `(http, options) -> Verification`, or with `made`."""
        return self._hook("verify", function, INFORMED)

    def teardown(self, function: F) -> F:
        """Only by `loadgen clean`: `(http, options)`, or `(http, options, made)`."""
        return self._hook("teardown", function, INFORMED)

    def step(
        self,
        _bare: None = None,
        /,
        *,
        items: Items | Callable[[Any], Items],
        key: Callable[[Any, Any], Any] | None = None,
        delivery: Delivery = "at_most_once",
        retry: Retry | None = None,
        when: Callable[[Any], object] | None = None,
        think_time: str | None = None,
    ) -> Callable[[Callable[P, R]], Step[P, R]]:
        """One kind of work: `(http, item, options) -> JSON-able`, or `(item, options) -> Call`.

        `items`: a count, rows, a feed, or a function of the options that gives one of these.
        `key`: a function `(item, options)`; items with the same key never run at the same time, and
        run in order.
        `when`: a function of the options; a run whose user named no step leaves out those where it is false.
        `think_time`: how long a slot waits after an item, like `1s` or `0.5s-2s`.
        """

        def note(function: Callable[P, R]) -> Step[P, R]:
            what = f"step {function.__name__}" if inspect.isfunction(function) else "step"
            check_parameters(function, (SCRIPTED, DESCRIBED), what)
            if any(step.name == function.__name__ for step in self.steps):
                raise ScenarioError(f"{where(function)}: a second step named {function.__name__}")
            step = Step(function, items, key, delivery, retry, when, think_time)
            self.steps.append(step)
            return step

        return note

    def _hook(self, name: str, function: F, *more: tuple[str, ...]) -> F:
        check_parameters(function, (HOOK, *more), name)
        if name in self.hooks:
            first = where(self.hooks[name])
            raise ScenarioError(f"{where(function)}: a second {name}; the first is at {first}")
        self.hooks[name] = function
        return function


def _check_settings(location: str, transport: Any, timeout: Any, **counts: Any) -> None:
    """Raise ScenarioError for what type checkers would tell, where nobody asked them."""
    if transport not in ("curl", "requests"):
        raise ScenarioError(f"{location}: transport={transport!r} is neither 'curl' nor 'requests'")
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise ScenarioError(f"{location}: timeout={timeout!r} is not a number of seconds above 0")
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int) or count < (name == "concurrency")):
            raise ScenarioError(f"{location}: {name}={count!r} is not a number of {name}")


def _limits(location: str, max_in_flight: Any, max_rate: Any) -> Limits:
    """Raises ScenarioError and UsageError."""
    if max_in_flight is not None and (not isinstance(max_in_flight, int) or max_in_flight < 1):
        raise ScenarioError(f"{location}: max_in_flight={max_in_flight!r} is not a number of items above 0")
    if max_rate is not None and not isinstance(max_rate, str):
        raise ScenarioError(f"{location}: max_rate={max_rate!r} is no rate like '100/s'")
    rate = None if max_rate is None else parse_rate(max_rate, f"{location}: max_rate")
    return Limits(rate=rate, in_flight=max_in_flight)


def _check_http(location: str, transport: str, http: Any, connections: Any) -> None:
    """The same, for how the target is spoken to."""
    if http not in get_args(Http):
        raise ScenarioError(f"{location}: http={http!r} is none of {', '.join(map(repr, get_args(Http)))}")
    if connections not in get_args(Connections):
        raise ScenarioError(f"{location}: connections={connections!r} is neither 'keep' nor 'new'")
    if transport == "requests" and http != "1.1":
        raise ScenarioError(f"{location}: http={http!r} needs transport='curl'; requests speaks only 1.1")


def _check_mix(location: str, mix: Any) -> None:
    """The same, for weights; whether there are such steps is not known yet."""
    if mix is not None and not isinstance(mix, Mapping):
        raise ScenarioError(f"{location}: mix={mix!r} is no dict of weights by step")
    for name, weight in (mix or {}).items():
        if not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ScenarioError(f"{location}: mix: the weight of {name} is {weight!r}, not a number above 0")


def informed(function: Callable[..., Any], made: Made) -> Callable[[Any, Any], Any]:
    """The hook, as `(http, options)`; one that wants to know what the run made is told."""
    if tuple(inspect.signature(function).parameters) == INFORMED:
        return lambda http, options: function(http, options, made)
    return function


def where(function: Callable[..., Any]) -> str:
    """`file:line` of a function."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def check_parameters(
    function: Callable[..., Any], wanted: tuple[str, ...] | tuple[tuple[str, ...], ...], what: str
) -> None:
    """Raise ScenarioError when a function does not take the parameters that it will be called with."""
    if not inspect.isfunction(function):
        raise ScenarioError(f"{what}: expected a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ScenarioError(f"{where(function)}: {what} must be a plain function, without async and yield")
    choices = [wanted] if isinstance(wanted[0], str) else wanted
    signature = inspect.signature(function).parameters
    parameters = tuple(signature)
    keywords = any(parameter.kind is parameter.KEYWORD_ONLY for parameter in signature.values())
    if parameters not in choices or keywords:
        takes = " or ".join(f"({', '.join(choice)})" for choice in choices)
        took = f"({', '.join(parameters)})" + (" by keyword" if keywords else "")
        raise ScenarioError(f"{where(function)}: {what} takes {takes}, not {took}")
