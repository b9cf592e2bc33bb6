"""/mammut/jobs: the original story's front end."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest
from sandbox_client import GUEST, Client, a_zip, lines, without_session

from loadgen.sandbox import SandboxOptions, running
from loadgen.sandbox.azkaban import properties
from loadgen.sandbox.azkaban.mammut import _job

PATH = "/mammut/jobs"
FREE = SandboxOptions(front="create-job", front_base_cost_ms=0, front_cost_per_job_ms=0)


@pytest.fixture(scope="module")
def url():
    with running(FREE) as url:
        yield url


def test_a_job_is_a_flow_beside_those_that_the_project_has(client, project):
    client.upload(project, a_zip("old"))
    answer = client.post(PATH, project=project, name="new")
    assert answer.json() == {"status": "success", "project": project, "job": "new", "version": "2"}
    assert client.flows(project) == {"old", "new"}
    graph = client.get(ajax="fetchflowgraph", project=project, flow="new").json()
    assert graph["nodes"] == [{"id": "new", "type": "noop"}]


def test_the_first_job_of_a_project_may_have_a_command(client, project):
    assert client.post(PATH, project=project, name="a", command="echo \\ \n x").json()["version"] == "1"
    (node,) = client.get(ajax="fetchflowgraph", project=project, flow="a").json()["nodes"]
    assert node["type"] == "command"


@pytest.mark.parametrize("command", ["ls", "a\\nb", "a\nb=c\r\n", "c:\\temp", "a=b:c #d"])
def test_a_command_is_written_as_properties_are_read(command):
    assert properties.parse(_job(command)) == {"type": "command", "command": command}


def test_errors_say_what_is_wrong(client, project):
    client.post(PATH, project=project, name="a")

    def message(**fields: str) -> str:
        answer = client.post(PATH, **fields)
        assert answer.json()["status"] == "error"
        return answer.json()["message"]

    assert message(project=project, name="a") == f"Job a already exists in project {project}."
    assert message(project="nobody", name="a") == "Project nobody doesn't exist."
    assert message(project=project, name="../a").startswith("'../a' is no name for a job")
    assert message(project=project).startswith("'' is no name for a job")
    assert message(project=project, name="A") == "Installation Failed.<br>Error inserting flow a"
    assert client.flows(project) == {"a"}
    assert client.get(PATH).status_code == 405


def test_it_asks_for_a_session_and_for_the_right_to_the_project(client, url, project):
    answer = without_session(url, "POST", PATH, data={"project": project, "name": "a"})
    assert "login-form" in answer.text
    with closing(Client(url, GUEST)) as guest:
        assert "doesn't exist" in guest.post(PATH, project=project, name="a").json()["message"]
    assert client.flows(project) == set()


def test_of_jobs_that_are_created_at_once_none_is_lost(client, project):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.post(PATH, project=project, name=f"j{n}").json(), range(16)))
    assert sorted(int(answer["version"]) for answer in answers) == list(range(1, 17))
    assert client.flows(project) == {f"j{number}" for number in range(16)}


def test_a_job_takes_longer_the_more_there_are(tmp_path):
    log = tmp_path / "access.jsonl"
    options = SandboxOptions(
        front="create-job", front_base_cost_ms=1, front_cost_per_job_ms=20, access_log=log
    )
    with running(options) as url, closing(Client(url)) as client:
        client.create("p")
        for number in range(5):
            client.post(PATH, project="p", name=f"j{number}")
    times = [line["duration_ms"] for line in lines(log) if line["path"] == PATH]
    assert all(time >= 1 + 20 * number for number, time in enumerate(times))
    assert sum(later > earlier for earlier, later in pairwise(times)) >= 3


def test_without_being_asked_for_there_is_none():
    with running() as url, closing(Client(url)) as client:
        assert client.post(PATH, project="p", name="a").status_code == 302
