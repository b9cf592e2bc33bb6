r"""Create flows in Azkaban.

An upload to Azkaban replaces the project's whole flow set, and two uploads to one project at the same
time lose one of them.  So every item is one upload that carries all that its project should hold by
then, and the project is the item's key: uploads to one project run one after the other, in order, while
projects are filled side by side.  Doing an item again is harmless.

    loadgen run scenarios/azkaban_flows.py                                  # on the built-in sandbox
    AZKABAN_PASSWORD=... loadgen run scenarios/azkaban_flows.py \
        --target http://azkaban.test:8081 --set flows=500 --set projects=10 --set user=tester
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from loadgen import Made, Scenario, Session, Verification, option


@dataclass(frozen=True)
class Options:
    """What can be set."""

    flows: int = option(10_000, help="How many flows there should be in the end")
    projects: int = option(100, help="How many projects share them")
    batch: int = option(1, help="Flows that one upload adds")
    prefix: str = option("loadgen", help="Project names begin with it")
    user: str = option("azkaban", env="AZKABAN_USER")
    password: str = option("azkaban", env="AZKABAN_PASSWORD", secret=True)

    def __post_init__(self) -> None:
        for name in ("projects", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.flows < 0:
            raise ValueError("flows must not be negative")


class AzkabanError(Exception):
    """What Azkaban answered instead of doing what it was asked."""


# Each process has so many connections.  Jetty serves 20 at a time by default: stay below that in all.
scenario = Scenario(options=Options, target="sandbox:azkaban", concurrency=8)


def project_name(project: int, options: Options) -> str:
    """Azkaban's rule: a letter, then letters, digits, `-` and `_`."""
    return f"{options.prefix}_{project:04d}"


def flows_of(project: int, options: Options) -> Sequence[str]:
    """The flows that a project should hold in the end."""
    return [f"flow_{flow:06d}" for flow in range(project, options.flows, options.projects)]


def projects(options: Options) -> range:
    """The projects that get any flow."""
    return range(min(options.projects, options.flows))


def uploads(options: Options) -> int:
    """How many uploads fill all projects, `batch` flows at a time."""
    return sum(-(-len(flows_of(project, options)) // options.batch) for project in projects(options))


def bundle(flows: Sequence[str]) -> bytes:
    """A project archive: one job that does nothing for each flow."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for flow in flows:
            archive.writestr(zipfile.ZipInfo(f"{flow}.job"), "type=noop\n")
    return buffer.getvalue()


def answer(response: requests.Response) -> dict[str, Any]:
    """The JSON in an answer of Azkaban, which says 200 to most errors, too.  Raises AzkabanError."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        raise AzkabanError(f"not JSON: {' '.join(response.text.split())[:120]}") from None
    if "error" in body or body.get("status") == "error":
        raise AzkabanError(body.get("error") or body.get("message"))
    return dict(body)


@scenario.login
def login(http: Session, options: Options) -> None:
    """The session's cookie comes with the answer."""
    http.headers["X-Requested-With"] = "XMLHttpRequest"  # an expired session is then told in JSON
    body = {"username": options.user, "password": options.password}
    answer(http.post("/", params={"action": "login"}, data=body, name="login"))


@scenario.setup
def create_projects(http: Session, options: Options) -> dict[str, list[str]]:
    """A project that is there already is filled again; only those that were created are ours to delete."""
    created = []
    for project in projects(options):
        name = project_name(project, options)
        fields = {"action": "create", "name": name, "description": "made by loadgen"}
        try:
            answer(http.post("/manager", data=fields, name="create project"))
            created.append(name)
        except AzkabanError as error:
            if "already exists" not in str(error):
                raise AzkabanError(f"cannot create project {name}: {error}") from None
    return {"created": created}


@scenario.step(
    items=uploads,
    key=lambda item, options: item % options.projects,
    delivery="at_least_once",
)
def create_flows(http: Session, item: int, options: Options) -> dict[str, object]:
    """Upload a project with `batch` flows more than it had."""
    project, turn = item % options.projects, item // options.projects
    name = project_name(project, options)
    flows = flows_of(project, options)[: (turn + 1) * options.batch]
    response = http.post(
        "/manager",
        data={"ajax": "upload", "project": name},
        files={"file": (f"{name}.zip", bundle(flows), "application/zip")},
        name="upload",
    )
    version = answer(response)["version"]
    return {"project": name, "version": int(version), "flows": len(flows)}


@scenario.verify
def all_flows_exist(http: Session, options: Options) -> Verification:
    """Every project holds exactly the flows that it should."""
    expected, found = set(), set()
    for project in projects(options):
        name = project_name(project, options)
        expected |= {f"{name}/{flow}" for flow in flows_of(project, options)}
        query = {"ajax": "fetchprojectflows", "project": name}
        listing = answer(http.get("/manager", params=query, name="fetchprojectflows"))
        found |= {f"{name}/{flow['flowId']}" for flow in listing["flows"]}
    return Verification.of(expected, found)


@scenario.teardown
def delete_projects(http: Session, options: Options, made: Made) -> None:
    """Azkaban tells what came of a delete in a cookie of the redirect."""
    for name in (made.setup or {}).get("created", ()):
        query = {"delete": "true", "project": name}
        response = http.get("/manager", params=query, name="delete project", allow_redirects=False)
        failure = response.cookies.get("azkaban.failure.message", "")
        if failure and "doesn't exist" not in failure:
            raise AzkabanError(f"cannot delete project {name}: {failure}")
