"""How Azkaban is spoken to: its calls, and how it says that they failed.  For the scenarios beside this file.

Azkaban answers 200 to most errors, so success is what an answer says, not what its status is.  A session that
has ended is told in five ways; then nothing was done, and the call is made again after another login.
"""

from __future__ import annotations

import html
import io
import math
import re
import time
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from loadgen import Retry, Session

RETRY = Retry(attempts=5, on=("connect", "timeout", 429, 500, 502, 503, 504))
"""For what can be repeated without harm.  Azkaban's 500 is permanent more often than not: few attempts."""
UNSURE = (500, 502, 503, 504)
"""They leave open whether anything was done."""
PERMANENT = re.compile("Validator .* reports errors|Error unzipping", re.DOTALL)
"""What a 500 says of an upload that will never be taken."""
IN_DOUBT: Mapping[str, Any] = {"id": None, "created": None}
"""What an item would have returned of its project that failed, or that nobody knows about."""
LOGIN_PAGE = "<!-- /.login -->"
LOGINS = 3
"""So often one call may find that the session has ended: more often in a row is no chance."""
LOOKS = 10
"""So often it is looked whether something has happened that should any moment."""
RECENT = 50
"""Executions of others, of a flow, that a page has room for."""
GONE = ("Cannot find", "not found", "is unreachable")
"""What is said of an execution that needs not be stopped any more."""
TERMINAL = frozenset({"SUCCEEDED", "KILLED", "EXECUTION_STOPPED", "FAILED"})
"""How an execution may end."""


class AzkabanError(Exception):
    """What Azkaban answered instead of doing what it was asked."""


class NothingSaid(AzkabanError):
    """An empty answer."""


@dataclass(frozen=True)
class Schedule:
    """A schedule that is there."""

    project: str
    """In lower case: Azkaban takes `A` and `a` for one project."""
    flow: str
    """PROJECT/FLOW, the project likewise."""
    cron: str
    number: int


def log_in(http: Session, user: str, password: str) -> None:
    """The session's cookie comes with the answer."""
    http.headers["X-Requested-With"] = "XMLHttpRequest"  # an expired session is then told in JSON
    body = {"username": user, "password": password}
    said = answer(http.post("/", params={"action": "login"}, data=body, name="login"))
    if said.get("status") != "success":
        raise AzkabanError(said.get("error") or "the login was answered without a session")


def ask(http: Session, method: str, path: str, **request: Any) -> dict[str, Any]:
    """A call and the JSON in its answer; when the session has ended, after another login.

    Azkaban says 200 to most errors, too.  Raises AzkabanError, and HTTPError for what is UNSURE.
    """
    for _ in range(LOGINS):
        response = http.request(method, path, **request)
        if response.status_code in UNSURE:
            http.forgive()  # what is raised tells whether the item fails
        if response.status_code in UNSURE and not PERMANENT.search(response.text):
            shown = f"{method} {path} answered {response.status_code}: {excerpt(response)}"
            raise requests.HTTPError(shown, response=response)
        said = answer(response)
        if not has_expired(said, response):
            break
        http.expire()  # nothing was done: it is asked again
    else:
        raise AzkabanError("the session ends before anything can be asked")
    if "error" in said or said.get("status") == "error":
        raise AzkabanError(said.get("error") or said.get("message"))
    return said


def answer(response: requests.Response) -> dict[str, Any]:
    """The JSON; empty for a login page.  Raises AzkabanError when there is neither."""
    try:
        said = response.json()
    except requests.JSONDecodeError:
        if is_login(response):
            return {}
        if response.ok and not response.content:
            raise NothingSaid("the answer is empty") from None
        shown = f"status {response.status_code}, and not JSON: {excerpt(response)}"
        raise AzkabanError(shown) from None
    return said if isinstance(said, dict) else {}


def excerpt(response: requests.Response) -> str:
    """How an answer begins, in a line."""
    return " ".join(response.text.split())[:120]


def is_login(response: requests.Response) -> bool:
    """Azkaban asks who we are, in HTML or in plain text."""
    return response.ok and (LOGIN_PAGE in response.text or response.text.startswith("Login error"))


def has_expired(said: dict[str, Any], response: requests.Response) -> bool:
    """The session has ended: Azkaban has five ways to say so, all with status 200."""
    if said:
        return said.get("error") == "session" or said.get("action") == "login"
    return is_login(response)


def mark(tag: str) -> str:
    """How the projects of a run are described."""
    return f"made by loadgen, {tag}"


def create(http: Session, name: str, tag: str) -> bool:
    """Create a project, unless it is there; returns whether it is ours.

    One that is there may come of an earlier try whose answer was lost; at the first try it is not ours.
    """
    fields = {"action": "create", "name": name, "description": mark(tag)}
    try:
        ask(http, "POST", "/manager", data=fields, name="create project")
    except AzkabanError as error:
        if "already exists" not in str(error):
            raise AzkabanError(f"cannot create project {name}: {error}") from None
        return http.attempt > 1 and is_ours(http, name, tag)
    return True


def is_ours(http: Session, name: str, tag: str) -> bool:
    """Whether a run of that tag created a project: only the page for people tells how it is described."""
    return mark(tag) in html.unescape(page(http, "project page", project=name).text)


def page(http: Session, name: str, **query: str) -> requests.Response:
    """A page of Azkaban's; when the session has ended, after another login."""
    for _ in range(LOGINS):
        response = http.get("/manager", params=query, name=name, allow_redirects=False)
        if not is_login(response):
            break
        http.expire()
    return response


def bundle(flows: Sequence[str]) -> bytes:
    """A project archive: one job that does nothing for each flow."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for flow in flows:
            archive.writestr(zipfile.ZipInfo(f"{flow}.job"), "type=noop\n")
    return buffer.getvalue()


def about(http: Session, project: str, ajax: str, **query: object) -> dict[str, Any] | None:
    """What Azkaban answers to a question about a project; None: there is no such project."""
    query = {"ajax": ajax, "project": project, **query}
    try:
        return ask(http, "GET", "/manager", params=query, name=ajax)
    except NothingSaid:  # so old versions put it
        return None
    except AzkabanError as error:
        if "doesn't exist" in str(error):
            return None
        raise


def listed(http: Session, project: str) -> list[str] | None:
    """The flows that a project holds; None: there is no such project."""
    said = about(http, project, "fetchprojectflows")
    return None if said is None else [flow["flowId"] for flow in said["flows"]]


def executions_of(
    http: Session, project: str, flow: str, size: int, since_ms: int = 0
) -> Iterator[Sequence[int]]:
    """The ids of a flow's executions since then, the newest first, in pages; none of what is not there.

    New ones push the others on, so that a page may begin with what has been seen: that is left out.
    """
    start, total, last = 0, 1, math.inf
    while start < total:
        said = about(http, project, "fetchFlowExecutions", flow=flow, start=start, length=size)
        entries = [] if said is None else said["executions"]
        recent = [each for each in entries if each.get("submitTime", since_ms) >= since_ms]
        numbers = [each["execId"] for each in recent if each["execId"] < last]
        if numbers:
            last = numbers[-1]
            yield numbers
        if said is None or not entries or len(recent) < len(entries):
            return
        start, total = start + len(entries), said.get("total", 0)


def parameters(http: Session, number: int) -> dict[str, Any]:
    """What an execution was told by flowOverride; nothing, where its flow is gone from the project."""
    query = {"ajax": "flowInfo", "execid": number}
    try:
        said = ask(http, "GET", "/executor", params=query, name="flowInfo")
    except AzkabanError as error:
        if "doesn't exist" in str(error):
            return {}
        raise
    return dict(said.get("flowParam") or {})


def fetch(http: Session, number: int) -> dict[str, Any]:
    """How an execution stands.  Raises AzkabanError while it is not to be seen."""
    query = {"ajax": "fetchexecflow", "execid": number}
    return ask(http, "GET", "/executor", params=query, name="fetchexecflow")


def has_ended(said: Mapping[str, Any]) -> bool:
    """Whether an execution that was fetched is over, and the time is told."""
    return said["status"] in TERMINAL and said["endTime"] > 0


def schedules_there(http: Session) -> Iterator[Schedule]:
    """Every schedule, also those of others."""
    said = ask(http, "GET", "/schedule", params={"ajax": "fetchSchedules"}, name="fetchSchedules")
    for entry in said.get("items", ()):
        project = entry["projectname"].lower()
        yield Schedule(project, f"{project}/{entry['flowname']}", entry["cron"], int(entry["scheduleId"]))


def project_id(http: Session, project: str) -> int | None:
    """None: there is no such project."""
    said = about(http, project, "getProjectId")
    return None if said is None else int(said["projectId"])


def upload(http: Session, project: str, flows: Sequence[str]) -> tuple[int, int]:
    """Replace all that a project holds by these flows; returns its id, and the version that came of it."""
    fields = {"ajax": "upload", "project": project}
    files = {"file": (f"{project}.zip", bundle(flows), "application/zip")}
    said = ask(http, "POST", "/manager", data=fields, files=files, name="upload")
    return int(said["projectId"]), int(said["version"])


def cancel(http: Session, number: int, poll_s: float) -> None:
    """Stop an execution; one that has ended is none to stop, nor one whose project is gone.

    "isn't running" is also said of one that is on its way to an executor just then: it is asked again.
    """
    query = {"ajax": "cancelFlow", "execid": number}
    for _ in range(LOOKS):
        try:
            ask(http, "GET", "/executor", params=query, name="cancelFlow")
        except AzkabanError as error:
            if any(words in str(error) for words in GONE):
                return
            if "isn't running" not in str(error):
                raise
        else:
            return
        if has_ended(fetch(http, number)):
            return
        time.sleep(poll_s)
    raise AzkabanError(f"execution {number} has not ended, and is not to be stopped")


def unschedule(http: Session, number: int) -> None:
    """One that is not there is none to take off."""
    try:
        fields = {"action": "removeSched", "scheduleId": number}
        ask(http, "POST", "/schedule", data=fields, name="removeSched")
    except AzkabanError as error:
        if "does not exist" not in str(error):
            raise


def delete_ours(
    http: Session, name: str, told: Sequence[Mapping[str, Any]], flows: Collection[str], named: str, tag: str
) -> str:
    """Delete a project of a run, and purge it, but not what others made or put there.

    Returns what is left and why, or nothing.  `told` is what the run's items returned of it; IN_DOUBT of
    those that failed, or that nobody knows about.  Where only these may have created it, its description
    decides.  What it holds must be of `flows`, or of other runs: `named` is the pattern of their flows.
    """
    number = project_id(http, name)
    ids = {entry["id"] for entry in told} - {None}
    if number is None or (
        ids and number not in ids
    ):  # it is gone, or another one that others have made since
        made = {entry["id"] for entry in told if entry["created"]}
        return "; ".join(filter(None, (purge(http, name, each) for each in sorted(made))))
    created = {entry["created"] for entry in told if entry["id"] in (number, None)}
    if created == {False}:
        return f"{name}: others created it"
    if True not in created and not is_ours(http, name, tag):
        return f"{name} is not described as made by this run"
    holds = listed(http, name) or ()
    foreign = [flow for flow in holds if flow not in flows and not re.fullmatch(named, flow)]
    if foreign:
        return f"{name} holds {min(foreign)}"
    delete(http, name)
    return purge(http, name, number)


def delete(http: Session, name: str) -> None:
    """Azkaban tells what came of it in a cookie of the redirect; without a session, by a login page."""
    response = page(http, "delete project", delete="true", project=name)
    failure = response.cookies.get("azkaban.failure.message") or ""
    if "azkaban.success.message" not in response.cookies and "doesn't exist" not in failure:
        raise AzkabanError(f"cannot delete project {name}: {failure or 'it was not said what came of it'}")


def purge(http: Session, name: str, number: int) -> str:
    """Drop what the database holds of a deleted project; returns why that could not be, or nothing."""
    query = {"purge": "true", "project": number}  # its name may be another's by now
    try:
        ask(http, "GET", "/manager", params=query, name="purge project")
    except AzkabanError as error:
        return f"{name} in the database, deleted: {error}"
    return ""
