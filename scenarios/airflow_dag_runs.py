r"""Trigger DAG runs in Airflow.

Airflow keeps a run under the id that the client gives it, once: a second request with the same
`dag_run_id` is answered 409 and starts nothing.  So every item may be tried as often as it takes.

    AIRFLOW_PASSWORD=... loadgen run scenarios/airflow_dag_runs.py --target http://airflow.test:8080 \
        --set dag_id=nightly --set runs=1000 --set user=tester

Airflow 3 (`api=v2`, the default) hands out a token at /auth/token.  Airflow 2.5 and later (`api=v1`) takes
user and password with each call, if its `auth_backends` has `airflow.api.auth.backend.basic_auth`.
The DAG must be there, and not be paused: runs of a paused DAG stay queued.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import requests

from loadgen import Bearer, Made, Retry, Scenario, Session, Verification, errors, option

PAGE = 100
"""Runs on one page: what Airflow gives at most, unless its `maximum_page_limit` says otherwise."""
ID = re.compile(r"[A-Za-z0-9_.~:+-]+")
"""What Airflow takes as the id of a run (its `allowed_run_id_pattern`)."""
UNAUTHORIZED, NOT_FOUND, CONFLICT = 401, 404, 409


@dataclass(frozen=True)
class Options:
    """What can be set."""

    dag_id: str
    runs: int = option(100, help="How many runs there should be in the end")
    prefix: str = option("loadgen", help="Ids of runs are PREFIX_000000 and so on")
    conf: str = option("{}", help="The runs' conf, a JSON object")
    api: Literal["v1", "v2"] = option("v2", help="v1 for Airflow 2, v2 for Airflow 3")
    first_date: str = option("", help="Logical date of the first run, like 2026-01-01T00:00:00Z; empty: none")
    every: float = option(60.0, help="Seconds from one logical date to the next")
    user: str = option("airflow", env="AIRFLOW_USER")
    password: str = option("airflow", env="AIRFLOW_PASSWORD", secret=True)
    tag: str = field(default_factory=lambda: secrets.token_hex(4))  # tells our runs from those of others

    def __post_init__(self) -> None:
        """Refuse what Airflow would refuse for every item."""
        if not ID.fullmatch(self.prefix):
            raise ValueError(f"prefix: {self.prefix!r} is none of {ID.pattern}")
        if not self.conf.lstrip().startswith("{"):
            raise ValueError(f"conf: expected a JSON object, not {self.conf}")
        json.loads(self.conf)
        if self.first_date and datetime.fromisoformat(self.first_date).tzinfo is None:
            raise ValueError("first_date needs a time zone: Z or +01:00 behind it")
        if self.runs < 0 or self.every <= 0:
            raise ValueError("runs must not be negative, and every must be above 0")

    @property
    def note(self) -> str:
        """What stands in the note of each run that is ours."""
        return f"made by loadgen, {self.tag}"


scenario = Scenario(options=Options)


def run_id(item: int, options: Options) -> str:
    """The id is the item's: whoever asks again asks for the same run."""
    return f"{options.prefix}_{item:06d}"


def url(options: Options, item: int | None = None) -> str:
    """Of the DAG's runs, or of one."""
    runs = f"/api/{options.api}/dags/{quote(options.dag_id, safe='')}/dagRuns"
    return runs if item is None else f"{runs}/{quote(run_id(item, options), safe='')}"


def ask(
    http: Session, options: Options, method: str, path: str, expect: Collection[int] = (), **more: Any
) -> requests.Response:
    """One call; a token that has expired is renewed, and no item fails of it."""
    renewable = options.api == "v2"
    response = http.request(method, path, expect={*expect, *([UNAUTHORIZED] if renewable else [])}, **more)
    if renewable and response.status_code == UNAUTHORIZED:
        http.expire()
        return http.request(method, path, expect=expect, **more)
    return response


def is_ours(http: Session, item: int, options: Options) -> bool | None:
    """Whether a run is there that this job made; None: there is none of that id."""
    response = ask(http, options, "GET", url(options, item), {NOT_FOUND}, name="get run")
    if response.status_code == NOT_FOUND:
        return None
    return bool(response.json().get("note") == options.note)


@scenario.login
def login(http: Session, options: Options) -> None:
    """Airflow 2: with each call.  Airflow 3: a token for a day, which `ask` renews."""
    if options.api == "v1":
        http.auth = (options.user, options.password)
        return
    http.auth = None
    body = {"username": options.user, "password": options.password}
    http.auth = Bearer(http.post("/auth/token", json=body, name="token").json()["access_token"])


@scenario.step(
    items=lambda options: options.runs,
    # Not "verify": a second request is as good as a look whether the run is there, and starts it if not.
    delivery="at_least_once",
    retry=Retry(attempts=3),
)
def trigger(http: Session, item: int, options: Options) -> dict[str, object]:
    """A run that is there already is as good as one that was just made, but not ours to delete."""
    name = run_id(item, options)
    body = {"dag_run_id": name, "conf": json.loads(options.conf), "note": options.note}
    if options.first_date:
        shift = timedelta(seconds=item * options.every)
        body["logical_date"] = (datetime.fromisoformat(options.first_date) + shift).isoformat()
    elif options.api == "v2":
        body["logical_date"] = None  # it must be said
    response = ask(http, options, "POST", url(options), {CONFLICT}, json=body, name="trigger")
    ours: bool | None = True
    if response.status_code == CONFLICT:  # for the id, or for the logical date, of which there is one, too
        ours = is_ours(http, item, options)
    if ours is None:
        raise errors.ItemFailed(f"{name}: another run has its logical date: {response.text[:200]}")
    return {"dag_run_id": name, "ours": ours}


def ids(http: Session, options: Options) -> Iterator[str]:
    """The ids of all runs of the DAG, page by page."""
    start, total = 0, 1
    while start < total:
        query = {"limit": PAGE, "offset": start, "order_by": "id"}
        page = ask(http, options, "GET", url(options), params=query, name="list runs").json()
        if not page["dag_runs"]:
            return
        yield from (run["dag_run_id"] for run in page["dag_runs"])
        start, total = start + len(page["dag_runs"]), page["total_entries"]


@scenario.verify
def all_runs_exist(http: Session, options: Options) -> Verification:
    """Exactly the runs of this prefix that should be there; others of the DAG are none of our business."""
    named = re.compile(rf"{re.escape(options.prefix)}_\d{{6,}}")
    found = {name for name in ids(http, options) if named.fullmatch(name)}
    return Verification.of({run_id(item, options) for item in range(options.runs)}, found)


@scenario.teardown
def delete_runs(http: Session, options: Options, made: Made) -> None:
    """What we made, and of what nobody knows, what bears our note."""
    known = (int(value["dag_run_id"].rpartition("_")[2]) for value in made("trigger") if value["ours"])
    doubtful = itertools.chain(made.unknown("trigger"), made.failed("trigger"))
    for item in itertools.chain(known, (item for item in doubtful if is_ours(http, item, options))):
        path = url(options, item)
        response = ask(http, options, "DELETE", path, {NOT_FOUND, CONFLICT}, name="delete run")
        if response.status_code == CONFLICT:  # it is running, which newer Airflows do not let go of
            ask(http, options, "PATCH", path, {NOT_FOUND}, json={"state": "failed"}, name="stop run")
            ask(http, options, "DELETE", path, {NOT_FOUND}, name="delete run")
