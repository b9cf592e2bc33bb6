"""/index, /status, and the paths that are none."""

import os

from sandbox_client import LOGIN_PAGE, without_session


def test_edge_23_an_unknown_path_is_a_redirect_or_a_login_page(client, url):
    for answer in (client.get("/no/such/path"), client.post("/"), client.get("/")):
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{url}/index")
    assert LOGIN_PAGE in without_session(url, path="/no/such/path").text


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
