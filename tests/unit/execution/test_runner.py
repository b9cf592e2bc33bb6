"""A runner that looks first; and items whose time is that of what they watched."""

import msgspec
import pytest
import requests
import responses

from loadgen import Retry, Scenario, Session, Timed
from loadgen.clock import SystemClock
from loadgen.execution.runner import Errand, Runner, TopUpRunner
from loadgen.sample import Outcome

URL = "http://shelf.test"
scenario = Scenario()


@scenario.step(items=3, retry=Retry(attempts=2, on=(503,)))
def put(http: Session, item: int, options: object) -> int:
    http.post(f"/things/{item}")
    return item


@put.exists
def is_there(http: Session, item: int, options: object) -> bool:
    return http.get(f"/things/{item}", expect=404).status_code == 200


@pytest.fixture
def runner():
    with responses.RequestsMock() as target, Session(URL, transport="requests") as http:
        yield target, TopUpRunner(None, http, SystemClock())


def test_what_is_there_is_not_done(runner) -> None:
    target, runner = runner
    target.get(f"{URL}/things/1")
    result, samples = runner.run(Errand(put, 1, 1, 1))
    assert (result.outcome, result.found, msgspec.msgpack.decode(result.value)) == (Outcome.DONE, True, None)
    assert [sample.label for sample in samples] == ["put.exists GET /things/#"]


def test_what_is_missing_is_done(runner) -> None:
    target, runner = runner
    target.get(f"{URL}/things/1", status=404)
    target.post(f"{URL}/things/1")
    result, samples = runner.run(Errand(put, 1, 1, 1))
    assert (result.outcome, result.found, msgspec.msgpack.decode(result.value)) == (Outcome.DONE, False, 1)
    assert [sample.label for sample in samples] == ["put.exists GET /things/#", "put POST /things/#"]


def test_what_cannot_be_looked_for_is_not_done_but_tried_again(runner) -> None:
    target, runner = runner
    target.get(f"{URL}/things/1", status=503)
    result, samples = runner.run(Errand(put, 1, 1, 1))
    assert (result.outcome, result.found) == (Outcome.FAILED, False)
    assert result.error == "it could not be looked for, so it was not done: GET /things/1 answered 503"
    assert result.retry_ms is not None
    assert len(samples) == 1


def test_a_look_that_breaks_is_tried_again_too(runner) -> None:
    target, runner = runner
    target.get(f"{URL}/things/1", body=requests.ConnectionError("reset"))
    put.retry, before = Retry(attempts=2, on=("connect",)), put.retry
    try:
        result, _ = runner.run(Errand(put, 1, 1, 1))
    finally:
        put.retry = before
    assert (result.outcome, result.retry_ms is not None) == (Outcome.FAILED, True)
    assert result.error.startswith("it could not be looked for, so it was not done: ")
    assert "reset" in result.error


@pytest.mark.parametrize("broken", [False, True])
def test_an_answer_that_was_forgiven_fails_no_item_and_is_no_cause_to_retry(broken) -> None:
    """It is an error of its call all the same."""
    forgiving = Scenario()

    @forgiving.step(items=1, retry=Retry(attempts=2, on=(503,)))
    def order(http: Session, item: int, options: object) -> None:
        http.post("/orders")
        http.forgive()
        if broken:
            raise ValueError("it will never be")

    with responses.RequestsMock() as target, Session(URL, transport="requests") as http:
        target.post(f"{URL}/orders", status=503)
        result, (sample,) = Runner(None, http, SystemClock()).run(Errand(order, 0, 0, 1))
    assert result.outcome is (Outcome.FAILED if broken else Outcome.DONE)
    assert (result.retry_ms, sample.error) == (None, "HTTP 503")


def a_result(seconds: float):
    watching = Scenario()

    @watching.step(items=1)
    def watch(http: Session, item: int, options: object) -> Timed:
        return Timed(seconds, {"execid": 7})

    with Session(URL, transport="requests") as http:
        return Runner(None, http, SystemClock()).run(Errand(watch, 0, 0, 1))[0]


def test_a_step_says_how_long_what_it_watched_took() -> None:
    result = a_result(61.5)
    assert (result.outcome, result.duration_us) == (Outcome.DONE, 61_500_000)
    ended_us = result.start_us + result.duration_us
    assert abs(ended_us - SystemClock().now_us()) < 10_000_000, "it ended now, not in a minute"
    assert msgspec.msgpack.decode(result.value) == {"execid": 7}


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e12])
def test_a_time_that_is_none_fails_the_item(seconds: float) -> None:
    result = a_result(seconds)
    assert result.outcome is Outcome.FAILED
    assert "Timed(seconds=" in result.error


@pytest.mark.parametrize("value", [{None: 1}, [{(1, 2): 3}]])
def test_what_json_has_no_words_for_fails_its_item_and_not_the_manifest(value: object) -> None:
    """MessagePack has; the run would break at its end, where the manifest is written."""
    odd = Scenario()

    @odd.step(items=1)
    def give(http: Session, item: int, options: object) -> object:
        return value

    with Session(URL, transport="requests") as http:
        result, _ = Runner(None, http, SystemClock()).run(Errand(give, 0, 0, 1))
    assert result.outcome is Outcome.FAILED
    assert "cannot go into the manifest" in result.error
