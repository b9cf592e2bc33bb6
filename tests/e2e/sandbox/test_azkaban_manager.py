"""/manager: create, delete, purge, and the questions about a project."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sandbox_client import GUEST, Client, a_zip

from loadgen.sandbox import SandboxOptions, running


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


def test_edge_23_an_unknown_command_is_an_error_inside_a_200(client, project):
    answer = client.get(ajax="fetchprojectflow", project=project)
    assert (answer.status_code, answer.json()["error"]) == (200, "Cannot execute command fetchprojectflow")
    assert client.get("/index", ajax="fetchalprojects").json() == {}
    assert client.get(ajax="x", project="nobody").json() == {
        "project": "nobody",
        "error": "Project nobody doesn't exist.",
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


def test_who_has_no_rights_may_not_even_read(client, url, project):
    with closing(Client(url, GUEST)) as guest:
        said = guest.get(ajax="fetchprojectflows", project=project).json()
        assert said["error"] == "Permission denied. Need READ access."
        answer = guest.get(delete="true", project=project)
        assert answer.status_code == 302
        assert (
            "azkaban.failure.message=\"Cannot delete. User 'guest' is not an ADMIN.\""
            in (answer.headers["Set-Cookie"])
        )
        number = str(client.get(ajax="getProjectId", project=project).json()["projectId"])
        client.get(delete="true", project=project)
        assert guest.get(purge="true", project=number).json() == {
            "error": "Cannot purge. User 'guest' is not an ADMIN.",
            "success": False,
        }


def test_edge_12_a_lockdown_leaves_creating_to_administrators():
    with running(SandboxOptions(lockdown="create")) as url:
        with closing(Client(url, GUEST)) as guest:
            assert json.loads(guest.create("p").text) == {
                "status": "error",
                "message": "User guest doesn't have permission to create projects.",
            }
        with closing(Client(url)) as client:
            assert json.loads(client.create("p").text)["status"] == "success"


def test_edge_13_a_delete_takes_its_time_and_the_name_is_free_after_it():
    with running(SandboxOptions(base_cost_ms=100)) as url, closing(Client(url)) as client:
        client.create("p")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: client.get(delete="true", project="p"), range(4)))
        assert [answer.status_code for answer in answers] == [302] * 4
        assert answers[0].elapsed.total_seconds() >= 0.1
        assert client.create("p").json()["status"] == "success"
