"""What is said to the front end of the original story; the whole of it is in tests/e2e/test_create_job.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import pytest
import requests
import responses
from responses import matchers

from loadgen.loader import load, make_work
from loadgen.testing import FakeMade, Outcome, do_item

FILE = Path(__file__).parents[3] / "scenarios" / "mammut_jobs.py"
URL = "http://mammut.test:8081"
JOBS, MANAGER = f"{URL}/mammut/jobs", f"{URL}/manager"
EXISTS = {"status": "error", "message": "Job job_000005 already exists in project mammut_0001."}


@pytest.fixture(scope="module")
def mammut(imported: Callable[[Path], ModuleType]) -> ModuleType:
    """The scenario, imported from its file."""
    return imported(FILE)


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def holds(server: responses.RequestsMock, there: dict[str, list[str] | None]) -> None:
    """What fetchprojectflows says of each project; None: there is no such project."""
    for project, jobs in there.items():
        listing: object = {"error": f"Project {project} doesn't exist."}
        if jobs is not None:
            listing = {"flows": [{"flowId": job} for job in jobs]}
        query = {"ajax": "fetchprojectflows", "project": project}
        server.get(MANAGER, json=listing, match=[matchers.query_param_matcher(query)])


def test_a_job_goes_into_its_project(mammut, server, http) -> None:
    server.post(JOBS, json={"status": "success", "version": "3"})
    tried = do_item(mammut.jobs, 5, mammut.Options(projects=4), http)
    assert tried.value == {"project": "mammut_0001", "job": "job_000005", "version": 3}
    sent = parse_qs(str(server.calls[0].request.body))
    assert sent == {"project": ["mammut_0001"], "name": ["job_000005"]}
    assert [sample.label for sample in tried.samples] == ["create job"]


def test_one_that_somebody_else_has_created_is_not_ours(mammut, server, http) -> None:
    server.post(JOBS, json=EXISTS)
    tried = do_item(mammut.jobs, 5, mammut.Options(projects=4), http)
    assert tried.result.outcome is Outcome.FAILED
    assert tried.result.error == f"AzkabanError: {EXISTS['message']}"


def test_one_whose_answer_was_lost_is_there_the_next_time(mammut, server, http) -> None:
    server.post(JOBS, body=requests.ConnectionError("reset"))
    server.post(JOBS, json=EXISTS)
    tried = do_item(mammut.jobs, 5, mammut.Options(projects=4), http)
    assert (tried.result.outcome, tried.result.attempt) == (Outcome.DONE, 2)
    assert tried.value == {"project": "mammut_0001", "job": "job_000005"}


def test_another_refusal_fails_the_second_try_too(mammut, server, http) -> None:
    server.post(JOBS, status=500, json={})
    server.post(JOBS, json={"status": "error", "message": "Project mammut_0001 doesn't exist."})
    tried = do_item(mammut.jobs, 5, mammut.Options(projects=4), http)
    assert (tried.result.outcome, tried.result.attempt) == (Outcome.FAILED, 2)


@pytest.mark.parametrize(
    ("there", "found"), [(["job_000005"], True), (["job_00000"], False), ([], False), (None, False)]
)
def test_a_job_in_doubt_is_looked_for(mammut, server, http, there, found) -> None:
    holds(server, {"mammut_0001": there})
    assert mammut.job_exists(http, 5, mammut.Options(projects=4)) is found


def test_jobs_of_one_project_follow_each_other(mammut) -> None:
    loaded = load(FILE)
    plan = make_work(loaded, mammut.Options(jobs=6, projects=4)).plan
    assert [(step.name, step.items, step.delivery) for step in plan.steps] == [
        ("projects", 4, "at_least_once"),
        ("jobs", 6, "verify"),
    ]
    key = loaded.step("jobs").key
    assert [key(item, mammut.Options(projects=4)) for item in range(6)] == [0, 1, 2, 3, 0, 1]
    assert make_work(loaded, mammut.Options(jobs=2, projects=4)).plan.steps[0].items == 2


class TestAfterwards:
    def test_each_project_holds_its_jobs_and_what_it_held_before(self, mammut, server, http) -> None:
        holds(server, {"mammut_0000": None, "mammut_0001": ["old"]})
        options = mammut.Options(jobs=4, projects=2)
        before = mammut.look_around(http, options)
        assert before == {"mammut_0001": ["old"]}
        server.reset()
        holds(server, {"mammut_0000": ["job_000000"], "mammut_0001": ["old", "job_000001", "job_3"]})
        made = FakeMade({"projects": [], "jobs": []}, setup=before)
        seen = mammut.all_is_there(http, options, made)
        assert (seen.expected, seen.found) == (4, 2), "of what is expected"
        assert seen.missing == ["mammut_0000/job_000002", "mammut_0001/job_000003"]
        assert seen.unexpected == ["mammut_0001/job_3"]

    def test_only_projects_of_the_run_are_deleted(self, mammut, server, http) -> None:
        """Deleted: 0, 2, 3.  Not: 1, of before; 4, made anew; 5, with a job of others; 6, of another run."""
        ids = {0: 10, 2: 12, 3: 13, 4: 99, 5: 15, 6: 16}
        for number, id_there in ids.items():
            query = {"ajax": "getProjectId", "project": f"mammut_{number:04d}"}
            answer = {"projectId": id_there}
            server.get(MANAGER, json=answer, match=[matchers.query_param_matcher(query)])
        more = {5: ["nightly"]}
        there = {
            number: [f"job_{number:06d}", *more.get(number, ())] for number in ids if number not in (4, 6)
        }
        for number, tag in ((2, "t"), (3, "t"), (6, "u")):
            page = matchers.query_param_matcher({"project": f"mammut_{number:04d}"})
            server.get(MANAGER, body=f"<p>made by loadgen, {tag}</p>", match=[page])
        for number in (10, 12, 13, 14):
            asked = matchers.query_param_matcher({"purge": "true", "project": str(number)})
            server.get(MANAGER, json={"success": True}, match=[asked])
        holds(server, {f"mammut_{number:04d}": jobs for number, jobs in there.items()})
        for name in ("mammut_0000", "mammut_0002", "mammut_0003"):
            asked = matchers.query_param_matcher({"delete": "true", "project": name})
            said = {"Location": "/index", "Set-Cookie": 'azkaban.success.message="deleted"'}
            server.get(MANAGER, status=302, headers=said, match=[asked])
        done = [
            {"project": f"mammut_{number:04d}", "id": 10 + number, "created": True} for number in (0, 1, 4, 5)
        ]
        made = FakeMade(
            {"projects": done},
            setup={"mammut_0001": []},
            in_doubt={"projects": [3, 6]},
            broken={"projects": [2]},
        )
        with pytest.raises(mammut.AzkabanError, match="0005 holds nightly; mammut_0006 is not described as"):
            mammut.take_back(http, mammut.Options(projects=8, tag="t"), made)

    def test_a_project_is_told_with_its_id(self, mammut, server, http) -> None:
        server.post(MANAGER, json={"status": "success"})
        server.get(MANAGER, json={"projectId": 7})
        tried = do_item(mammut.projects, 0, mammut.Options(), http)
        assert tried.value == {"project": "mammut_0000", "id": 7, "created": True}


@pytest.mark.parametrize("wrong", [{"projects": 0}, {"jobs": -1}])
def test_what_makes_no_sense_is_refused(mammut, wrong) -> None:
    with pytest.raises(ValueError, match="projects must be at least 1"):
        mammut.Options(**wrong)
