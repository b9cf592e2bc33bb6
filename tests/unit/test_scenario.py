"""What a user writes: the decorators note functions and check what they take; nothing runs."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import ScenarioError
from loadgen.scenario import Call, NoOptions, Retry, Scenario, Verification, where

HOOKS = ["login", "setup", "verify", "teardown"]


def a_step(scenario: Scenario, **more: Any) -> Any:
    @scenario.step(items=3, **more)
    def create(http: Any, item: Any, options: Any) -> Any:
        return (http, item, options)

    return create


def wrong(action: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_scenario_is_its_defaults() -> None:
    """No options, no target, curl, a minute a call."""
    scenario = Scenario()
    assert (scenario.options, scenario.target, scenario.transport) == (NoOptions, None, "curl")
    assert (scenario.timeout, scenario.steps, scenario.hooks) == (60.0, [], {})


def test_how_the_target_is_spoken_to_is_checked() -> None:
    """By name, and against the transport."""
    scenario = Scenario(http="auto", connections="new")
    assert (scenario.http, scenario.connections) == ("auto", "new")
    assert (Scenario().http, Scenario().connections) == ("1.1", "keep")
    assert "http='1' is none of '1.1', '2', '3', 'auto'" in wrong(lambda: Scenario(http="1"))  # type: ignore[arg-type]
    assert "connections=0 is neither" in wrong(lambda: Scenario(connections=0))  # type: ignore[arg-type]
    assert "http='2' needs transport='curl'" in wrong(lambda: Scenario(http="2", transport="requests"))


def test_a_scenario_knows_where_it_stands() -> None:
    """File and line of its construction."""
    assert Scenario().location.startswith(f"{__file__}:")


def test_a_step_is_still_a_function() -> None:
    """It can be called, also by name, as a unit test would."""
    step = a_step(Scenario())
    assert step("h", 1, options="o") == ("h", 1, "o")
    assert (step.name, step.items, step.delivery, step.retry) == ("create", 3, "at_most_once", None)


def test_steps_keep_their_order() -> None:
    """As they stand in the file."""
    scenario = Scenario()
    for name in ("one", "two", "three"):
        function = eval(f"lambda http, item, options: '{name}'")
        function.__name__ = name
        scenario.step(items=1)(function)
    assert [step.name for step in scenario.steps] == ["one", "two", "three"]


def test_a_described_step_takes_no_session() -> None:
    """`(item, options) -> Call`."""
    scenario = Scenario()

    @scenario.step(items=1)
    def create(item: Any, options: Any) -> Any:
        return Call("POST", f"/things/{item}")

    assert create.described
    assert create(5, None).url == "/things/5"


def test_a_scripted_step_is_not_described() -> None:
    """It makes its calls itself."""
    assert not a_step(Scenario()).described


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_are_noted_and_returned(hook: str) -> None:
    """The function stays what it was."""
    scenario = Scenario()

    def function(http: Any, options: Any) -> Any:
        return 5

    assert getattr(scenario, hook)(function) is function
    assert scenario.hooks == {hook: function}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_second_hook_is_refused(hook: str) -> None:
    """With the place of the first."""
    scenario = Scenario()

    def first(http: Any, options: Any) -> Any: ...
    def second(http: Any, options: Any) -> Any: ...

    getattr(scenario, hook)(first)
    message = wrong(lambda: getattr(scenario, hook)(second))
    assert message == f"{where(second)}: a second {hook}; the first is at {where(first)}"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_with_wrong_parameters(hook: str) -> None:
    """The message says what it takes, and what it took."""

    def function(session: Any, options: Any) -> Any: ...

    message = wrong(lambda: getattr(Scenario(), hook)(function))
    choice = " or (http, options, made)" if hook in ("verify", "teardown") else ""
    assert message == f"{where(function)}: {hook} takes (http, options){choice}, not (session, options)"


def test_a_step_with_wrong_parameters() -> None:
    """Both forms are named."""

    def create(http: Any, index: Any, options: Any) -> Any: ...

    message = wrong(lambda: Scenario().step(items=1)(create))
    assert message == (
        f"{where(create)}: step create takes (http, item, options) or (item, options), "
        "not (http, index, options)"
    )


def test_parameters_that_could_not_be_given_by_position() -> None:
    """They would fail with every item of the run."""

    def create(*, http: Any, item: Any, options: Any) -> Any: ...

    assert "step create takes (http, item, options)" in wrong(lambda: Scenario().step(items=1)(create))


async def an_async_one(http: Any, item: Any, options: Any) -> Any: ...


def a_generator(http: Any, item: Any, options: Any) -> Any:
    yield


@pytest.mark.parametrize("function", [an_async_one, a_generator])
def test_a_function_whose_call_does_nothing(function: Any) -> None:
    """Called, it would give a coroutine or a generator, and no request would be made."""
    message = wrong(lambda: Scenario().step(items=1)(function))
    assert message == (
        f"{where(function)}: step {function.__name__} must be a plain function, without async and yield"
    )


def test_exists_with_wrong_parameters() -> None:
    """It takes what a step takes."""
    step = a_step(Scenario(), delivery="verify")

    def there(http: Any, options: Any) -> Any: ...

    message = wrong(lambda: step.exists(there))
    assert message == f"{where(there)}: create.exists takes (http, item, options), not (http, options)"


def test_exists_is_noted_and_returned() -> None:
    """The function stays what it was."""
    step = a_step(Scenario(), delivery="verify")

    def there(http: Any, item: Any, options: Any) -> Any: ...

    assert step.exists(there) is there is step.exists_function


def test_two_steps_of_one_name() -> None:
    """A step is found by its name."""
    scenario = Scenario()
    first = a_step(scenario)
    assert wrong(lambda: a_step(scenario)) == f"{where(first.function)}: a second step named create"


class Callee:
    def __call__(self, http: Any, item: Any, options: Any) -> None: ...


@pytest.mark.parametrize("thing", [Callee(), Callee, functools.partial(print), print, 5, None])
def test_a_decorator_on_what_is_no_function(thing: Any) -> None:
    """The message says so, for steps, hooks and exists alike."""
    scenario = Scenario()
    step = a_step(scenario)
    for decorate in (scenario.step(items=1), scenario.login, scenario.verify, step.exists):
        assert "expected a function, not " in wrong(lambda decorate=decorate: decorate(thing))


def test_a_hook_on_a_step() -> None:
    """A step is no function any more."""
    scenario = Scenario()
    assert wrong(lambda: scenario.setup(a_step(scenario))).startswith("setup: expected a function, not Step(")


def test_a_wrapped_function_is_found_where_it_was_written() -> None:
    """Not in the wrapper."""

    def plain(http: Any, options: Any) -> Any: ...

    @functools.wraps(plain)
    def wrapper(*args: Any) -> Any: ...

    assert where(wrapper) == where(plain)
    assert Scenario().login(wrapper) is wrapper


@pytest.mark.parametrize("attempts", [0, -1])
def test_a_retry_tries_at_least_once(attempts: int) -> None:
    """`attempts` counts the first."""
    assert wrong(lambda: Retry(attempts)) == f"Retry(attempts={attempts}): at least 1 is needed"


@given(
    attempt=st.integers(1, 5000),
    backoff=st.floats(0, 100),
    longest=st.floats(0, 100),
    seed=st.integers(0, 2**32),
)
def test_a_wait_is_doubled_up_to_the_longest_and_spread(
    attempt: int, backoff: float, longest: float, seed: int
) -> None:
    """50 to 100 % of the nominal wait, for any attempt."""
    wait = Retry(attempt, backoff_s=backoff, max_backoff_s=longest).wait_s(attempt, random.Random(seed))
    nominal = min(backoff * 2.0 ** min(attempt - 1, 1000), longest)
    assert nominal * 0.5 <= wait <= nominal


def test_verification_compares_names() -> None:
    """Missing and unexpected ones are sorted; what is there and should be counts as found."""
    verdict = Verification.of(["b", "a", "c"], ["d", "a"])
    assert verdict == Verification(3, 1, ["b", "c"], ["d"])
    assert not verdict.ok


@given(st.sets(st.text(max_size=3)), st.sets(st.text(max_size=3)))
def test_verification_is_ok_when_the_sets_are_equal(expected: set[str], found: set[str]) -> None:
    """And only then; the books balance."""
    verdict = Verification.of(expected, found)
    assert verdict.ok == (expected == found)
    assert verdict.found + len(verdict.missing) == verdict.expected


@pytest.mark.parametrize(
    "verdict", [Verification(2, 1), Verification(1, 1, ["a"]), Verification(1, 1, (), ["b"])]
)
def test_verification_by_hand(verdict: Verification) -> None:
    """Counts that differ, or names that are given, are enough to fail."""
    assert not verdict.ok
    assert Verification(2, 2).ok
