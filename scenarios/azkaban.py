"""How Azkaban is spoken to: its calls, and how it says that they failed.  For the scenarios beside this file.

Azkaban answers 200 to most errors, so success is what an answer says, not what its status is.  A session that
has ended is told in five ways; then nothing was done, and the call is made again after another login.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import requests

from loadgen import Retry, Session

RETRY = Retry(attempts=5, on=("connect", "timeout", 429, 500, 502, 503, 504))
"""For what can be repeated without harm.  Azkaban's 500 is permanent more often than not: few attempts."""
LOGIN_PAGE = "<!-- /.login -->"
LOGINS = 3
"""So often one call may find that the session has ended: more often in a row is no chance."""
RECENT = 50
"""Executions of a flow among which one is looked for."""


class AzkabanError(Exception):
    """What Azkaban answered instead of doing what it was asked."""


def log_in(http: Session, user: str, password: str) -> None:
    """The session's cookie comes with the answer."""
    http.headers["X-Requested-With"] = "XMLHttpRequest"  # an expired session is then told in JSON
    body = {"username": user, "password": password}
    said = answer(http.post("/", params={"action": "login"}, data=body, name="login"))
    if said.get("status") != "success":
        raise AzkabanError(said.get("error") or "the login was answered without a session")


def ask(http: Session, method: str, path: str, **request: Any) -> dict[str, Any]:
    """A call and the JSON in its answer; when the session has ended, after another login.

    Azkaban says 200 to most errors, too.  Raises AzkabanError.
    """
    for _ in range(LOGINS):
        response = http.request(method, path, **request)
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
    """The JSON; empty when there is none, as on Azkaban's pages."""
    try:
        said = response.json()
    except requests.JSONDecodeError:
        if response.ok and not is_login(response):
            shown = " ".join(response.text.split())[:120]
            raise AzkabanError(f"not JSON: {shown}") from None
        return {}
    return said if isinstance(said, dict) else {}


def is_login(response: requests.Response) -> bool:
    """Azkaban asks who we are, in HTML or in plain text."""
    return response.ok and (LOGIN_PAGE in response.text or response.text.startswith("Login error"))


def has_expired(said: dict[str, Any], response: requests.Response) -> bool:
    """The session has ended: Azkaban has five ways to say so, all with status 200."""
    if said:
        return said.get("error") == "session" or said.get("action") == "login"
    return is_login(response)


def create(http: Session, name: str) -> None:
    """Create a project, unless it is there."""
    fields = {"action": "create", "name": name, "description": "made by loadgen"}
    try:
        ask(http, "POST", "/manager", data=fields, name="create project")
    except AzkabanError as error:
        if "already exists" not in str(error):
            raise AzkabanError(f"cannot create project {name}: {error}") from None


def bundle(flows: Sequence[str]) -> bytes:
    """A project archive: one job that does nothing for each flow."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for flow in flows:
            archive.writestr(zipfile.ZipInfo(f"{flow}.job"), "type=noop\n")
    return buffer.getvalue()


def listed(http: Session, project: str) -> list[str] | None:
    """The flows that a project holds; None: there is no such project."""
    query = {"ajax": "fetchprojectflows", "project": project}
    try:
        listing = ask(http, "GET", "/manager", params=query, name="fetchprojectflows")
    except AzkabanError as error:
        if "doesn't exist" in str(error):
            return None
        raise
    return [flow["flowId"] for flow in listing["flows"]]


def recent(http: Session, project: str, flow: str) -> list[int]:
    """The ids of a flow's latest executions, the newest first."""
    query = {"ajax": "fetchFlowExecutions", "project": project, "flow": flow, "start": 0, "length": RECENT}
    said = ask(http, "GET", "/manager", params=query, name="fetchFlowExecutions")
    return [execution["execId"] for execution in said["executions"]]


def fetch(http: Session, number: int) -> dict[str, Any]:
    """How an execution stands.  Raises AzkabanError while it is not to be seen."""
    query = {"ajax": "fetchexecflow", "execid": number}
    return ask(http, "GET", "/executor", params=query, name="fetchexecflow")


def schedules_there(http: Session) -> Iterator[tuple[str, str, str, int]]:
    """Project, flow, cron and id of every schedule, also those of others."""
    said = ask(http, "GET", "/schedule", params={"ajax": "fetchSchedules"}, name="fetchSchedules")
    for entry in said.get("items", ()):
        yield entry["projectname"], entry["flowname"], entry["cron"], int(entry["scheduleId"])


def project_id(http: Session, project: str) -> int | None:
    """None: there is no such project."""
    query = {"ajax": "getProjectId", "project": project}
    try:
        return int(ask(http, "GET", "/manager", params=query, name="getProjectId")["projectId"])
    except AzkabanError as error:
        if "doesn't exist" in str(error):
            return None
        raise


def upload(http: Session, project: str, flows: Sequence[str]) -> int:
    """Replace all that a project holds by these flows; returns the version that came of it."""
    fields = {"ajax": "upload", "project": project}
    files = {"file": (f"{project}.zip", bundle(flows), "application/zip")}
    return int(ask(http, "POST", "/manager", data=fields, files=files, name="upload")["version"])


def cancel(http: Session, number: int) -> None:
    """One that has ended is none to cancel."""
    try:
        ask(http, "GET", "/executor", params={"ajax": "cancelFlow", "execid": number}, name="cancelFlow")
    except AzkabanError as error:
        if not any(words in str(error) for words in ("isn't running", "Cannot find", "is unreachable")):
            raise


def unschedule(http: Session, number: int) -> None:
    """One that is not there is none to take off."""
    try:
        fields = {"action": "removeSched", "scheduleId": number}
        ask(http, "POST", "/schedule", data=fields, name="removeSched")
    except AzkabanError as error:
        if "does not exist" not in str(error):
            raise


def delete(http: Session, name: str) -> None:
    """Azkaban tells what came of it in a cookie of the redirect; without a session, by a login page."""
    query = {"delete": "true", "project": name}
    for _ in range(LOGINS):
        response = http.get("/manager", params=query, name="delete project", allow_redirects=False)
        if not is_login(response):
            break
        http.expire()
    failure = response.cookies.get("azkaban.failure.message", "")
    if response.status_code != requests.codes.found or (failure and "doesn't exist" not in failure):
        raise AzkabanError(
            f"cannot delete project {name}: {failure or 'it was not answered with a redirect'}"
        )
