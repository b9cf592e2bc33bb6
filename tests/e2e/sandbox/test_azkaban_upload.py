"""/manager: uploads, with plain `requests` on the other side."""

import io
import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
from sandbox_client import GUEST, Client, a_zip, lines, without_session

from loadgen.sandbox import SandboxOptions, running


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


def a_flow_2_zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("p.project", "azkaban-flow-version: 2.0")
        for name, text in files.items():
            archive.writestr(f"{name}.flow", text)
    return buffer.getvalue()


def test_a_flow_2_zip_has_a_flow_a_file_and_what_it_embeds_is_not_listed(client, project):
    text = "nodes: [{name: in, type: flow, nodes: [{name: a, type: noop}]}]"
    assert client.upload(project, a_flow_2_zip(f=text)).json()["version"] == "1"
    assert client.flows(project) == {"f"}
    graph = client.get(ajax="fetchflowgraph", project=project, flow="f").json()
    assert graph["nodes"] == [
        {
            "id": "in",
            "type": "flow",
            "flowId": "f:in",
            "flow": "f:in",
            "nodes": [{"id": "a", "type": "noop"}],
        }
    ]


def test_edge_05_one_bad_flow_file_rejects_all_and_a_bad_project_file_is_no_report(client, project):
    answer = client.upload(project, a_flow_2_zip(f="nodes: [{name: a, type: noop}]", g=""))
    assert (answer.status_code, answer.json()["version"]) == (500, "0")
    assert answer.json()["error"] == (
        "Validator Directory Flow reports errors:<br><br>Error loading flow yaml file g.flow:"
        "Failed to load flow file g.flow. Node bean is null .<br>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("p.project", "azkaban-flow-version: 2")
    assert client.upload(project, buffer.getvalue()).json()["error"] == (
        "Installation Failed.<br>Invalid azkaban-flow-version in the project YAML file."
    )
    assert client.flows(project) == set()


def test_edge_05_a_failure_is_cut_at_512(client, project):
    answer = client.upload(project, a_zip(a=f"type=noop\nXmx={'9x' * 400}"))
    error = answer.json()["error"].removeprefix("Installation Failed.<br>")
    assert error.startswith('For input string: "9x')
    assert len(error.removesuffix("<br>Too many errors to display.<br>")) == 512


@pytest.mark.parametrize("fix", ["on", "off"])
def test_fix_is_taken_and_means_nothing_where_no_validator_mends(client, project, fix):
    answer = client.upload(project, a_zip("a"), fields={"fix": fix})
    assert set(answer.json()) == {"projectId", "version"}


def test_a_site_s_validator_warns_and_refuses_when_it_may_not_mend():
    windows = a_zip("b", a="type=noop\r\n")
    with running(SandboxOptions(site_validator=True)) as url, closing(Client(url)) as client:
        client.create("p")
        answer = client.upload("p", windows)
        assert answer.json() == {
            "projectId": "1",
            "version": "1",
            "warn": "Validator Line Ends reports warnings:<br><br>a.job has Windows line ends.<br>",
        }
        answer = client.upload("p", windows, fields={"ajax": None, "action": "upload"})
        assert 'azkaban.warn.message="Validator Line Ends' in answer.headers["Set-Cookie"]
        answer = client.upload("p", windows, fields={"fix": "off"})
        assert (answer.status_code, answer.json()["version"]) == (500, "2")
        assert answer.json()["error"] == (
            "Validator Line Ends reports errors:<br><br>a.job has Windows line ends.<br>"
        )
        answer = client.upload("p", a_zip(a="type=noop\r\n", b="x=y"))
        assert set(answer.json()) == {"error", "warn", "projectId", "version"}
        many = a_zip(**{f"job{number:03}": "type=noop\r\n" for number in range(200)})
        assert len(client.upload("p", many).json()["warn"]) == 4000
        assert set(client.upload("p", a_zip("c"), fields={"fix": "off"}).json()) == {"projectId", "version"}


def test_edge_07_who_may_not_write_is_refused(client, url, project):
    with closing(Client(url, GUEST)) as guest:
        answer = guest.upload(project, a_zip("a"))
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "Installation Failed. User 'guest' does not have write access."},
        )
        guest.create(f"{project}_g")
        assert guest.upload(f"{project}_g", a_zip("a")).status_code == 200
    assert client.upload(f"{project}_g", a_zip("b")).status_code == 200, "an administrator may"


def test_edge_07_a_lockdown_leaves_uploads_to_administrators():
    with running(SandboxOptions(lockdown="upload")) as url, closing(Client(url)) as client:
        with closing(Client(url, GUEST)) as guest:
            assert guest.create("p").json()["status"] == "success"
            answer = guest.upload("p", a_zip("a"))
        assert (answer.status_code, answer.json()) == (
            403,
            {
                "error": "Project uploading is locked out. Only admin users and users with special "
                "permissions can upload projects. "
                "User guest doesn't have permission to upload project."
            },
        )
        assert client.upload("p", a_zip("a")).status_code == 200


def test_edge_07_what_the_privileged_user_uploaded_is_locked():
    with running(SandboxOptions(upload_user="guest")) as url, closing(Client(url)) as client:
        with closing(Client(url, GUEST)) as guest:
            guest.create("p")
            assert client.upload("p", a_zip("a")).status_code == 200
            assert guest.upload("p", a_zip("b")).status_code == 200
            assert guest.upload("p", a_zip("b")).status_code == 200
        answer = client.upload("p", a_zip("c"))
        assert answer.status_code == 403
        assert answer.json()["error"].startswith(
            "Installation Failed. Project 'p has UPLOAD LOCK on. \nCreate"
        )
        assert client.flows("p") == {"b"}


def test_the_oldest_profile_says_it_differently():
    with running(SandboxOptions(profile="3.57")) as url, closing(Client(url)) as client:
        client.create("p")
        answer = client.upload("nobody", a_zip("a"))
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "Installation Failed. Project 'nobody' doesn't exist."},
        )
        answer = client.upload("p", b"", file=("f.zip", b"x", "text/plain"))
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "File type text/plain unrecognized.", "projectId": "1"},
        )
        assert client.upload("p", b"", file=("f.txt", a_zip("a"), "application/zip")).status_code == 200
        assert client.upload("p", a_zip(a="x=y", b="x=y")).json()["error"] == (
            "Validator Directory Flow reports errors:<ul>"
            "<li>Job doesn't have type set 'a'.</li><li>Job doesn't have type set 'b'.</li></ul>"
        )
        assert without_session(url, path="/status").json()["version"] == "3.57.0-sandbox"
        answer = client.get(ajax="fetchprojectflows", project="nobody")
        assert (answer.status_code, answer.content) == (200, b"")


def test_edge_02_an_upload_takes_what_the_sandbox_was_told(tmp_path):
    log = tmp_path / "access.jsonl"
    options = SandboxOptions(base_cost_ms=10, cost_per_flow_ms=20, access_log=log)
    with running(options) as url, closing(Client(url)) as client:
        client.create("p")
        for size in (1, 5):
            client.upload("p", a_zip(*"abcde"[:size]))
    few, many = (line["duration_ms"] for line in lines(log) if line["action"] == "upload")
    assert few >= 30
    assert many >= 110
