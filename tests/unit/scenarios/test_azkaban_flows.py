"""How to test a scenario without its target: `responses` answers, and what was sent can be looked at.

Steps and hooks are plain functions: call them with a Session from `loadgen.testing`.  `do_item` does an
item as a run would, and tells what the ledger would be told.
"""

import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import pytest
import requests
import responses
from requests import PreparedRequest
from responses import matchers

from loadgen import Retry, Scenario, Session
from loadgen.loader import load, make_work
from loadgen.testing import FakeMade, Outcome, do_item, session

FILE = Path(__file__).parents[3] / "scenarios" / "azkaban_flows.py"
URL = "http://azkaban.test:8081"
MANAGER = f"{URL}/manager"


@pytest.fixture(scope="module")
def flows() -> Iterator[ModuleType]:
    """The scenario, imported from its file, with the module beside it."""
    spec = importlib.util.spec_from_file_location("azkaban_flows", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FILE.parent))
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("azkaban", None)


@pytest.fixture
def azkaban() -> Iterator[responses.RequestsMock]:
    """Answers as Azkaban would; a request that no test has foreseen fails."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def http() -> Iterator[Session]:
    with session(URL) as it:
        yield it


def sent_zip(request: PreparedRequest) -> dict[str, str]:
    """The files in the uploaded archive."""
    body = request.body
    assert isinstance(body, bytes)
    start = body.index(b"PK\x03\x04")
    with zipfile.ZipFile(io.BytesIO(body[start:])) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


class TestLogin:
    def test_sends_user_and_password_in_the_body(self, flows, azkaban, http) -> None:
        azkaban.post(
            f"{URL}/",
            json={"status": "success", "session.id": "42"},
            headers={"Set-Cookie": "azkaban.browser.session.id=42"},
            match=[
                matchers.query_param_matcher({"action": "login"}),
                matchers.urlencoded_params_matcher({"username": "ann", "password": "pa ss"}),
            ],
        )
        flows.login(http, flows.Options(user="ann", password="pa ss"))
        assert http.cookies["azkaban.browser.session.id"] == "42"

    def test_a_refusal_says_what_azkaban_said(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/", json={"error": "Incorrect Login. User not found."})
        with pytest.raises(flows.AzkabanError, match="Incorrect Login"):
            flows.login(http, flows.Options())

    def test_happens_once_for_a_session_and_again_when_it_has_ended(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/", json={"status": "success"})
        azkaban.post(MANAGER, json={"status": "success"})
        ended = {"status": "error", "message": "Invalid Session. Need to re-login", "action": "login"}
        azkaban.post(MANAGER, json=ended)
        azkaban.post(MANAGER, json={"status": "success"})
        http.on_login = lambda it: flows.login(it, flows.Options())
        assert do_item(flows.projects, 0, flows.Options(), http).result.outcome is Outcome.DONE
        assert do_item(flows.projects, 1, flows.Options(), http).result.outcome is Outcome.DONE
        asked = [call.request.path_url for call in azkaban.calls]
        assert asked == ["/?action=login", "/manager", "/manager", "/?action=login", "/manager"]

    @pytest.mark.parametrize(
        "ended",
        [
            pytest.param({"json": {"error": "session"}}, id="GET with ajax"),
            pytest.param({"body": "<html>...<!-- /.login --></html>"}, id="a page"),
            pytest.param({"json": {"status": "error", "message": "Invalid", "action": "login"}}, id="POST"),
            pytest.param({"body": "Login error. Need username and password"}, id="multipart"),
        ],
    )
    def test_a_session_that_has_ended_fails_no_item(self, flows, azkaban, http, ended) -> None:
        azkaban.post(MANAGER, **ended)
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        tried = do_item(flows.flows, 100, flows.Options(), http)
        assert tried.value == {"project": "loadgen_0000", "version": 3, "flows": 2}
        assert len(azkaban.calls) == 2

    def test_one_that_always_ends_does(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"error": "session"})
        tried = do_item(flows.flows, 100, flows.Options(), http)
        assert tried.result.error == "AzkabanError: the session ends before anything can be asked"


class TestFlows:
    def test_uploads_all_that_the_project_should_hold_by_then(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        options = flows.Options(flows=40, projects=4, batch=2)
        tried = do_item(flows.flows, 9, options, http)  # the third upload to project 1
        assert tried.result.outcome is Outcome.DONE
        assert tried.value == {"project": "loadgen_0001", "version": 3, "flows": 6}
        names = [f"flow_{number:06d}.job" for number in (1, 5, 9, 13, 17, 21)]
        assert sent_zip(azkaban.calls[0].request) == dict.fromkeys(names, "type=noop\n")

    def test_the_first_upload_creates_the_project(self, flows, azkaban, http) -> None:
        azkaban.post(MANAGER, json={"status": "error", "message": "Project already exists."})
        azkaban.post(MANAGER, json={"projectId": "7", "version": "1"})
        samples = do_item(flows.flows, 3, flows.Options(prefix="night"), http).samples
        assert [(sample.label, sample.error) for sample in samples] == [
            ("create project", ""),
            ("upload", ""),
        ]
        assert parse_qs(str(azkaban.calls[0].request.body))["name"] == ["night_0003"]

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"json": {"error": "Installation Failed."}}, "AzkabanError: Installation Failed."),
            ({"body": "<html>hello</html>"}, "AzkabanError: not JSON: <html>hello</html>"),
            ({"json": {"version": "1"}, "status": 400}, "answered 400"),
        ],
    )
    def test_what_azkaban_refuses_fails_the_item_with_its_words(
        self, flows, azkaban, http, answer, error
    ) -> None:
        azkaban.post(MANAGER, **answer)
        tried = do_item(flows.flows, 100, flows.Options(), http)
        assert tried.result.outcome is Outcome.FAILED
        assert error in tried.result.error
        assert tried.value is None

    @pytest.mark.parametrize(
        "settings",
        [{"batch": 4}, {}, {"strategy": "bundle"}, {"strategy": "bundle", "batch": 3}],
        ids=["four an upload", "append", "bundle", "bundles of three"],
    )
    def test_the_items_fill_every_project_exactly(self, flows, settings) -> None:
        options = flows.Options(flows=103, projects=10, **settings)
        plan = make_work(load(FILE), options)
        assert [step.name for step in plan.plan.steps] == ["flows"]
        last: dict[str, int] = {}
        for item in range(plan.plan.steps[0].items):
            name, names = flows.uploaded(item, options)
            assert len(names) > last.get(name, 0)
            last[name] = len(names)
        assert list(last.values()) == [11] * 3 + [10] * 7


class TestSchedules:
    def test_are_spread_over_the_day(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/schedule", json={"status": "success", "scheduleId": 12})
        options = flows.Options(flows=4, projects=2, schedules=4)
        tried = do_item(flows.schedules, 3, options, http)
        there = {"project": "loadgen_0001", "flow": "flow_000003", "schedule": 12, "cron": "0 0 18 ? * *"}
        assert tried.value == there
        sent = parse_qs(str(azkaban.calls[0].request.body))
        assert (sent["projectName"], sent["cronExpression"]) == (["loadgen_0001"], ["0 0 18 ? * *"])

    def test_success_without_an_id_is_none(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/schedule", json={"status": "success", "scheduleId": -1, "message": "why"})
        tried = do_item(flows.schedules, 3, flows.Options(), http)
        assert tried.result.error == "AzkabanError: not scheduled: why"


class TestExecutions:
    def executes(self, flows, azkaban, execids: list[int], tokens: dict[int, str]) -> None:
        listing = {"executions": [{"execId": number} for number in execids]}
        azkaban.get(MANAGER, json=listing)
        for number, token in tokens.items():
            query = {"ajax": "flowInfo", "execid": str(number)}
            there = {"flowParam": {"loadgen.token": token}}
            azkaban.get(f"{URL}/executor", json=there, match=[matchers.query_param_matcher(query)])

    def test_one_whose_answer_was_lost_is_found_by_its_token(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/executor", body=requests.ConnectionError("reset"))
        self.executes(flows, azkaban, [9, 8], {9: "loadgen-t-4", 8: "loadgen-t-5"})
        azkaban.get(f"{URL}/executor", json={"status": "RUNNING"})
        tried = do_item(flows.executions, 5, flows.Options(tag="t", executions=9), http)
        assert tried.value == {"project": "loadgen_0005", "flow": "flow_000005", "execution": 8}

    def test_one_that_never_came_fails(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/executor", body=requests.ConnectionError("reset"))
        self.executes(flows, azkaban, [9], {9: "loadgen-other-5"})
        tried = do_item(flows.executions, 5, flows.Options(tag="t", executions=9), http)
        assert tried.result.outcome is Outcome.FAILED
        assert "reset" in tried.result.error

    def test_a_failure_that_is_not_called_one(self, flows, azkaban, http) -> None:
        azkaban.post(f"{URL}/executor", json={"message": "Flow f is locked.", "execid": -1})
        tried = do_item(flows.executions, 5, flows.Options(), http)
        assert tried.result.error == "AzkabanError: not executed: Flow f is locked."

    @pytest.mark.parametrize(("status", "outcome"), [("SUCCEEDED", Outcome.DONE), ("KILLED", Outcome.FAILED)])
    def test_watched_to_the_end_by_azkabans_clock(self, flows, azkaban, http, status, outcome) -> None:
        self.executes(flows, azkaban, [8], {8: "loadgen-t-5"})
        query = matchers.query_param_matcher({"ajax": "fetchexecflow", "execid": "8"})
        azkaban.get(f"{URL}/executor", json={"status": "RUNNING"}, match=[query])
        ended = {"status": status, "submitTime": 1000, "endTime": 3500, "flowId": "f"}
        azkaban.get(f"{URL}/executor", json=ended, match=[query])
        tried = do_item(flows.watch, 5, flows.Options(tag="t", executions=9, poll=0.001), http)
        assert tried.result.outcome is outcome
        if outcome is Outcome.DONE:
            assert tried.result.duration_us == 2_500_000
            assert tried.value == {"execution": 8, "status": "SUCCEEDED", "seconds": 2.5}


class TestVerify:
    def test_compares_what_is_there_with_what_should_be(self, flows, azkaban, http) -> None:
        there = {
            "loadgen_0000": ["flow_000000", "flow_000002"],
            "loadgen_0001": ["flow_000001", "left_over"],
        }
        for project, names in there.items():
            azkaban.get(
                MANAGER,
                json={"flows": [{"flowId": name} for name in names]},
                match=[matchers.query_param_matcher({"ajax": "fetchprojectflows", "project": project})],
            )
        found = flows.all_is_there(http, flows.Options(flows=4, projects=2), FakeMade({"flows": []}))
        assert (found.expected, found.found, found.ok) == (4, 3, False)
        assert found.missing == ["loadgen_0001/flow_000003"]
        assert found.unexpected == ["loadgen_0001/left_over"]

    def test_a_schedule_that_is_there_twice_is_no_schedule_too_few(self, flows, azkaban, http) -> None:
        def entry(number: int, flow: str, cron: str) -> dict[str, object]:
            return {"scheduleId": number, "projectname": "loadgen_0000", "flowname": flow, "cron": cron}

        there = [entry(1, "flow_000000", "0 0 0 ? * *"), entry(2, "flow_000000", "0 0 0 ? * *")]
        other = {"scheduleId": 9, "projectname": "theirs", "flowname": "f", "cron": "0 0 0 ? * *"}
        azkaban.get(f"{URL}/schedule", json={"items": [*there, other]})
        options = flows.Options(flows=2, projects=1, schedules=2)
        found = flows.all_is_there(http, options, FakeMade({"schedules": []}))
        assert found.missing == ["loadgen_0000/flow_000001 at 0 0 12 ? * *"]
        assert found.unexpected == ["loadgen_0000/flow_000000 at 0 0 0 ? * *, 2 times"]


class TestTeardown:
    def test_a_project_that_is_gone_is_fine_and_another_failure_is_not(self, flows, azkaban, http) -> None:
        def redirect(message: str) -> dict[str, str]:
            return {"Location": "/index", "Set-Cookie": f'azkaban.failure.message="{message}"'}

        azkaban.get(MANAGER, status=302, headers={"Location": "/index"})
        azkaban.get(MANAGER, status=302, headers=redirect("Project loadgen_0001 doesn't exist"))
        azkaban.get(MANAGER, status=302, headers=redirect("Cannot delete: flows are running"))
        made = FakeMade({"flows": [{"project": f"loadgen_000{number}"} for number in range(3)]})
        with pytest.raises(flows.AzkabanError, match=r"cannot delete project loadgen_0002: .*running"):
            flows.take_back(http, flows.Options(), made)

    def test_what_was_there_before_stays(self, flows, azkaban, http) -> None:
        before = {"projects": ["LOADGEN_0000"], "schedules": ["loadgen_0000/f"]}
        schedule = {"project": "loadgen_0000", "flow": "f", "schedule": 3}
        made = FakeMade({"flows": [{"project": "loadgen_0000"}], "schedules": [schedule]}, setup=before)
        flows.take_back(http, flows.Options(flows=3, projects=3), made)
        assert not azkaban.calls


class TestOptions:
    @pytest.mark.parametrize(
        "wrong",
        [{"projects": 0}, {"batch": 0}, {"flows": -1}, {"executions": -1}, {"flows": 1, "schedules": 2}],
    )
    def test_what_makes_no_sense_is_refused(self, flows, wrong) -> None:
        with pytest.raises(ValueError, match=list(wrong)[-1]):
            flows.Options(**wrong)


@pytest.mark.timeout(15)
def test_do_item_tries_again_as_a_run_would_but_does_not_wait(azkaban, http) -> None:
    scenario = Scenario()

    @scenario.step(items=1, retry=Retry(attempts=3, backoff_s=60))
    def ask(http: Session, item: int, options: object) -> object:
        return http.get("/").json()

    azkaban.get(URL, status=503)
    azkaban.get(URL, json=["at last"])
    tried = do_item(ask, 0, None, http)
    assert (tried.result.outcome, tried.result.attempt, tried.value) == (Outcome.DONE, 2, ["at last"])
    assert [sample.status for sample in tried.samples] == [503, 200]


def test_do_item_takes_rows_too(azkaban, http) -> None:
    scenario = Scenario()

    @scenario.step(items=[{"name": "ann"}])
    def add(http: Session, item: dict[str, str], options: object) -> None:
        http.post("/users", json=item)

    azkaban.post(f"{URL}/users", match=[matchers.json_params_matcher({"name": "ann"})])
    assert do_item(add, {"name": "ann"}, None, http).result.outcome is Outcome.DONE
