"""What is said to Airflow, call by call; the whole of it is in tests/e2e/test_scenarios.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import responses
from responses import matchers

from loadgen.testing import FakeMade, Outcome, do_item

FILE = Path(__file__).parents[3] / "scenarios" / "airflow_dag_runs.py"
URL = "http://airflow.test:8080"
RUNS = f"{URL}/api/v2/dags/a%2Fb/dagRuns"


@pytest.fixture(scope="module")
def dag_runs(imported: Callable[[Path], ModuleType]) -> ModuleType:
    """The scenario, imported from its file."""
    return imported(FILE)


@pytest.fixture
def airflow() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def test_a_run_is_asked_for_by_its_own_id(dag_runs, airflow, http) -> None:
    options = dag_runs.Options("a/b", conf='{"n": 1}', tag="t1", first_date="2026-01-01T00:00:00+01:00")
    body = {
        "dag_run_id": "loadgen_000002",
        "conf": {"n": 1},
        "note": "made by loadgen, t1",
        "logical_date": "2026-01-01T00:02:00+01:00",
    }
    airflow.post(RUNS, json={}, match=[matchers.json_params_matcher(body)])
    tried = do_item(dag_runs.trigger, 2, options, http)
    assert tried.value == {"dag_run_id": "loadgen_000002", "ours": True}
    assert [sample.label for sample in tried.samples] == ["trigger"]


def test_airflow_3_wants_a_logical_date_even_if_it_is_none_and_airflow_2_does_not(
    dag_runs, airflow, http
) -> None:
    airflow.post(
        RUNS, json={}, match=[matchers.json_params_matcher({"logical_date": None}, strict_match=False)]
    )
    do_item(dag_runs.trigger, 0, dag_runs.Options("a/b"), http)
    options = dag_runs.Options("a/b", api="v1", tag="t")
    body = {"dag_run_id": "loadgen_000000", "conf": {}, "note": "made by loadgen, t"}
    airflow.post(RUNS.replace("v2", "v1"), json={}, match=[matchers.json_params_matcher(body)])
    assert do_item(dag_runs.trigger, 0, options, http).result.outcome is Outcome.DONE


def test_an_expired_token_is_renewed_once(dag_runs, airflow, http) -> None:
    options = dag_runs.Options("a/b")
    http.on_login = lambda it: dag_runs.login(it, options)
    for token in ("old", "new"):
        airflow.post(f"{URL}/auth/token", status=201, json={"access_token": token})
    for token, status in (("old", 401), ("new", 200)):
        match = [matchers.header_matcher({"Authorization": f"Bearer {token}"})]
        airflow.post(RUNS, status=status, json={}, match=match)
    assert do_item(dag_runs.trigger, 0, options, http).result.outcome is Outcome.DONE


def test_a_wrong_password_fails(dag_runs, airflow, http) -> None:
    options = dag_runs.Options("a/b", api="v1", user="ann", password="no")
    http.on_login = lambda it: dag_runs.login(it, options)
    match = [matchers.header_matcher({"Authorization": "Basic YW5uOm5v"})]
    airflow.post(RUNS.replace("v2", "v1"), status=401, match=match)
    assert "answered 401" in do_item(dag_runs.trigger, 0, options, http).result.error


def test_a_run_that_is_running_is_stopped_before_it_is_deleted(dag_runs, airflow, http) -> None:
    run = f"{RUNS}/loadgen_000001"
    airflow.delete(run, status=409)
    airflow.patch(run, json={}, match=[matchers.json_params_matcher({"state": "failed"})])
    airflow.delete(run, status=204)
    made = FakeMade({"trigger": [{"dag_run_id": "loadgen_000001", "ours": True}]})
    dag_runs.delete_runs(http, dag_runs.Options("a/b"), made)
    assert [call.request.method for call in airflow.calls] == ["DELETE", "PATCH", "DELETE"]
