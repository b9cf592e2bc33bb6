"""The scenarios that are no Azkaban: against a target that knows what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from airflow import Airflow
from harness import REPO, Cli, Target, fenced, taught

from loadgen import Session
from loadgen.loader import load
from loadgen.testing import FakeMade, Outcome, do_item, session

AIRFLOW = REPO / "scenarios" / "airflow_dag_runs.py"
ROWS = REPO / "scenarios" / "http_rows.py"

LESSONS = REPO / "docs" / "lessons.md"
FOREIGN = {"dag_run_id": "loadgen_000003", "logical_date": None, "conf": {}, "note": None, "state": "success"}


@pytest.fixture(scope="module")
def dag_runs() -> ModuleType:
    import sys

    load(AIRFLOW)
    return sys.modules["loadgen_scenario_airflow_dag_runs"]


@pytest.fixture
def http(target: Target) -> Iterator[Session]:
    with session(target.url) as it:
        yield it


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_airflow_two_and_three(target: Target, http: Session, dag_runs: ModuleType, api: str) -> None:
    """In this process: trigger, trigger again, list more than a page, delete what is ours."""
    target.answer = airflow = Airflow(token_calls=50)
    airflow.runs["loadgen_000003"] = dict(FOREIGN)
    airflow.runs["manual__other"] = {**FOREIGN, "dag_run_id": "manual__other"}
    options = dag_runs.Options("nightly", runs=130, api=api, conf='{"size": 3}')
    http.on_login = lambda it: dag_runs.login(it, options)
    first = [do_item(dag_runs.trigger, item, options, http).value for item in range(130)]
    again = [do_item(dag_runs.trigger, item, options, http).value for item in (0, 3)]
    assert again == [
        {"dag_run_id": "loadgen_000000", "ours": True},
        {"dag_run_id": "loadgen_000003", "ours": False},
    ]
    assert [value["ours"] for value in first].count(False) == 1
    assert airflow.runs["loadgen_000129"]["conf"] == {"size": 3}
    verified = dag_runs.all_runs_exist(http, options)
    assert (verified.expected, verified.found, verified.ok) == (130, 130, True)
    airflow.runs["loadgen_000007"]["state"] = "running"
    airflow.runs["loadgen_000200"] = {**FOREIGN, "dag_run_id": "loadgen_000200"}
    made = FakeMade(
        {"trigger": first[:120]}, in_doubt={"trigger": [120, 200, 300]}, broken={"trigger": range(121, 130)}
    )
    dag_runs.delete_runs(http, options, made)
    assert set(airflow.runs) == {"loadgen_000003", "loadgen_000200", "manual__other"}


def test_logical_dates(target: Target, http: Session, dag_runs: ModuleType) -> None:
    """One a run, and one that another run has is no success."""
    target.answer = airflow = Airflow()
    airflow.runs["other"] = {**FOREIGN, "logical_date": "2026-01-01T00:01:30+00:00"}
    options = dag_runs.Options("nightly", first_date="2026-01-01T00:00:00Z", every=90)
    http.on_login = lambda it: dag_runs.login(it, options)
    done, taken, third = (do_item(dag_runs.trigger, item, options, http).result for item in range(3))
    assert (done.outcome, taken.outcome, third.outcome) == (Outcome.DONE, Outcome.FAILED, Outcome.DONE)
    assert "loadgen_000001: another run has its logical date" in taken.error
    assert airflow.runs["loadgen_000002"]["logical_date"] == "2026-01-01T00:03:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"prefix": "a b"}, "prefix: 'a b'"),
        ({"conf": "[]"}, "conf: expected a JSON object"),
        ({"first_date": "2026-01-01"}, "time zone"),
        ({"runs": -1}, "negative"),
    ],
)
def test_options_that_airflow_would_refuse(dag_runs: ModuleType, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dag_runs.Options("nightly", **wrong)


def test_a_whole_job_on_airflow(cli: Cli, target: Target) -> None:
    """Tokens expire, answers are lost, one run was there before: all exist, and what is ours is cleaned."""
    target.answer = airflow = Airflow(token_calls=9, lose_every=20)
    airflow.runs["loadgen_000003"] = dict(FOREIGN)
    words = lesson("airflow", target)
    ended = cli.run(*words, "--set", "runs=45", "--concurrency", 4, env={"AIRFLOW_PASSWORD": "airflow"})
    assert (ended.code, ended.err) == (0, ""), ended
    assert "45 of 45 expected found" in ended.out
    summary = cli.summary()
    assert (summary["items"]["done"], summary["attempts"]["retries"]) == (45, 2)
    assert len(airflow.runs) == 45
    assert cli("clean", "latest", "--out", cli.out, "--yes").code == 0
    assert list(airflow.runs) == ["loadgen_000003"]


def test_rows_of_a_file(cli: Cli, target: Target) -> None:
    """The lesson: its file, its command, to the target, into the manifest, and away again."""
    target.answer = lambda seen: (
        200,
        json.dumps({"data": {"id": f"u/{json.loads(seen.body or '{}').get('age')}"}}),
    )
    (file,) = (block for before, block in fenced(LESSONS.read_text()) if before == "<!-- file: users.csv -->")
    (cli.home / "users.csv").write_text(file)
    ended = cli.run(*lesson("rows", target))
    assert (ended.code, ended.err) == (0, ""), ended
    assert {seen.path: json.loads(seen.body) for seen in target.seen} == {
        "/users/Ann%20Lee": {"name": "Ann Lee", "age": 41},
        "/users/Bob%20%22B%22%20Ray": {"name": 'Bob "B" Ray', "age": 17},
    }
    assert {seen.method for seen in target.seen} == {"PUT"}
    target.seen.clear()
    assert cli("clean", "latest", "--out", cli.out, "--yes").code == 0
    assert [(seen.method, seen.path) for seen in target.seen] == [
        ("DELETE", "/users/u%2F41"),
        ("DELETE", "/users/u%2F17"),
    ]
    words = ("--target", target.url, "--set", "rows=users.csv", "--set", "path=/users/{mail}")
    missing = cli.here("run", ROWS, *words)
    missing.complains(2, "users.csv: row 1", "no column mail", "there are name, age")


def lesson(name: str, target: Target) -> list[str]:
    """What follows `loadgen run` in a command of the lessons, against our target."""
    (words,) = taught(LESSONS, name)
    scenario, *rest = words[words.index("loadgen") + 2 :]
    return [str(REPO / scenario), *(target.url if word == "http://127.0.0.1:8080" else word for word in rest)]
