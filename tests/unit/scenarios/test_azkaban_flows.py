"""How to test a scenario without its target: `responses` answers, and what was sent can be looked at.

Steps and hooks are plain functions: call them with a Session from `loadgen.testing`.  `do_item` does an
item as a run would, and tells what the ledger would be told.
"""

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs

import pytest
import requests
import responses
from requests import PreparedRequest
from responses import matchers

from loadgen import Retry, Scenario, Session
from loadgen.clock import SteppedClock
from loadgen.loader import load, make_work
from loadgen.sandbox import SandboxOptions, running
from loadgen.testing import FakeMade, Outcome, do_item, session

FILE = Path(__file__).parents[3] / "scenarios" / "azkaban_flows.py"
URL = "http://azkaban.test:8081"
MANAGER = f"{URL}/manager"
EXECUTOR = f"{URL}/executor"
SCHEDULE = f"{URL}/schedule"
NEW_YEAR_US = 1_767_225_600_000_000
"""2026-01-01."""


@pytest.fixture(scope="module")
def flows(imported: Callable[[Path], ModuleType]) -> ModuleType:
    """The scenario, imported from its file."""
    return imported(FILE)


@pytest.fixture
def azkaban() -> Iterator[responses.RequestsMock]:
    """Answers as Azkaban would; a request that no test has foreseen fails."""
    with responses.RequestsMock() as mock:
        yield mock


def ask_for(**query: object) -> object:
    """Matches a question of Azkaban's."""
    return matchers.query_param_matcher({name: str(value) for name, value in query.items()})


def holds(azkaban: responses.RequestsMock, project: str, *flows: str) -> None:
    """The project is there, and holds these flows."""
    listing = {"flows": [{"flowId": flow} for flow in flows]}
    azkaban.get(MANAGER, json=listing, match=[ask_for(ajax="fetchprojectflows", project=project)])


def knows(azkaban: responses.RequestsMock, project: str, number: int | None) -> None:
    """The project has this id; None: there is none."""
    said = {"projectId": number} if number else {"error": f"Project {project} doesn't exist."}
    azkaban.get(MANAGER, json=said, match=[ask_for(ajax="getProjectId", project=project)])


def described(azkaban: responses.RequestsMock, project: str, words: str) -> None:
    """The project's page says so."""
    body = f"<p id='project-description'>{words}</p>"
    azkaban.get(MANAGER, body=body, match=[ask_for(project=project)])


def purges(azkaban: responses.RequestsMock, number: int, said: dict[str, object] | None = None) -> None:
    """What is left of a deleted project goes, unless Azkaban says otherwise."""
    asked = [ask_for(purge="true", project=number)]
    azkaban.get(MANAGER, json=said or {"success": True}, match=asked)


def ran(azkaban: responses.RequestsMock, tokens: dict[int, str]) -> None:
    """Whatever flow is asked for, these are its executions, the newest first, with these tokens."""
    azkaban.get(MANAGER, json={"executions": [{"execId": number} for number in tokens]})
    for number, token in tokens.items():
        said = {"flowParam": {"loadgen.token": token}} if token else {"error": "Flow f doesn't exist in 7"}
        azkaban.get(EXECUTOR, json=said, match=[ask_for(ajax="flowInfo", execid=number)])


def scheduled(azkaban: responses.RequestsMock, *entries: tuple[int, str, str, str]) -> None:
    """These schedules are there."""
    names = ("scheduleId", "projectname", "flowname", "cron")
    items = [dict(zip(names, entry, strict=True)) for entry in entries]
    azkaban.get(SCHEDULE, json={"items": items} if items else {}, match=[ask_for(ajax="fetchSchedules")])


def sent(azkaban: responses.RequestsMock, **query: object) -> list[str]:
    """The values of `project`, `scheduleId` or `execid` in the calls that had these parameters."""
    found = []
    for call in azkaban.calls:
        said = parse_qs(str(call.request.body or "")) | parse_qs(call.request.path_url.partition("?")[2])
        if all(said.get(name) == [str(value)] for name, value in query.items()):
            found += [*said.get("project", ()), *said.get("scheduleId", ()), *said.get("execid", ())]
    return found


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
        azkaban.get(MANAGER, json={"projectId": 7})
        http.on_login = lambda it: flows.login(it, flows.Options())
        assert do_item(flows.projects, 0, flows.Options(), http).value["id"] == 7
        assert do_item(flows.projects, 1, flows.Options(), http).result.outcome is Outcome.DONE
        asked = [call.request.path_url.partition("ajax")[0] for call in azkaban.calls]
        once = ["/?action=login", "/manager", "/manager?"]
        assert asked == [*once, "/manager", *once]

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
        holds(azkaban, "loadgen_0000", "flow_000000")
        azkaban.post(MANAGER, **ended)
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        tried = do_item(flows.flows, 100, flows.Options(), http)
        there = {"project": "loadgen_0000", "id": 7, "created": False, "version": 3, "flows": 2}
        assert tried.value == there
        assert len(azkaban.calls) == 3

    def test_one_that_always_ends_does(self, flows, azkaban, http) -> None:
        azkaban.get(MANAGER, json={"error": "session"})
        tried = do_item(flows.flows, 100, flows.Options(), http)
        assert tried.result.error == "AzkabanError: the session ends before anything can be asked"


class TestFlows:
    def test_uploads_all_that_the_project_should_hold_by_then(self, flows, azkaban, http) -> None:
        holds(azkaban, "loadgen_0001", *(f"flow_{number:06d}" for number in (1, 5, 9, 13)))
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        options = flows.Options(flows=40, projects=4, batch=2)
        tried = do_item(flows.flows, 9, options, http)  # the third upload to project 1
        assert tried.result.outcome is Outcome.DONE
        there = {"project": "loadgen_0001", "id": 7, "created": False, "version": 3, "flows": 6}
        assert tried.value == there
        names = [f"flow_{number:06d}.job" for number in (1, 5, 9, 13, 17, 21)]
        assert sent_zip(azkaban.calls[-1].request) == dict.fromkeys(names, "type=noop\n")

    def test_takes_nothing_of_ours_away_that_is_there(self, flows, azkaban, http) -> None:
        """An upload that is tried again comes after later ones; a run may find what another has made."""
        holds(azkaban, "loadgen_0001", "flow_000001", "flow_000009")
        azkaban.post(MANAGER, json={"projectId": "7", "version": "3"})
        do_item(flows.flows, 1, flows.Options(flows=40, projects=4), http)
        assert set(sent_zip(azkaban.calls[-1].request)) == {"flow_000001.job", "flow_000009.job"}

    def test_takes_nothing_of_others_away_either(self, flows, azkaban, http) -> None:
        holds(azkaban, "loadgen_0001", "flow_000001", "nightly")
        tried = do_item(flows.flows, 1, flows.Options(flows=40, projects=4), http)
        words = "loadgen_0001 holds nightly, not of this run: an upload would delete it"
        assert tried.result.error == f"AzkabanError: {words}"

    @pytest.mark.parametrize(
        ("error", "tries"),
        [
            ("Validator Directory Flow reports errors:<br><br>Job doesn't have type", 1),
            ("Installation Failed.<br>Error unzipping file.", 1),
            ("Installation Failed.<br>Error saving project", 5),
            (None, 5),
        ],
    )
    def test_an_upload_that_can_never_be_is_not_tried_again(self, flows, azkaban, http, error, tries) -> None:
        holds(azkaban, "loadgen_0000")
        if tries > 1:
            described(azkaban, "loadgen_0000", "theirs")
        answer = {"json": {"error": error}} if error else {"body": "<html>java.lang"}
        azkaban.post(MANAGER, status=500, **answer)
        tried = do_item(flows.flows, 100, flows.Options(), http)
        assert (tried.result.outcome, tried.result.attempt) == (Outcome.FAILED, tries)
        assert [each.error for each in tried.samples if each.label == "upload"] == ["HTTP 500"] * tries
        assert (error or "POST /manager answered 500: <html>java.lang") in tried.result.error

    @pytest.mark.parametrize(
        ("lost", "page", "created"),
        [
            (True, "made by loadgen, &lt;t&gt;", True),
            (True, "made by loadgen, u", False),
            (False, None, False),
        ],
    )
    def test_a_project_is_ours_if_only_the_answer_was_lost(
        self, flows, azkaban, http, lost, page, created
    ) -> None:
        """At the first try, it is there because others have made it; at the next, its description decides."""
        azkaban.get(MANAGER, json={"error": "Project loadgen_0003 doesn't exist."})
        if lost:
            azkaban.post(MANAGER, body=requests.ConnectionError("reset"))
        azkaban.post(MANAGER, json={"status": "error", "message": "Project already exists."})
        if page is not None:
            described(azkaban, "loadgen_0003", page)
        azkaban.post(MANAGER, json={"projectId": "7", "version": "1"})
        assert do_item(flows.flows, 3, flows.Options(tag="<t>"), http).value["created"] is created

    @pytest.mark.parametrize("ours", [True, False])
    def test_a_project_that_a_retry_finds_is_ours_if_it_says_so(self, flows, azkaban, http, ours) -> None:
        azkaban.get(MANAGER, json={"error": "Project loadgen_0003 doesn't exist."})
        azkaban.post(MANAGER, body=requests.ConnectionError("reset"))
        holds(azkaban, "loadgen_0003")
        described(azkaban, "loadgen_0003", "made by loadgen, t" if ours else "mine")
        azkaban.post(MANAGER, json={"projectId": "7", "version": "1"})
        assert do_item(flows.flows, 3, flows.Options(tag="t"), http).value["created"] is ours

    def test_old_versions_say_nothing_of_a_project_that_there_is_not(self, flows, azkaban, http) -> None:
        azkaban.get(MANAGER, body=b"")
        assert flows.flows_exist(http, 3, flows.Options()) is False
        assert flows.project_exists(http, 3, flows.Options()) is False
        assert flows.find_execution(http, 3, flows.Options(executions=9)) is None
        azkaban.post(MANAGER, body=b"")
        tried = do_item(flows.projects, 3, flows.Options(), http)
        words = "AzkabanError: cannot create project loadgen_0003: the answer is empty"
        assert tried.result.error == words, "which is no word of success for anything else"

    @pytest.mark.parametrize("item", [3, 103])
    def test_the_project_is_created_by_whoever_misses_it(self, flows, azkaban, http, item) -> None:
        """Not only the first upload: its creation may have failed, and be tried again later."""
        azkaban.get(MANAGER, json={"error": "Project night_0003 doesn't exist."})
        azkaban.post(MANAGER, json={"status": "error", "message": "Project already exists."})
        azkaban.post(MANAGER, json={"projectId": "7", "version": "1"})
        samples = do_item(flows.flows, item, flows.Options(prefix="night"), http).samples
        calls = ["fetchprojectflows", "create project", "upload"]
        assert [(sample.label, sample.error) for sample in samples] == [(call, "") for call in calls]
        assert parse_qs(str(azkaban.calls[1].request.body))["name"] == ["night_0003"]

    @pytest.mark.parametrize(
        ("there", "exists"), [((5, 9), True), ((1, 9), False), ((), False)], ids=["this", "others", "none"]
    )
    def test_exists_when_what_it_adds_is_there(self, flows, azkaban, http, there, exists) -> None:
        holds(azkaban, "loadgen_0001", *(f"flow_{number:06d}" for number in there))
        options = flows.Options(flows=12, projects=4)
        assert flows.flows_exist(http, 5, options) is exists

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            ({"json": {"error": "Installation Failed."}}, "AzkabanError: Installation Failed."),
            ({"body": "<html>hello</html>"}, "AzkabanError: status 200, and not JSON: <html>hello</html>"),
            ({"json": {"error": "No project name found."}, "status": 400}, "answered 400: {"),
        ],
    )
    def test_what_azkaban_refuses_fails_the_item_with_its_words(
        self, flows, azkaban, http, answer, error
    ) -> None:
        holds(azkaban, "loadgen_0000")
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
        azkaban.post(SCHEDULE, json={"status": "success", "scheduleId": 12})
        options = flows.Options(flows=4, projects=2, schedules=4)
        tried = do_item(flows.schedules, 3, options, http)
        there = {"project": "loadgen_0001", "flow": "flow_000003", "schedule": 12, "cron": "0 0 18 ? * *"}
        assert tried.value == there
        said = parse_qs(str(azkaban.calls[0].request.body))
        assert (said["projectName"], said["cronExpression"]) == (["loadgen_0001"], ["0 0 18 ? * *"])

    def test_run_as_executions_do(self, flows, azkaban, http) -> None:
        azkaban.post(SCHEDULE, json={"status": "success", "scheduleId": 12})
        options = flows.Options(flow_override=("size=3", "where=a=b"), failure_action="finishPossible")
        do_item(flows.schedules, 3, options, http)
        said = parse_qs(str(azkaban.calls[0].request.body))
        told = {"concurrentOption": "ignore", "failureAction": "finishPossible"}
        told |= {"flowOverride[size]": "3", "flowOverride[where]": "a=b"}
        assert {name: said[name] for name in told} == {name: [value] for name, value in told.items()}

    @pytest.mark.parametrize(
        ("level", "told"), [({"concurrent_option": "pipeline", "pipeline_level": 2}, ["2"]), ({}, None)]
    )
    def test_pipelining_needs_a_level(self, flows, azkaban, http, level, told) -> None:
        azkaban.post(SCHEDULE, json={"status": "success", "scheduleId": 12})
        do_item(flows.schedules, 3, flows.Options(**level), http)
        assert parse_qs(str(azkaban.calls[0].request.body)).get("pipelineLevel") == told

    @pytest.mark.parametrize(
        ("answer", "exists"),
        [({"schedule": {"cronExpression": "0 0 18 ? * *"}}, True), ({"schedule": {}}, False), ({}, False)],
    )
    def test_exists_with_its_cron(self, flows, azkaban, http, answer, exists) -> None:
        knows(azkaban, "loadgen_0001", 9)
        azkaban.get(SCHEDULE, json=answer)
        assert flows.schedule_exists(http, 3, flows.Options(flows=4, projects=2, schedules=4)) is exists

    def test_success_without_an_id_is_none(self, flows, azkaban, http) -> None:
        azkaban.post(SCHEDULE, json={"status": "success", "scheduleId": -1, "message": "why"})
        tried = do_item(flows.schedules, 3, flows.Options(), http)
        assert tried.result.error == "AzkabanError: not scheduled: why"


class TestExecutions:
    def test_one_whose_answer_was_lost_is_found_by_its_token(self, flows, azkaban, http) -> None:
        azkaban.post(EXECUTOR, body=requests.ConnectionError("reset"))
        ran(azkaban, {9: "loadgen-t-4", 8: "loadgen-t-5"})
        azkaban.get(EXECUTOR, json={"status": "RUNNING"})
        tried = do_item(flows.executions, 5, flows.Options(tag="t", executions=9), http)
        where = {"project": "loadgen_0005", "flow": "flow_000005"}
        assert tried.value == {"item": 5, **where, "execution": 8}

    def test_one_that_never_came_fails(self, flows, azkaban, http) -> None:
        azkaban.post(EXECUTOR, body=requests.ConnectionError("reset"))
        ran(azkaban, {9: "loadgen-other-5"})
        tried = do_item(flows.executions, 5, flows.Options(tag="t", executions=9, poll=0.001), http)
        assert tried.result.outcome is Outcome.FAILED
        assert "reset" in tried.result.error
        assert len(sent(azkaban, ajax="flowInfo")) == flows.LOOKS

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_one_that_a_gateway_gave_up_on_may_come_a_moment_later(
        self, flows, azkaban, http, status
    ) -> None:
        azkaban.post(EXECUTOR, status=status, body="<html>")
        azkaban.get(MANAGER, status=status)  # nor is the first look answered
        azkaban.get(MANAGER, json={"executions": []})
        ran(azkaban, {8: "loadgen-t-5"})
        azkaban.get(EXECUTOR, json={"status": "RUNNING"}, match=[ask_for(ajax="fetchexecflow", execid=8)])
        tried = do_item(flows.executions, 5, flows.Options(tag="t", executions=9, poll=0.001), http)
        assert (tried.result.outcome, tried.result.error) == (Outcome.DONE, "")
        assert tried.value["execution"] == 8
        errors = [each.label for each in tried.samples if each.error == f"HTTP {status}"]
        assert errors == ["executeFlow", "fetchFlowExecutions"], "which they are for the report"

    def test_one_that_is_done_again_is_looked_for_first(self, flows, azkaban, http) -> None:
        ran(azkaban, {8: "loadgen-t-5"})
        azkaban.get(EXECUTOR, json={"status": "RUNNING"})
        http.begin("executions", 5, 2)
        made = flows.executions(http, 5, flows.Options(tag="t", executions=9))
        assert made["execution"] == 8
        assert not [call for call in azkaban.calls if call.request.method == "POST"]

    def test_of_many_of_a_flow_it_is_looked_for_where_it_should_be(self, flows, azkaban, http) -> None:
        """Executions 0, 10, 20 to 90 of one flow; that of item 20 has seven after it."""
        there = {number: f"loadgen-t-{number * 10}" for number in reversed(range(10))}
        azkaban.assert_all_requests_are_fired = False
        ran(azkaban, there)
        options = flows.Options(tag="t", flows=10, executions=100)
        assert flows.find_execution(http, 20, options) == 2
        assert sent(azkaban, ajax="flowInfo") == ["2"]
        assert parse_qs(azkaban.calls[0].request.path_url.partition("?")[2])["length"] == ["60"]

    def test_of_a_project_that_is_gone_there_is_none(self, flows, azkaban, http) -> None:
        azkaban.get(MANAGER, json={"error": "Project loadgen_0005 doesn't exist."})
        assert flows.find_execution(http, 5, flows.Options(executions=9)) is None

    def test_of_a_flow_that_is_gone_there_is_none(self, flows, azkaban, http) -> None:
        ran(azkaban, {8: ""})
        assert flows.find_execution(http, 5, flows.Options(executions=9)) is None

    def test_a_failure_that_is_not_called_one(self, flows, azkaban, http) -> None:
        azkaban.post(EXECUTOR, json={"message": "Flow f is locked.", "execid": -1})
        tried = do_item(flows.executions, 5, flows.Options(), http)
        assert tried.result.error == "AzkabanError: not executed: Flow f is locked."

    def test_one_that_is_not_to_be_seen_yet_is_waited_for(self, flows, azkaban, http) -> None:
        azkaban.post(EXECUTOR, json={"execid": 8})
        seen = [ask_for(ajax="fetchexecflow", execid=8)]
        azkaban.get(EXECUTOR, json={"error": "Cannot find execution '8'"}, match=seen)
        azkaban.get(EXECUTOR, body=requests.ConnectionError("reset"), match=seen)
        azkaban.get(EXECUTOR, json={"status": "PREPARING"}, match=seen)
        tried = do_item(flows.executions, 5, flows.Options(poll=0.001), http)
        assert tried.result.outcome is Outcome.DONE

    @pytest.mark.parametrize(("status", "outcome"), [("SUCCEEDED", Outcome.DONE), ("KILLED", Outcome.FAILED)])
    def test_watched_to_the_end_by_azkabans_clock(self, flows, azkaban, http, status, outcome) -> None:
        ran(azkaban, {8: "loadgen-t-5"})
        query = ask_for(ajax="fetchexecflow", execid=8)
        azkaban.get(EXECUTOR, json={"status": "RUNNING", "endTime": -1}, match=[query])
        ended = {"status": status, "submitTime": 1000, "endTime": -1, "flowId": "f"}
        azkaban.get(EXECUTOR, json=ended, match=[query])  # over, but the time is not told yet
        azkaban.get(EXECUTOR, json={**ended, "endTime": 3500}, match=[query])
        tried = do_item(flows.watch, 5, flows.Options(tag="t", executions=9, poll=0.001), http)
        assert tried.result.outcome is outcome
        if outcome is Outcome.DONE:
            assert tried.result.duration_us == 2_500_000
            assert tried.value == {"execution": 8, "status": "SUCCEEDED", "seconds": 2.5}

    def test_nobody_watches_for_ever(self, flows, azkaban, http) -> None:
        ran(azkaban, {8: "loadgen-t-5"})
        paused = {"status": "PAUSED", "endTime": -1}
        azkaban.get(EXECUTOR, json=paused, match=[ask_for(ajax="fetchexecflow", execid=8)])
        options = flows.Options(tag="t", executions=9, poll=0.001, patience=0.01)
        tried = do_item(flows.watch, 5, options, http)
        assert tried.result.error == "AzkabanError: execution 8 is PAUSED after 0.01 s"


NOON = "0 0 12 ? * *"
MIDNIGHT = "0 0 0 ? * *"


class TestVerify:
    def test_compares_what_is_there_with_what_should_be(self, flows, azkaban, http) -> None:
        holds(azkaban, "loadgen_0000", "flow_000000", "flow_000002")
        holds(azkaban, "loadgen_0001", "flow_000001", "left_over")
        found = flows.all_is_there(http, flows.Options(flows=4, projects=2), FakeMade({"flows": []}))
        assert (found.expected, found.found, found.ok) == (4, 3, False)
        assert found.missing == ["loadgen_0001/flow_000003"]
        assert found.unexpected == ["loadgen_0001/left_over"]

    def test_projects_by_their_ids(self, flows, azkaban, http) -> None:
        knows(azkaban, "loadgen_0000", 7)
        knows(azkaban, "loadgen_0001", None)
        found = flows.all_is_there(http, flows.Options(projects=2), FakeMade({"projects": []}))
        assert (found.found, found.missing) == (1, ["loadgen_0001"])

    def test_a_schedule_that_is_there_twice_is_one_too_many(self, flows, azkaban, http) -> None:
        ours = ("Night_0000", "flow_000000", MIDNIGHT)
        mine, theirs = ("night_0000", "mine", NOON), ("theirs", "f", NOON)
        scheduled(azkaban, (1, *ours), (2, *ours), (8, *mine), (9, *theirs))
        options = flows.Options(flows=2, projects=1, schedules=2, prefix="Night")
        before = {"projects": ["night_0000"], "schedules": ["night_0000/mine", "night_0000/flow_000000"]}
        found = flows.all_is_there(http, options, FakeMade({"schedules": []}, setup=before))
        assert found.missing == [f"night_0000/flow_000001 at {NOON}"]
        assert found.unexpected == [f"night_0000/flow_000000 at {MIDNIGHT}, 2 times"]

    def test_executions_by_id_and_where_it_was_not_told_by_token(self, flows, azkaban, http) -> None:
        """Four of one flow: told and there, told and gone, not told and there, not told and never run."""
        azkaban.assert_all_requests_are_fired = False
        ran(azkaban, {7: "loadgen-t-2", 5: "loadgen-t-0"})
        made = FakeMade({"executions": [{"item": 0, "execution": 5}, {"item": 1, "execution": 6}]})
        found = flows.all_is_there(http, flows.Options(flows=1, projects=1, executions=4, tag="t"), made)
        assert (found.expected, found.found, found.unexpected) == (4, 2, [])
        assert found.missing == [f"loadgen_0000/flow_000000 run {item}" for item in (1, 3)]
        assert sent(azkaban, ajax="flowInfo") == ["7"], "what was told needs no token"


class TestOfMany:
    """Executions of others before, between and after ours, on a sandbox whose clock the test steps."""

    @pytest.fixture
    def clock(self) -> SteppedClock:
        return SteppedClock(NEW_YEAR_US)

    @pytest.fixture
    def site(self, flows, clock) -> Iterator[Session]:
        with running(SandboxOptions(run_time_ms=1, session_ttl_s=1e9), clock) as url, session(url) as http:
            http.on_login = lambda it: flows.login(it, flows.Options())
            assert (
                do_item(flows.flows, 0, flows.Options(flows=1, projects=1), http).result.outcome
                is Outcome.DONE
            )
            yield http

    def others(self, http: Session, clock: SteppedClock, count: int) -> None:
        """Somebody else runs the flow so many times."""
        told = {"ajax": "executeFlow", "project": "loadgen_0000", "flow": "flow_000000"}
        for _ in range(count):
            assert http.post("/executor", data=told | {"concurrentOption": "ignore"}).json()["execid"] > 0
            clock.step(1)

    def test_one_is_found_below_any_number_of_others(self, flows, site, clock) -> None:
        options = flows.Options(flows=1, projects=1, executions=2, tag="t")
        ours = [do_item(flows.executions, item, options, site).value["execution"] for item in range(2)]
        self.others(site, clock, 120)
        assert [flows.find_execution(site, item, options) for item in range(2)] == ours
        found = flows.all_is_there(site, options, FakeMade({"executions": []}))
        assert (found.expected, found.found, found.ok) == (2, 2, True)

    def test_one_that_was_run_twice_is_one_too_many(self, flows, site, clock) -> None:
        options = flows.Options(flows=1, projects=1, executions=2, tag="t")
        made = [do_item(flows.executions, item, options, site).value for item in (0, 1, 1)]
        self.others(site, clock, 60)
        found = flows.all_is_there(site, options, FakeMade({"executions": made[:2]}))
        assert (found.expected, found.missing) == (2, [])
        assert found.unexpected == ["loadgen_0000/flow_000000 run 1, 2 times"]

    def test_pipelined_ones_keep_behind_each_other(self, flows, site) -> None:
        pipelined = flows.Options(flows=1, projects=1, executions=2, tag="t", concurrent_option="pipeline")
        made = [do_item(flows.executions, item, pipelined, site).value["execution"] for item in range(2)]
        query = {"ajax": "flowInfo", "execid": made[1]}
        told = site.get("/executor", params=query).json()
        assert (told["concurrentOptions"], told["pipelineLevel"]) == ("pipeline", 1)
        assert told["pipelineExecution"] == made[0]

    def test_what_ran_before_the_run_began_is_not_looked_at(self, flows, site, clock) -> None:
        self.others(site, clock, 30)
        clock.step(2 * 24 * 3600)
        options = flows.Options(
            flows=1, projects=1, executions=1, tag=f"{clock.now_us() // 1_000_000:08x}_0123abcd"
        )
        self.others(site, clock, 1)
        site.begin("", 0, 1)
        assert flows.find_execution(site, 0, options) is None
        assert [sample.label for sample in site.samples] == ["fetchFlowExecutions", "flowInfo"]

    def test_a_tag_tells_when_it_was_made(self, flows) -> None:
        assert 0 <= time.time() * 1000 - flows.begun_ms(flows.Options()) - 24 * 3_600_000 < 60_000


def test_pages_do_not_repeat_what_new_executions_push_on(flows, azkaban, http) -> None:
    asked = []
    for start, numbers in ((0, (9, 8)), (2, (8, 7)), (4, (6,))):
        entries = [{"execId": number} for number in numbers]
        query = {"project": "p", "flow": "f", "ajax": "fetchFlowExecutions", "start": start, "length": 2}
        azkaban.get(MANAGER, json={"executions": entries, "total": 5}, match=[ask_for(**query)])
        asked.append(query)
    assert list(flows.azkaban.executions_of(http, "p", "f", 2)) == [[9, 8], [7], [6]]


def test_setup_sees_what_is_there_whatever_the_case(flows, azkaban, http) -> None:
    names = ("LOADGEN_0000", "loadgen_0007", "theirs")
    azkaban.get(f"{URL}/index", json={"projects": [{"projectName": name} for name in names]})
    scheduled(azkaban, (1, "Loadgen_0000", "f", NOON), (2, "theirs", "f", NOON))
    found = flows.look_around(http, flows.Options(projects=5))
    assert found == {"projects": ["loadgen_0000"], "schedules": ["loadgen_0000/f"]}


class TestTeardown:
    def deletes(self, azkaban: responses.RequestsMock, project: str, said: dict[str, str]) -> None:
        cookie = "; ".join(f'azkaban.{kind}.message="{words}"' for kind, words in said.items())
        headers = {"Location": "/", **({"Set-Cookie": cookie} if cookie else {})}
        asked = [ask_for(delete="true", project=project)]
        azkaban.get(MANAGER, status=302, headers=headers, match=asked)

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            ({"success": "Project 'loadgen_0000' was successfully deleted"}, None),
            ({"failure": "Project loadgen_0000 doesn't exist."}, None),
            ({"failure": "Cannot delete. User 'u' is not an ADMIN."}, r"loadgen_0000: .*not an ADMIN"),
            ({}, "loadgen_0000: it was not said what came of it"),  # to the login page of a site with OAuth
        ],
    )
    def test_only_what_azkaban_says_it_has_deleted(self, flows, azkaban, http, said, error) -> None:
        knows(azkaban, "loadgen_0000", 7)
        holds(azkaban, "loadgen_0000", "flow_000000")
        self.deletes(azkaban, "loadgen_0000", said)
        if error is None:
            purges(azkaban, 7)
        made = FakeMade({"flows": [{"project": "loadgen_0000", "id": 7, "created": True}]})
        if error is None:
            flows.take_back(http, flows.Options(), made)
        else:
            with pytest.raises(flows.AzkabanError, match=error):
                flows.take_back(http, flows.Options(), made)

    def test_of_projects_only_what_the_run_has_made(self, flows, azkaban, http) -> None:
        """Deleted: 1, and 3, whose upload failed.  Not: 0, of before; 2, gone; 4, made anew by others.

        Purged are also what was 2 and 4 once: an earlier clean may have come so far.
        """
        for number, id_there in ((1, 11), (2, None), (3, 13), (4, 99)):
            knows(azkaban, f"loadgen_000{number}", id_there)
        for number in (1, 3):
            holds(azkaban, f"loadgen_000{number}", f"flow_00000{number}")
            self.deletes(azkaban, f"loadgen_000{number}", {"success": "deleted"})
        described(azkaban, "loadgen_0003", "made by loadgen, t")
        for number in (11, 12, 13, 14):
            purges(azkaban, number)
        done = [
            {"project": f"loadgen_000{number}", "id": 10 + number, "created": True} for number in (0, 1, 2, 4)
        ]
        scheduled(azkaban)
        before = {"projects": ["loadgen_0000"], "schedules": []}
        made = FakeMade({"flows": done}, setup=before, broken={"flows": [13]}, in_doubt={"flows": [11, 14]})
        flows.take_back(http, flows.Options(flows=20, projects=10, tag="t"), made)
        assert sent(azkaban, delete="true") == ["loadgen_0001", "loadgen_0003"]
        assert sorted(sent(azkaban, purge="true")) == ["11", "12", "13", "14"]

    @pytest.mark.parametrize(
        ("created", "doubt", "there", "stays"),
        [
            ([True, False], [], ["flow_000000", "flow_000777"], ""),  # another run of ours filled it further
            ([True], [], ["flow_000000", "nightly"], "loadgen_0000 holds nightly"),
            ([False], [], None, "loadgen_0000: others created it"),
            ([False], [0], ["flow_000000"], ""),  # the first upload failed, after it created the project
            ([], [0], ["flow_000000"], ""),
            ([], [0], [], ""),
            ([], [0], ["flow_000000", "flow_000777"], ""),
            ([], [0], ["flow_000000", "nightly"], "loadgen_0000 holds nightly"),
        ],
    )
    def test_of_projects_none_that_others_made_or_filled(
        self, flows, azkaban, http, created, doubt, there, stays
    ) -> None:
        knows(azkaban, "loadgen_0000", 7)
        if doubt:
            described(azkaban, "loadgen_0000", "made by loadgen, t")
        if there is not None:
            holds(azkaban, "loadgen_0000", *there)
        if not stays:
            self.deletes(azkaban, "loadgen_0000", {"success": "deleted"})
            purges(azkaban, 7)
        done = [{"project": "loadgen_0000", "id": 7, "created": it} for it in created]
        made = FakeMade({"flows": done}, broken={"flows": doubt})
        if not stays:
            flows.take_back(http, flows.Options(flows=20, projects=10, tag="t"), made)
        else:
            with pytest.raises(flows.AzkabanError, match=f"left: {stays}"):
                flows.take_back(http, flows.Options(flows=20, projects=10, tag="t"), made)

    @pytest.mark.parametrize("created", [[], [False]])
    def test_one_in_doubt_that_does_not_say_whose_it_is_stays_even_if_empty(
        self, flows, azkaban, http, created
    ) -> None:
        knows(azkaban, "loadgen_0000", 7)
        described(azkaban, "loadgen_0000", "made by loadgen, u")
        done = [{"project": "loadgen_0000", "id": 7, "created": it} for it in created]
        made = FakeMade({"flows": done}, in_doubt={"flows": [0]})
        with pytest.raises(
            flows.AzkabanError, match="left: loadgen_0000 is not described as made by this run"
        ):
            flows.take_back(http, flows.Options(tag="t"), made)

    def test_what_azkaban_does_not_purge_is_told(self, flows, azkaban, http) -> None:
        knows(azkaban, "loadgen_0000", 7)
        holds(azkaban, "loadgen_0000", "flow_000000")
        self.deletes(azkaban, "loadgen_0000", {"success": "deleted"})
        purges(azkaban, 7, {"success": False, "error": "Cannot purge. User 'u' is not an ADMIN."})
        made = FakeMade({"flows": [{"project": "loadgen_0000", "id": 7, "created": True}]})
        with pytest.raises(
            flows.AzkabanError, match="left: loadgen_0000 in the database, deleted: Cannot purge"
        ):
            flows.take_back(http, flows.Options(), made)

    def test_one_that_others_made_anew_and_the_run_filled_stays(self, flows, azkaban, http) -> None:
        knows(azkaban, "loadgen_0000", 9)
        done = [{"project": "loadgen_0000", "id": 7 + 2 * turn, "created": not turn} for turn in range(2)]
        with pytest.raises(flows.AzkabanError, match="loadgen_0000: others created it"):
            flows.take_back(http, flows.Options(), FakeMade({"flows": done}))

    def test_of_schedules_in_projects_that_stay_only_what_the_run_has_made(
        self, flows, azkaban, http
    ) -> None:
        """Taken off: 1, that was made, and 2, whose answer was lost; those of other projects go with them."""
        at = [f"0 0 {hour} ? * *" for hour in (0, 6, 12, 18)]
        mine = [(number + 1, "Loadgen_0000", f"flow_00000{number}", at[number]) for number in range(3)]
        moved = (4, "loadgen_0000", "flow_000003", NOON)  # another cron: not ours, or not any more
        scheduled(azkaban, *mine, moved, (8, "loadgen_0001", "f", NOON), (9, "loadgen_0000", "g", NOON))
        azkaban.post(SCHEDULE, json={"status": "success"})
        before = {"projects": ["loadgen_0000"], "schedules": ["loadgen_0000/flow_000002"]}
        done = [{"schedule": number} for number in (1, 3, 8)]
        made = FakeMade(
            {"schedules": done}, setup=before, in_doubt={"schedules": [1]}, broken={"schedules": [3]}
        )
        flows.take_back(http, flows.Options(flows=4, projects=1, schedules=4), made)
        assert sent(azkaban, action="removeSched") == ["1", "2"]

    def test_what_runs_is_stopped_and_what_was_seen_to_end_is_left(self, flows, azkaban, http) -> None:
        """5 runs, 6 has ended, 7 is that of an item nobody was told about, 8 is somebody else's."""
        gone = {"error": "Project 'null' not found."}
        for number, said in ((5, {}), (7, gone)):
            azkaban.get(EXECUTOR, json=said, match=[ask_for(ajax="cancelFlow", execid=number)])
        ran(azkaban, {8: "other", 7: "loadgen-t-2"})
        executions = [{"item": item, "execution": 5 + item} for item in range(2)]
        done = {"executions": executions, "watch": [{"execution": 6}]}
        made = FakeMade(done, in_doubt={"executions": [2]})
        flows.take_back(http, flows.Options(flows=1, projects=1, executions=3, tag="t"), made)
        assert sent(azkaban, ajax="cancelFlow") == ["5", "7"]

    @pytest.mark.parametrize(
        ("then", "error"),
        [
            ([{"error": "isn't running"}, {}], None),
            ([{"error": "Cancel action has been called but the flow is unreachable."}], None),
            ([{"error": "isn't running"}] * 10, "execution 5 has not ended, and is not to be stopped"),
            ([{"error": "no permission"}], "no permission"),
        ],
        ids=["on its way", "not yet with an executor", "never", "forbidden"],
    )
    def test_what_is_said_not_to_run_may_be_about_to(self, flows, azkaban, http, then, error) -> None:
        for said in then:
            azkaban.get(EXECUTOR, json=said, match=[ask_for(ajax="cancelFlow", execid=5)])
        if "running" in str(then):
            waits = {"status": "PREPARING", "endTime": -1}
            azkaban.get(EXECUTOR, json=waits, match=[ask_for(ajax="fetchexecflow", execid=5)])
        made = FakeMade({"executions": [{"item": 0, "execution": 5}]})
        if error is None:
            flows.take_back(http, flows.Options(poll=0.001), made)
        else:
            with pytest.raises(flows.AzkabanError, match=error):
                flows.take_back(http, flows.Options(poll=0.001), made)

    def test_what_is_said_not_to_run_and_has_ended_is_left(self, flows, azkaban, http) -> None:
        azkaban.get(EXECUTOR, json={"error": "isn't running"}, match=[ask_for(ajax="cancelFlow", execid=5)])
        over = {"status": "KILLED", "endTime": 7}
        azkaban.get(EXECUTOR, json=over, match=[ask_for(ajax="fetchexecflow", execid=5)])
        flows.take_back(http, flows.Options(), FakeMade({"executions": [{"item": 0, "execution": 5}]}))
        assert len(azkaban.calls) == 2

    def test_a_run_whose_setup_broke_has_made_nothing(self, flows, azkaban, http) -> None:
        flows.take_back(http, flows.Options(), FakeMade({"flows": []}))
        assert not azkaban.calls


class TestOptions:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"projects": 0},
            {"batch": 0},
            {"flows": -1},
            {"executions": -1},
            {"flows": 1, "schedules": 2},
            {"patience": 0},
            {"pipeline_level": 3},
            {"prefix": "7up"},
            {"prefix": "a b"},
            {"flow_override": ("=3",)},
            {"cron": "0 3 * * *"},
        ],
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
