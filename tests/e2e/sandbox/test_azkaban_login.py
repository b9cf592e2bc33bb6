"""Sessions and logins, in front of every servlet."""

import json
from contextlib import closing

import pytest
import requests
from sandbox_client import AJAX, GUEST, LOGIN, LOGIN_PAGE, Client, a_zip, without_session

from loadgen.sandbox import SandboxOptions, running


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


def test_edge_09_a_restart_forgets_sessions(tmp_path):
    """And nothing else: the project is there."""
    options = SandboxOptions(state=tmp_path / "state.jsonl")
    query = {"ajax": "getProjectId", "project": "kept"}
    with running(options) as url, closing(Client(url)) as before:
        before.create("kept")
        query["session.id"] = before.session_id
        assert without_session(url, params=query).json()["projectId"] == 1
    with running(options) as url, closing(Client(url)) as again:
        assert without_session(url, params=query).json() == {"error": "session"}
        assert again.get(ajax="getProjectId", project="kept").json()["projectId"] == 1


def test_edge_09_logout_ends_a_session(client):
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


ENDED = {
    "an ajax GET": (("GET", {"params": {"ajax": "x"}}), '{\n  "error" : "session"\n}'),
    "a GET": (("GET", {"params": {"delete": "true"}}), LOGIN_PAGE),
    "an ajax POST": (
        ("POST", {"data": {"action": "create"}, "headers": AJAX}),
        '{"status":"error","message":"Invalid Session. Need to re-login","action":"login"}',
    ),
    "a POST": (("POST", {"data": {"action": "create"}}), LOGIN_PAGE),
    "an upload": (
        ("POST", {"data": {"ajax": "upload"}, "files": {"file": ("f.zip", b"")}}),
        "Login error. Need username and password",
    ),
}
"""How each kind of request hears that its session has ended."""


@pytest.fixture(scope="module")
def short_url():
    """Sessions end after three calls."""
    with running(SandboxOptions(session_calls=3)) as url:
        yield url


@pytest.mark.parametrize("kind", ENDED)
def test_edge_09_a_session_that_ended_after_so_many_calls_is_none(short_url, kind):
    (method, request), shape = ENDED[kind]
    with closing(Client(short_url)) as client:
        for _ in range(3):
            assert client.get("/index", ajax="fetchallprojects").json()["projects"] == []
        cookie = {"Cookie": f"azkaban.browser.session.id={client.session_id}"}
        answer = without_session(
            short_url, method, **request | {"headers": request.get("headers", {}) | cookie}
        )
        assert answer.status_code == 200
        assert shape in answer.text


def test_edge_09_a_session_ends_a_while_after_its_last_use():
    with running(SandboxOptions(session_ttl_s=0)) as url, closing(Client(url)) as client:
        assert client.get(ajax="x").json() == {"error": "session"}
    with running(SandboxOptions(session_ttl_s=60)) as url, closing(Client(url)) as client:
        assert "projects" in client.get("/index", ajax="fetchallprojects").json()


def test_edge_11_a_user_with_too_many_sessions_is_refused_and_gets_a_cookie():
    with running(SandboxOptions(max_sessions_per_user=2)) as url:
        for _ in range(2):
            Client(url).close()
        answer = without_session(url, "POST", "/?action=login", data=LOGIN)
        assert answer.json() == {
            "error": "Potential DDoS found, the number of sessions for this user and IP "
            "reached allowed limit (2)."
        }
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        answer = without_session(url, params={"ajax": "x"}, headers={"Cookie": cookie})
        assert answer.json() == {"error": "session"}
        Client(url, GUEST).close()
