"""The sandbox over real sockets, with plain `requests` on the other side.

Tests named `test_edge_NN_...` are the edge cases of the facts about Azkaban, by their number there.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from statistics import median

import pytest
import requests

from loadgen.errors import AddressInUse, UsageError
from loadgen.sandbox import SandboxOptions, running

LOGIN = {"username": "azkaban", "password": "azkaban"}
AJAX = {"X-Requested-With": "XMLHttpRequest"}
LOGIN_PAGE = "<!-- /.login -->"
DEADLINE_S = 20


def a_zip(*names: str, **files: str) -> bytes:
    """Jobs of type noop by name, and files with a text of their own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(f"{name}.job", "type=noop\n")
        for name, text in files.items():
            archive.writestr(f"{name}.job", text)
    return buffer.getvalue()


class Client:
    """A logged-in user who sends `session.id` with everything, and no cookie."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.session_id = self.http.post(f"{url}/?action=login", data=LOGIN).json()["session.id"]
        self.http.cookies.clear()

    def close(self) -> None:
        self.http.close()

    def get(self, path: str = "/manager", **params: str) -> requests.Response:
        params = {"session.id": self.session_id, **params}
        return self.http.get(self.url + path, params=params, allow_redirects=False)

    def post(self, path: str = "/manager", **data: str) -> requests.Response:
        data = {"session.id": self.session_id, **data}
        return self.http.post(self.url + path, data=data, allow_redirects=False)

    def create(self, name: str, description: str = "d") -> requests.Response:
        return self.post(action="create", name=name, description=description)

    def upload(self, project: str, data: bytes, **changes) -> requests.Response:
        fields = {"ajax": "upload", "project": project, "session.id": self.session_id} | changes.pop(
            "fields", {}
        )
        file = changes.pop("file", ("flows.zip", data, "application/zip"))
        files = {"file": file} if file else {"other": "x"}
        return self.http.post(
            f"{self.url}/manager", data=fields, files=files, allow_redirects=False, **changes
        )

    def flows(self, project: str) -> set[str]:
        return {
            flow["flowId"] for flow in self.get(ajax="fetchprojectflows", project=project).json()["flows"]
        }


def without_session(url: str, method: str = "GET", path: str = "/manager", **more) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, url + path, allow_redirects=False, **more)


@pytest.fixture(scope="module")
def url():
    with running() as url:
        yield url


@pytest.fixture
def client(url):
    with closing(Client(url)) as client:
        yield client


@pytest.fixture(scope="module")
def names():
    return (f"project{number}" for number in count())


@pytest.fixture
def project(client, names):
    name = next(names)
    assert client.create(name).json()["status"] == "success"
    return name


def test_edge_01_an_upload_replaces_all_flows(client, project):
    client.upload(project, a_zip("a", "b"))
    assert client.flows(project) == {"a", "b"}
    client.upload(project, a_zip("b", "c"))
    assert client.flows(project) == {"b", "c"}


def test_edge_03_two_uploads_at_once_both_succeed_and_the_last_wins(url, client, project):
    """Big zips, so that they are read in threads, side by side."""
    zips = [a_zip(*(f"{letter}{number}" for number in range(500))) for letter in "abcd"]
    start = threading.Barrier(len(zips))

    def send(data: bytes) -> requests.Response:
        with closing(Client(url)) as own:
            start.wait()
            return own.upload(project, data)

    with ThreadPoolExecutor(len(zips)) as pool:
        answers = list(pool.map(send, zips))
    assert [answer.status_code for answer in answers] == [200] * 4
    versions = [int(answer.json()["version"]) for answer in answers]
    assert sorted(versions) == [1, 2, 3, 4]
    assert client.flows(project) == {f"{'abcd'[versions.index(4)]}{number}" for number in range(500)}
    assert client.upload(project, a_zip("z")).json()["version"] == "5"


def test_edge_04_zip_without_flows_wipes(client, project):
    client.upload(project, a_zip("a"))
    answer = client.upload(project, a_zip())
    assert (answer.status_code, answer.json()["version"]) == (200, "2")
    assert client.flows(project) == set()


def test_edge_05_one_bad_job_rejects_all_and_the_version_stays(client, project):
    project_id = client.upload(project, a_zip("old")).json()["projectId"]
    answer = client.upload(project, a_zip("good", bad="command=ls"))
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "error": "Validator Directory Flow reports errors:<br><br>Job doesn't have type set 'bad'.<br>",
        "projectId": project_id,
        "version": "1",
    }
    assert client.flows(project) == {"old"}


def test_edge_05_a_long_report_is_cut(client, project):
    answer = client.upload(project, a_zip(**{f"job{number:03}": "x=y" for number in range(200)}))
    assert len(answer.json()["error"]) == 4000


def test_edge_06_ids_are_strings_in_an_upload_and_numbers_in_a_query(client, project):
    said = client.upload(project, a_zip("a")).json()
    asked = client.get(ajax="fetchprojectflows", project=project).json()
    assert said == {"projectId": str(asked["projectId"]), "version": "1"}
    assert isinstance(asked["projectId"], int)
    assert asked["project"] == project


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (("flows.txt", b"x", "application/zip"), "File extension 'txt' unrecognized."),
        (("flows", b"x", "application/zip"), "File extension '' unrecognized."),
        (("flows.TAR.GZ", b"x"), "File extension 'gz' unrecognized."),
        (("flows.zip", b"x"), "Content type 'null' does not match extension 'zip'"),
        (("flows.zip", b"x", "text/plain"), "Content type 'text/plain' does not match extension 'zip'"),
    ],
)
def test_edge_07_the_part_needs_the_right_name_and_type(client, project, file, error):
    answer = client.upload(project, b"", file=file)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    "kind", ["application/zip;x=y", "application/x-zip-compressed", "application/octet-stream"]
)
def test_edge_07_three_types_will_do_and_any_case_of_zip(client, project, kind):
    assert client.upload(project, b"", file=("F.ZIP", a_zip("a"), kind)).status_code == 200


def test_edge_07_an_unknown_project_is_gone(client):
    answer = client.upload("nobody", a_zip("a"))
    assert (answer.status_code, answer.json()) == (
        410,
        {"error": "Installation Failed. Project 'nobody doesn't exist."},
    )


def test_edge_07_no_project_is_a_bad_request(client):
    answer = client.upload("", a_zip("a"))
    assert (answer.status_code, answer.json()) == (400, {"error": "No project name found."})


def test_edge_07_no_file_is_a_crash(client, project):
    answer = client.upload(project, b"", file=None)
    assert answer.status_code == 500
    assert "NullPointerException" in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def a_zip_slip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil.job", "type=noop")
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"no zip", a_zip_slip()])
def test_edge_07_what_cannot_be_unpacked_is_a_500_with_the_old_version(client, project, data):
    client.upload(project, a_zip("a"))
    answer = client.upload(project, data)
    assert answer.status_code == 500
    assert answer.json()["error"] == "Installation Failed.<br>Error unzipping file."
    assert answer.json()["version"] == "1"
    assert client.flows(project) == {"a"}


def test_edge_08_upload_only_in_the_url_does_nothing(client, project):
    answer = client.http.post(
        f"{client.url}/manager",
        params={"ajax": "upload", "project": project, "session.id": client.session_id},
        files={"file": ("flows.zip", a_zip("a"), "application/zip")},
    )
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.flows(project) == set()


def test_an_upload_of_many_segments_arrives_whole(client, project):
    big = f"type=noop\nnoise={os.urandom(1_000_000).hex()}"
    assert client.upload(project, a_zip("a", b=big, c=big)).status_code == 200
    assert client.flows(project) == {"a", "b", "c"}


def test_the_form_upload_of_the_web_pages_is_a_redirect(client, project):
    answer = client.upload(project, a_zip("a"), fields={"ajax": None, "action": "upload"})
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        f"{client.url}/manager?project={project}",
    )
    assert client.flows(project) == {"a"}
    answer = client.upload(project, b"", fields={"ajax": None, "action": "upload"})
    assert 'azkaban.failure.message="Installation Failed.<br>' in answer.headers["Set-Cookie"]


def test_edge_09_stranger_gets_with_ajax(url):
    answer = without_session(url, params={"ajax": "fetchprojectflows", "project": "p"})
    assert (answer.status_code, answer.text) == (200, '{\n  "error" : "session"\n}')


def test_edge_09_stranger_gets_without_ajax(url):
    answer = without_session(url, params={"delete": "true", "project": "p"})
    assert answer.status_code == 200
    assert LOGIN_PAGE in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_edge_09_stranger_posts_as_ajax(url):
    answer = without_session(url, "POST", data={"action": "create"}, headers=AJAX)
    assert (answer.status_code, answer.headers.get("Content-Type")) == (200, None)
    assert json.loads(answer.text) == {
        "status": "error",
        "message": "Invalid Session. Need to re-login",
        "action": "login",
    }


def test_edge_09_stranger_posts_as_a_page(url):
    answer = without_session(url, "POST", data={"action": "create"})
    assert answer.status_code == 200
    assert LOGIN_PAGE in answer.text


def test_edge_09_stranger_uploads(url):
    answer = without_session(
        url, "POST", data={"ajax": "upload"}, files={"file": ("f.zip", b"")}, headers=AJAX
    )
    assert (answer.status_code, answer.text) == (200, "Login error. Need username and password")


def test_edge_09_a_restart_forgets_sessions_and_so_does_logout(client):
    with running() as other:
        answer = without_session(other, params={"ajax": "x", "session.id": client.session_id})
        assert answer.json() == {"error": "session"}
    out = client.get("/index", logout="")
    assert (out.status_code, out.headers["Location"]) == (302, f"{client.url}/")
    assert client.get(ajax="getProjectId", project="p").json() == {"error": "session"}


def test_edge_10_a_stale_cookie_beats_a_good_parameter(client, project):
    def ask(cookie: str) -> dict:
        headers = {"Cookie": f"other=1; azkaban.browser.session.id={cookie}"}
        params = {"session.id": client.session_id, "ajax": "getProjectId", "project": project}
        return without_session(client.url, params=params, headers=headers).json()

    assert ask("stale") == {"error": "session"}
    assert ask("")["project"] == project
    assert ask(client.session_id)["project"] == project


def test_edge_10_the_session_may_come_with_the_form_or_as_a_part(client, project):
    assert client.post(ajax="getProjectId", project=project).json()["project"] == project
    assert client.upload(project, a_zip("a")).status_code == 200


def test_edge_11_login_sets_a_cookie_that_works(url):
    with requests.Session() as http:
        http.trust_env = False
        answer = http.post(f"{url}/index", data={"action": "login", **LOGIN})
        session_id = answer.json()["session.id"]
        assert answer.json() == {"status": "success", "session.id": session_id}
        assert answer.headers["Set-Cookie"] == f"azkaban.browser.session.id={session_id}; Path=/"
        assert http.get(f"{url}/index", params={"ajax": "fetchallprojects"}).json()["projects"] is not None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"username": "azkaban", "password": "x"}, "Incorrect Login. Username/Password not found."),
        ({"username": "x", "password": "azkaban"}, "Incorrect Login. Username/Password not found."),
        ({"username": "azkaban", "password": ""}, "Incorrect Login. Password is empty."),
        ({"username": "", "password": "x"}, "Incorrect Login. Username is empty."),
        ({"username": "azkaban"}, "Incorrect Login."),
        ({"password": "azkaban"}, "Incorrect Login."),
        ({}, "Incorrect Login."),
    ],
)
def test_edge_11_a_failed_login_is_a_200(url, fields, error):
    answer = without_session(url, "POST", "/?action=login", data=fields)
    assert (answer.status_code, answer.json()) == (200, {"error": error})
    assert "Set-Cookie" not in answer.headers


def test_edge_11_a_password_in_the_query_is_refused_in_plain_text(url):
    answer = without_session(url, "POST", "/", params={"action": "login", **LOGIN})
    assert (answer.status_code, answer.text) == (
        200,
        "Login error. Must pass username and password in request body",
    )


def test_edge_11_name_and_password_serve_one_request(url, names):
    name = next(names)
    fields = {"action": "create", "name": name, "description": "d", **LOGIN}
    answer = without_session(url, "POST", data=fields)
    assert json.loads(answer.text)["status"] == "success"
    assert "Set-Cookie" not in answer.headers
    answer = without_session(
        url,
        "POST",
        data={"ajax": "upload", "project": name, **LOGIN},
        files={"file": ("f.zip", a_zip("a"), "application/zip")},
    )
    assert answer.json()["version"] == "1"


@pytest.mark.parametrize("files", [None, {"file": ("f.zip", b"")}])
def test_edge_11_a_wrong_password_for_one_request_is_plain_text(url, files):
    fields = {"action": "create", "username": "azkaban", "password": "x"}
    answer = without_session(url, "POST", data=fields, files=files)
    assert (answer.status_code, answer.text) == (200, "Login error: Username/Password not found.")


def test_edge_12_create_answers_compact_json_without_a_content_type(client, names):
    name = next(names)
    answer = client.create(name)
    assert "Content-Type" not in answer.headers
    assert answer.text == f'{{"status":"success","path":"manager?project={name}","action":"redirect"}}'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Project name cannot be empty."),
        ({"name": "x"}, "Description cannot be empty."),
        (
            {"name": "1x", "description": "d"},
            "Project names must start with a letter, followed by any number of letters, digits, '-' or '_'.",
        ),
    ],
)
def test_edge_12_create_complains_under_message(client, fields, message):
    answer = client.post(action="create", **fields)
    assert answer.status_code == 200
    assert json.loads(answer.text) == {"status": "error", "message": message}


def test_edge_12_names_know_no_case(client, project):
    assert json.loads(client.create(project.upper()).text)["message"] == "Project already exists."
    assert client.get(ajax="getProjectId", project=project.upper()).json()["projectId"] > 0


def test_edge_12_of_many_creates_of_one_name_one_wins(url, names):
    name = next(names)

    def create(_: int) -> str:
        with closing(Client(url)) as own:
            return json.loads(own.create(name).text)["status"]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == ["error"] * 7 + ["success"]


def test_edge_12_create_is_post_only(client, names):
    name = next(names)
    client.get(action="create", name=name, description="d")
    assert client.get(ajax="getProjectId", project=name).json()["error"] == f"Project {name} doesn't exist."


def test_edge_13_delete_is_a_redirect_with_a_quoted_cookie(client, project):
    first_id = client.get(ajax="getProjectId", project=project).json()["projectId"]
    answer = client.get(delete="true", project=project)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{client.url}/")
    assert answer.headers["Set-Cookie"] == (
        f"azkaban.success.message=\"Project '{project}' was successfully deleted"
        ' and associated schedules are removed."; Path=/'
    )
    answer = client.get(delete="true", project=project)
    assert answer.status_code == 302
    assert (
        answer.headers["Set-Cookie"] == f'azkaban.failure.message="Project {project} doesn\'t exist."; Path=/'
    )
    assert client.create(project).json()["status"] == "success"
    assert client.get(ajax="getProjectId", project=project).json()["projectId"] > first_id
    assert client.flows(project) == set()


def test_edge_13_delete_is_get_only(client, project):
    answer = client.post(delete="true", project=project)
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.flows(project) == set()


def test_a_deleted_project_can_be_purged_by_its_id(client, project):
    number = str(client.get(ajax="getProjectId", project=project).json()["projectId"])
    assert client.get(purge="true", project=project).json() == {
        "error": f"Project {project} should be deleted before purging",
        "success": False,
    }
    client.get(delete="true", project=project)
    assert client.get(purge="true", project=project).json()["success"] is False
    assert client.get(purge="true", project=number).json() == {"success": True}


def test_edge_23_a_missing_parameter_is_a_jetty_page(client, project):
    for answer in (client.get(ajax="fetchflowgraph", project=project), client.post(ajax="getProjectId")):
        assert answer.status_code == 500
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Powered by Jetty://" in answer.text
    assert "Missing required parameter 'project'." in client.get(ajax="getProjectId").text


def test_edge_23_an_unknown_path_is_a_redirect_or_a_login_page(client, url):
    for answer in (client.get("/no/such/path"), client.post("/"), client.get("/")):
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}/index")
    assert LOGIN_PAGE in without_session(url, path="/no/such/path").text


def test_edge_23_an_unknown_command_is_an_error_inside_a_200(client, project):
    answer = client.get(ajax="fetchprojectflow", project=project)
    assert (answer.status_code, answer.json()["error"]) == (200, "Cannot execute command fetchprojectflow")
    assert client.get("/index", ajax="fetchalprojects").json() == {}
    assert client.get(ajax="x", project="nobody").json() == {
        "project": "nobody",
        "error": "Project nobody doesn't exist.",
    }


def test_edge_23_a_body_that_is_cut_short_is_a_jetty_page(client):
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.http.post(f"{client.url}/manager", data=b"--b\r\n", headers=kind)
    assert answer.status_code == 500
    assert "Stream ended unexpectedly" in answer.text


def test_edge_25_flow_ids_that_differ_in_case_only_fail_and_cost_a_version(client, project):
    client.upload(project, a_zip("old"))
    answer = client.upload(project, a_zip("A", "a"))
    assert answer.status_code == 500
    assert answer.json()["error"] == "Installation Failed.<br>Error inserting flow a"
    assert answer.json()["version"] == "1"
    assert client.flows(project) == {"old"}
    assert client.upload(project, a_zip("new")).json()["version"] == "3"


def test_lists_of_projects(client, project):
    everything = client.get("/index", ajax="fetchallprojects").json()["projects"]
    mine = client.get("/index", ajax="fetchuserprojects").json()["projects"]
    assert everything == mine
    assert client.get("/index", ajax="fetchuserprojects", user="nobody").json() == {"projects": []}
    (listed,) = [each for each in everything if each["projectName"] == project]
    assert listed["createdBy"] == "azkaban"
    assert listed["createdTime"] > 1_700_000_000_000
    assert set(listed) == {
        "projectId",
        "projectName",
        "createdBy",
        "createdTime",
        "userPermissions",
        "groupPermissions",
    }


def test_the_graph_of_a_flow(client, project):
    jobs = {
        "a": "type=noop",
        "b": "type=command\ncommand=ls\ndependencies=a\ncondition=one_success",
        "inner": "type=noop",
        "c": "type=flow\nflow.name=inner\ndependencies=b,a",
    }
    client.upload(project, a_zip(**jobs))
    graph = client.get(ajax="fetchflowgraph", project=project, flow="c").json()
    assert (graph["project"], graph["flow"]) == (project, "c")
    assert graph["nodes"] == [
        {"id": "a", "type": "noop"},
        {"id": "b", "type": "command", "condition": "one_success", "in": ["a"]},
        {
            "id": "c",
            "type": "flow",
            "flowId": "inner",
            "flow": "inner",
            "nodes": [{"id": "inner", "type": "noop"}],
            "in": ["a", "b"],
        },
    ]
    unknown = client.get(ajax="fetchflowgraph", project=project, flow="x").json()
    assert unknown["error"] == f"Flow x not found in project {project}"


def test_a_flow_2_zip_is_refused_in_clear_words(client, project):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("p.project", "azkaban-flow-version: 2.0")
    answer = client.upload(project, buffer.getvalue())
    assert answer.status_code == 500
    assert "The sandbox does not speak Flow 2.0 yet" in answer.json()["error"]


def test_status_needs_no_login(url):
    answer = without_session(url, path="/status")
    assert answer.json()["isDatabaseUp"] is True
    assert answer.json()["pid"] == str(os.getpid())


def test_routes_that_are_not_built_say_so(client, url):
    assert client.get("/triggers").status_code == 501
    assert LOGIN_PAGE in without_session(url, path="/triggers").text


def test_other_methods_are_refused(url):
    assert without_session(url, "PUT").status_code == 405
    assert without_session(url, "POST", "/status").status_code == 405
    assert without_session(url, "HEAD", "/index").content == b""


def test_answers_on_a_kept_connection_do_not_wait_for_an_acknowledgement(url):
    """Nagle's algorithm would hold the second segment of each answer back; new connections are spared."""

    def seconds(ask: Callable[[], object]) -> float:
        started = time.perf_counter()
        ask()
        return time.perf_counter() - started

    with requests.Session() as http:
        http.trust_env = False
        kept = median(seconds(lambda: http.get(f"{url}/status").content) for _ in range(21))
    new = median(seconds(lambda: without_session(url, path="/status").content) for _ in range(21))
    assert kept < 5 * new


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def until_lines(path, wanted: int) -> list[dict]:
    """The log once it has so many lines."""
    tick = threading.Event()
    for _ in range(DEADLINE_S * 100):
        found = lines(path)
        if len(found) >= wanted:
            return found
        tick.wait(0.01)
    raise AssertionError(f"only {len(found)} lines")


def test_the_access_log_has_one_line_a_request_before_its_answer(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log)) as url, closing(Client(url)) as client:
        assert [line["action"] for line in lines(log)] == ["login"]
        client.create("p")
        headers = {"X-Loadgen-Run": "r1", "X-Loadgen-Item": "7", "X-Loadgen-Attempt": "2"}
        client.upload("p", a_zip("a", "b"), headers=headers)
        client.upload("p", b"no zip")
        client.get(ajax="fetchprojectflows", project="p")
        client.get(delete="true", project="p")
        without_session(url, path="/nowhere")
        found = lines(log)
    facts = [
        (line["method"], line["action"], line["project"], line["status"], line["flows"]) for line in found
    ]
    assert facts == [
        ("POST", "login", None, 200, None),
        ("POST", "create", "p", 200, None),
        ("POST", "upload", "p", 200, 2),
        ("POST", "upload", "p", 500, None),
        ("GET", "fetchprojectflows", "p", 200, None),
        ("GET", "delete", "p", 302, None),
        ("GET", None, None, 200, None),
    ]
    assert [(line["run"], line["item"], line["attempt"]) for line in found[1:3]] == [
        (None,) * 3,
        ("r1", 7, 2),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"]) for line in found)
    assert all(line["duration_ms"] >= 0 for line in found)
    assert found[4]["path"] == "/manager?session.id=***&ajax=fetchprojectflows&project=p"
    assert client.session_id not in log.read_text()


def test_a_request_whose_client_left_is_logged_and_takes_effect(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log, latency_ms=200)) as url, closing(Client(url)) as client:
        with pytest.raises(requests.Timeout):
            client.http.post(
                f"{url}/manager",
                data={"action": "create", "name": "p", "description": "d", "session.id": client.session_id},
                timeout=0.05,
            )
        found = until_lines(log, 2)
        assert [(line["action"], line["status"]) for line in found] == [("login", 200), ("create", 200)]
        assert found[1]["duration_ms"] >= 200
        assert client.flows("p") == set()
    assert len(lines(log)) == 3


def test_a_request_that_never_came_whole_is_logged_without_a_status(tmp_path):
    log = tmp_path / "access.jsonl"
    with running(SandboxOptions(access_log=log)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            head = "POST /manager HTTP/1.1\r\nHost: x\r\nX-Loadgen-Item: 3\r\nContent-Length: 100\r\n\r\n"
            half.sendall(head.encode() + b"action=create")
        (line,) = until_lines(log, 1)
    assert (line["method"], line["item"], line["action"], line["status"]) == ("POST", 3, None, None)


def test_a_request_in_flight_when_the_sandbox_stops_is_answered_and_logged(tmp_path):
    log = tmp_path / "access.jsonl"
    read = threading.Event()
    answers = []

    def ask(url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as connection:
            head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
            read.set()
            connection.sendall(b"x")
            answers.append(connection.recv(12))

    with running(SandboxOptions(access_log=log, latency_ms=300)) as url:
        asking = threading.Thread(target=ask, args=(url,))
        asking.start()
        assert read.wait(DEADLINE_S)
    asking.join()
    assert answers == [b"HTTP/1.1 200"]
    assert [line["status"] for line in lines(log)] == [200]


def test_latency_is_added_without_holding_others_up():
    with running(SandboxOptions(latency_ms=200)) as url, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: without_session(url, path="/status"), range(20)))
    times = [answer.elapsed.total_seconds() for answer in answers]
    assert min(times) >= 0.2
    assert max(times) < 10 * 0.2, "one after the other would take 20 times the latency"


def test_the_fail_rate_fails_uploads_and_creates_before_they_have_any_effect():
    def fates(seed: int) -> list[bool]:
        with running(SandboxOptions(fail_rate=0.5, seed=seed)) as url, closing(Client(url)) as client:
            fates = []
            for number in range(40):
                answer = client.create(f"p{number}")
                exists = "error" not in client.get(ajax="getProjectId", project=f"p{number}").json()
                assert answer.status_code == (200 if exists else 500)
                fates.append(exists)
            (name, *_) = (f"p{number}" for number, exists in enumerate(fates) if exists)
            for number in range(40):
                before = client.flows(name)
                answer = client.upload(name, a_zip(f"f{number}"))
                fates.append(answer.status_code == 200)
                assert client.flows(name) == ({f"f{number}"} if fates[-1] else before)
                if not fates[-1]:
                    assert answer.json()["error"].startswith("Installation Failed.<br>")
                    assert set(answer.json()) == {"error", "projectId", "version"}
            return fates

    first = fates(1)
    assert 10 < sum(first[:40]) < 30
    assert 10 < sum(first[40:]) < 30
    assert fates(1) == first
    assert fates(2) != first


def test_a_port_in_use_is_one_clear_line(url):
    port = int(url.rpartition(":")[2])
    with (
        pytest.raises(AddressInUse, match=rf"^127\.0\.0\.1:{port} is in use"),
        running(SandboxOptions(port=port)),
    ):
        pass


@pytest.mark.parametrize("options", [{"host": "192.0.2.1"}, {"port": 99999}])
def test_an_address_that_is_none_is_one_clear_line(options):
    with pytest.raises(UsageError, match="cannot listen on"), running(SandboxOptions(**options)):
        pass


SERVE = """
import sys
from pathlib import Path
from loadgen.sandbox import SandboxOptions, serve
serve(SandboxOptions(access_log=Path(sys.argv[1])), ready=lambda port: print(port, flush=True))
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_quietly_on_a_signal(tmp_path, number):
    command = [sys.executable, "-c", SERVE, str(tmp_path / "access.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        assert without_session(f"http://127.0.0.1:{port}", path="/status").status_code == 200
        process.send_signal(number)
        out, errors = process.communicate(timeout=DEADLINE_S)
    assert (out, errors, process.returncode) == ("stopped\n", "", 0)


def test_a_kill_loses_no_line_that_was_answered(tmp_path):
    log = tmp_path / "access.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(log)], stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        for _ in range(5):
            without_session(f"http://127.0.0.1:{port}", path="/status")
        process.kill()
    assert len(lines(log)) == 5


def test_importing_the_sandbox_is_cheap():
    code = (
        "import sys, loadgen.sandbox; print([name for name in ('uvicorn', 'asyncio') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
