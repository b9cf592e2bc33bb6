"""A stand-in for Airflow's API of DAG runs: what the source of 2.9 and 3.0 says of these few calls.

Airflow 2: api_connexion/endpoints/dag_run_endpoint.py.  Airflow 3, below api_fastapi: core_api/routes/public/
dag_run.py, its database errors in common/exceptions.py, its tokens in auth/managers/simple/routes/login.py.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from harness import Seen

Answer = tuple[int, Any]
FIELDS = {"dag_run_id", "logical_date", "conf", "note", "data_interval_start", "data_interval_end"}
MOST = 100
"""maximum_page_limit"""


@dataclass
class Airflow:
    """`target.answer = Airflow(...)`; it knows one DAG."""

    dag_id: str = "nightly"
    token_calls: int = 10**9
    """A token is good for so many calls."""
    lose_every: int = 10**9
    """Of so many runs that are made, one answer is a 503."""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, int] = {}
        self._clock, self._made = count(), count(1)

    def __call__(self, seen: Seen) -> tuple[int, str]:
        with self._lock:
            status, body = self._answer(seen)
        return status, "" if status == 204 else json.dumps(body)

    def _answer(self, seen: Seen) -> Answer:
        url = urlsplit(seen.path)
        if (seen.method, url.path) == ("POST", "/auth/token"):
            return self._token(json.loads(seen.body))
        found = re.fullmatch(r"/api/(v[12])/dags/([^/]+)/dagRuns(?:/([^/]+))?", url.path)
        if found is None:
            return 404, {"detail": "Not Found"}
        api, dag_id, name = found[1], unquote(found[2]), unquote(found[3] or "")
        if not self._knows(api, seen.headers.get("Authorization", "")):
            return 401, {"detail": "Unauthorized" if api == "v1" else "Invalid JWT token"}
        if dag_id != self.dag_id:
            return 404, {"detail": f"DAG with dag_id: '{dag_id}' not found"}
        if name:
            return self._one(seen, name)
        if seen.method == "POST":
            return self._trigger(api, json.loads(seen.body))
        return self._page({word: values[-1] for word, values in parse_qs(url.query).items()})

    def _token(self, body: dict[str, str]) -> Answer:
        if body != {"username": "airflow", "password": "airflow"}:
            return 401, {"detail": "Invalid credentials"}
        token = f"t{len(self._tokens)}"
        self._tokens[token] = self.token_calls
        return 201, {"access_token": token}

    def _knows(self, api: str, header: str) -> bool:
        kind, _, word = header.partition(" ")
        if api == "v1":
            return (kind, word) == ("Basic", base64.b64encode(b"airflow:airflow").decode())
        self._tokens[word] = self._tokens.get(word, 0) - 1
        return kind == "Bearer" and self._tokens[word] >= 0

    def _trigger(self, api: str, body: dict[str, Any]) -> Answer:
        wrong = 400 if api == "v1" else 422
        if set(body) - FIELDS or (api == "v2" and "logical_date" not in body):
            return wrong, {"detail": "Extra inputs are not permitted, or logical_date: Field required"}
        name, date = body["dag_run_id"], body.get("logical_date")
        if api == "v1" and date is None:
            date = f"2026-01-01T00:00:00.{next(self._clock):06d}+00:00"
        if date is not None and datetime.fromisoformat(date).tzinfo is None:
            return wrong, {"detail": "Input should have timezone info"}
        if not re.match(r"^[A-Za-z0-9_.~:+-]+$", name):
            return 400, {"detail": f"The run_id provided '{name}' does not match regex pattern"}
        if name in self.runs or (
            date is not None and any(r["logical_date"] == date for r in self.runs.values())
        ):
            detail = {"reason": "Unique constraint violation"} if api == "v2" else f"{name} already exists"
            return 409, {"detail": detail}
        self.runs[name] = {
            "dag_run_id": name,
            "dag_id": self.dag_id,
            "logical_date": date,
            "conf": body.get("conf", {}),
            "note": body.get("note"),
            "state": "queued",
        }
        if next(self._made) % self.lose_every == 0:
            return 503, {"detail": "a proxy gave up"}
        return 200, self.runs[name]

    def _page(self, query: dict[str, str]) -> Answer:
        limit, start = min(int(query.get("limit", 50)), MOST), int(query.get("offset", 0))
        runs = list(self.runs.values())  # in the order of their numbers: order_by=id
        return 200, {"dag_runs": runs[start : start + limit], "total_entries": len(runs)}

    def _one(self, seen: Seen, name: str) -> Answer:
        run = self.runs.get(name)
        if run is None:
            return 404, {"detail": f"The DagRun with run_id: `{name}` was not found"}
        if seen.method == "PATCH":
            run["state"] = json.loads(seen.body)["state"]
        if seen.method == "DELETE":
            if run["state"] == "running":  # Airflow 3.1 and later
                return 409, {"detail": f"The DagRun with run_id: `{name}` cannot be deleted in running state"}
            del self.runs[name]
            return 204, None
        return 200, run
