"""Executions and schedules of the sandbox, over real sockets and on a clock that the test steps.

Tests named `test_edge_NN_...` are the edge cases of the facts about Azkaban, by their number there.
"""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, pairwise
from types import SimpleNamespace

import pytest
from sandbox_client import DEADLINE_S, GUEST, LOGIN_PAGE, Client, a_zip, without_session

from loadgen.clock import SteppedClock
from loadgen.sandbox import SandboxOptions, running

MIDNIGHT_US = 1_767_225_600_000_000
"""2026-01-01."""
DAILY = "0 0 3 ? * *"
BOTH = (
    "The legacy param group flowOverride is not allowed in combination with the runtimeProperty param group. "
    "Migrate flowOverride to runtimeProperty[ROOT]."
)
OPTIONS = SandboxOptions(run_time_ms=1000, scan_interval_s=30)


@pytest.fixture(scope="module")
def clock():
    return SteppedClock(MIDNIGHT_US)


@pytest.fixture(scope="module")
def client(clock):
    with running(OPTIONS, clock) as url, closing(Client(url)) as client:
        yield client


@pytest.fixture(scope="module")
def names():
    return (f"project{number}" for number in count())


@pytest.fixture
def project(client, clock, names):
    """A project with the flows a and b; nothing else is left of the tests before."""
    for item in client.get("/schedule", ajax="fetchSchedules").json().get("items", []):
        client.post("/schedule", action="removeSched", scheduleId=item["scheduleId"])
    clock.step(100)
    name = next(names)
    client.create(name)
    client.upload(name, a_zip("a", "b"))
    return name


def execute(client, project, flow="a", **options):
    return client.get("/executor", ajax="executeFlow", project=project, flow=flow, **options).json()


def fetch(client, execid, ajax="fetchexecflow", **more):
    return client.get("/executor", ajax=ajax, execid=str(execid), **more).json()


def schedule(client, project, flow="a", **options):
    options = {"cronExpression": DAILY} | options
    return client.post("/schedule", ajax="scheduleCronFlow", projectName=project, flow=flow, **options).json()


def project_id(client, project):
    return client.get(ajax="getProjectId", project=project).json()["projectId"]


def test_a_flow_is_executed(client, clock, project):
    said = client.post("/executor", ajax="executeFlow", project=project, flow="a").json()
    execid = said["execid"]
    message = f"Execution queued successfully with exec id {execid}"
    assert said == {"project": project, "flow": "a", "message": message, "execid": execid}
    assert execute(client, project, "b")["execid"] == execid + 1


def test_edge_25_the_status_goes_on_with_time_and_the_version_does_not(client, clock, project):
    execid = execute(client, project)["execid"]
    told = fetch(client, execid)
    assert (told["status"], told["startTime"], told["endTime"]) == ("PREPARING", -1, -1)
    client.upload(project, a_zip("b"))
    clock.step(0.05)
    told = fetch(client, execid)
    assert (told["status"], told["nodes"][0]["status"]) == ("RUNNING", "RUNNING")
    clock.step(1)
    told = fetch(client, execid)
    submitted_ms = clock.now_us() // 1000 - 1050
    assert told == {
        "project": project,
        "projectId": project_id(client, project),
        "execid": execid,
        "submitTime": submitted_ms,
        "submitUser": "azkaban",
        "id": "a",
        "flow": "a",
        "flowId": "a",
        "type": None,
        "nestedId": "",
        "attempt": 0,
        "status": "SUCCEEDED",
        "startTime": submitted_ms + 50,
        "endTime": submitted_ms + 1050,
        "updateTime": submitted_ms + 1050,
        "nodes": [
            {
                "id": "a",
                "nestedId": "a",
                "type": "noop",
                "status": "SUCCEEDED",
                "startTime": submitted_ms + 50,
                "endTime": submitted_ms + 1050,
                "updateTime": submitted_ms + 1050,
                "attempt": 0,
            }
        ],
    }
    gone = f"Error loading flow. Flow a doesn't exist in {told['projectId']}"
    assert fetch(client, execid, "flowInfo") == {"error": gone}


@pytest.mark.parametrize(
    ("profile", "ends"), [("3.57", "SUCCEEDED"), ("3.90", "SUCCEEDED"), ("4.0", "FAILED")]
)
def test_edge_25_a_run_of_a_flow_that_is_being_uploaded_has_the_old_files(monkeypatch, profile, ends):
    """Flows first, then the cost, then the version; up to 3.90 the version comes with the flows.

    `old` has a file in both; only its command is another one by then.
    """
    clock, through = SteppedClock(MIDNIGHT_US), threading.Event()

    async def cost(_seconds: float) -> None:
        assert await asyncio.to_thread(through.wait, DEADLINE_S)

    held = SimpleNamespace(sleep=cost, Lock=asyncio.Lock, to_thread=asyncio.to_thread)
    options = SandboxOptions(profile=profile, base_cost_ms=1)
    with running(options, clock) as url, closing(Client(url)) as client, ThreadPoolExecutor() as pool:
        client.create("p")
        client.upload("p", a_zip(old="type=command\ncommand=sleep 5"))
        monkeypatch.setattr("loadgen.sandbox.azkaban.upload.asyncio", held)
        with closing(Client(url)) as other:
            more = a_zip("new", old="type=command\ncommand=sleep 7")
            uploading = pool.submit(other.upload, "p", more)
            until(lambda: client.flows("p") == {"old", "new"})
            during = {flow: execute(client, "p", flow)["execid"] for flow in ("new", "old")}
            through.set()
            assert uploading.result().json()["version"] == "2"
        after = execute(client, "p", "new", concurrentOption="ignore")["execid"]
        clock.step(6)
        assert fetch(client, during["new"])["status"] == ends
        assert fetch(client, during["old"])["status"] == ("SUCCEEDED" if ends == "FAILED" else "RUNNING")
        assert fetch(client, after)["status"] == "SUCCEEDED"
        assert client.flows("p") == {"old", "new"}


def until(condition) -> None:
    """Ask until it is so."""
    tick = threading.Event()
    for _ in range(DEADLINE_S * 200):
        if condition():
            return
        tick.wait(0.005)
    raise AssertionError("it never was")


def test_commands_decide_how_long_a_flow_runs_and_how_it_ends(client, clock, project):
    flows = {"slow": "type=command\ncommand=sleep 3", "bad": "type=command\ncommand=echo\ncommand.1=exit 1"}
    client.upload(project, a_zip(odd="type=pig", **flows))
    ids = {flow: execute(client, project, flow)["execid"] for flow in ("slow", "bad", "odd")}
    clock.step(1.05)
    assert {flow: fetch(client, each)["status"] for flow, each in ids.items()} == {
        "slow": "RUNNING",
        "bad": "FAILED",
        "odd": "FAILED",
    }
    clock.step(2)
    assert fetch(client, ids["slow"])["status"] == "SUCCEEDED"


def test_edge_14_the_second_run_is_skipped_unless_it_is_to_be_ignored(client, clock, project):
    first = execute(client, project)["execid"]
    assert execute(client, project) == {
        "project": project,
        "flow": "a",
        "error": "Error submitting flow a. Flow a is already running. Skipping execution.",
        "execid": -1,
    }
    said = execute(client, project, concurrentOption="ignore")
    assert said["message"] == (
        f"Flow a is already running with exec id {first}. Will execute concurrently. \n"
        f"Execution queued successfully with exec id {said['execid']}"
    )
    clock.step(2)
    assert "error" not in execute(client, project)


def test_edge_15_thirty_one_at_once_and_no_more(client, clock, project):
    said = [execute(client, project, concurrentOption="ignore") for _ in range(32)]
    assert all("error" not in each for each in said[:31])
    assert (said[31]["error"], said[31]["execid"]) == (
        "Error submitting flow a. Flow a has more than 30 concurrent runs. Skipping",
        -1,
    )
    clock.step(0.05)
    statuses = [fetch(client, each["execid"])["status"] for each in said[:31]]
    assert statuses == ["RUNNING"] * 30 + ["PREPARING"], "the executor takes 30 at once"


def test_edge_16_a_locked_flow_has_a_message_and_no_error(client, clock, project):
    lock = {"ajax": "setFlowLock", "project": project, "flowName": "a"}
    assert client.get(**lock, isLocked="true").json()["isLocked"] is True
    said = execute(client, project)
    assert said == {
        "project": project,
        "flow": "a",
        "message": f"Flow a for project {project} is locked.",
        "execid": -1,
    }
    message = f"Flow a in project {project} is locked."
    assert schedule(client, project) == {"status": "error", "message": message}
    client.upload(project, a_zip("a", "c"))
    asked = client.get(ajax="isFlowLocked", project=project, flowName="a").json()
    assert (asked["flowId"], asked["isLocked"]) == ("a", True), "an upload does not unlock it"
    client.get(**lock, isLocked="false")
    assert execute(client, project)["execid"] > 0


def test_edge_16_a_full_queue_has_a_message_and_no_error():
    """Of a server that pushes; where executors poll, what waits is in the database."""
    options = SandboxOptions(profile="3.90", queue_size=3)
    with running(options, SteppedClock(MIDNIGHT_US)) as url, closing(Client(url)) as client:
        client.create("p")
        client.upload("p", a_zip("a", "b", "c", "d"))
        said = [execute(client, "p", flow) for flow in "abcd"]
    assert [each["execid"] for each in said[:3]] == [1, 2, 3]
    full = "Failed to submit d for project p. Azkaban has overrun its webserver queue capacity"
    assert said[3] == {"project": "p", "flow": "d", "message": full, "execid": -1}


def test_edge_17_who_may_not_execute_hears_that_there_is_no_project(client, project):
    number = schedule(client, project)["scheduleId"]
    with closing(Client(client.url, GUEST)) as guest:
        said = execute(guest, project)
        assert said == {"project": project, "error": f"Project '{project}' doesn't exist."}
        said = guest.get("/executor", ajax="getRunning", project=project, flow="a").json()
        assert said == {"error": f"User 'guest' doesn't have EXECUTE permissions on {project}"}
        said = schedule(guest, project)
        assert said == {"status": "error", "message": "Permission denied. Cannot execute a"}
        said = guest.post("/schedule", action="removeSched", scheduleId=number).json()
        assert said["message"] == f"Permission denied. Cannot remove schedule with id {number}"


def test_of_their_own_projects_users_may_all_but_what_is_for_administrators(client, names, clock):
    clock.step(100)
    name = next(names)
    with closing(Client(client.url, GUEST)) as guest:
        guest.create(name)
        guest.upload(name, a_zip("a"))
        number = execute(guest, name, **{"flowOverride[flowPriority]": "9", "flowOverride[x]": "1"})["execid"]
        assert fetch(guest, number, "flowInfo")["flowParam"] == {"x": "1"}
        scheduled = schedule(guest, name)["scheduleId"]
        assert (
            guest.post("/schedule", action="removeSched", scheduleId=scheduled).json()["status"] == "success"
        )
    assert fetch(client, number)["submitUser"] == "guest"


def test_what_a_version_says_and_how_many_threads_it_has():
    options = SandboxOptions(profile="3.57", threads=7)
    with running(options) as url, closing(Client(url)) as client:
        client.create("p")
        client.upload("p", a_zip("a"))
        assert execute(client, "p")["message"] == "Execution submitted successfully with exec id 1"
        jetty = "azkaban.jmx.JmxJettyServer:name=jetty"
        told = client.get("/jmx", ajax="getAllMBeanAttributes", mBean=jetty).json()["attributes"]
        assert (told["NumThreads"], told["NumIdleThreads"]) == (7, 6)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"concurrentOption": "pipeline"},
            "Error parsing flow options: Missing required parameter 'pipelineLevel'.",
        ),
        (
            {"flowOverride[a]": "1", "runtimeProperty[ROOT][b]": "2"},
            f"Error parsing flow options: {BOTH}",
        ),
        ({"flowOverride[flowPriority]": "x"}, "Error submitting flow a. flowPriority should be an integer"),
    ],
)
def test_options_that_make_no_sense_execute_nothing(client, project, options, error):
    assert execute(client, project, **options)["error"] == error
    assert client.get("/executor", ajax="getRunning", project=project, flow="a").json() == {}


def test_what_is_not_there_cannot_be_executed(client, project):
    assert execute(client, "nobody") == {"project": "nobody", "error": "Project 'nobody' doesn't exist."}
    said = execute(client, project, "x")
    assert said["error"].startswith("Flow 'x' cannot be found in project azkaban.project.Project@")
    assert "execid" not in said


def test_the_options_can_be_read_back(client, clock, project):
    options = {"flowOverride[loadgen.token]": "t-1", "failureAction": "finishPossible", "disabled": '["b"]'}
    told = fetch(client, execute(client, project, **options)["execid"], "flowInfo")
    assert told["flowParam"] == {"loadgen.token": "t-1"}
    assert told["runtimeProperties"] == {"ROOT": {"loadgen.token": "t-1"}}
    assert (told["failureAction"], told["concurrentOptions"]) == ("finishPossible", "skip")
    assert (told["nodeStatus"], told["disabled"]) == ({"a": "READY"}, ["b"])


def test_an_update_needs_a_time(client, clock, project):
    execid = execute(client, project)["execid"]
    clock.step(2)
    told = fetch(client, execid, "fetchexecflowupdate", lastUpdateTime="0")
    assert (told["status"], [node["id"] for node in told["nodes"]]) == ("SUCCEEDED", ["a"])
    now = str(clock.now_us() // 1000)
    assert "nodes" not in fetch(client, execid, "fetchexecflowupdate", lastUpdateTime=now)
    answer = client.get("/executor", ajax="fetchexecflowupdate", execid=str(execid))
    assert answer.status_code == 500


def test_executions_are_paused_resumed_and_cancelled(client, clock, project):
    client.upload(project, a_zip("a", b="type=noop\ndependencies=a"))
    execid = execute(client, project, "b")["execid"]
    clock.step(0.5)
    assert fetch(client, execid, "pauseFlow") == {}
    clock.step(9)
    assert fetch(client, execid)["status"] == "PAUSED"
    assert fetch(client, execid, "resumeFlow") == {}
    assert fetch(client, execid)["status"] == "RUNNING"
    assert fetch(client, execid, "cancelFlow") == {}
    assert fetch(client, execid)["status"] == "KILLING"
    clock.step(0.02)
    assert fetch(client, execid)["status"] == "KILLED"


def test_edge_22_what_is_over_is_not_running(client, clock, project):
    execid = execute(client, project)["execid"]
    clock.step(2)
    error = f"Execution {execid} of flow a isn't running."
    assert fetch(client, execid, "cancelFlow") == fetch(client, execid, "pauseFlow") == {"error": error}
    assert fetch(client, execid, "resumeFlow") == {"resume": error}


def test_edge_22_a_cancel_before_it_runs_says_error_and_works(client, project):
    execid = execute(client, project)["execid"]
    error = "Cancel action has been called but the flow is unreachable. Finalizing the flow."
    assert fetch(client, execid, "cancelFlow") == {"error": error}
    assert fetch(client, execid)["status"] == "FAILED"


@pytest.mark.parametrize("profile", ["3.57", "3.90"])
def test_edge_22_a_cancel_of_what_is_being_pushed_does_nothing_and_of_what_waits_works(profile):
    """The first that waits is off the queue, and with no executor yet."""
    clock = SteppedClock(MIDNIGHT_US)
    with running(SandboxOptions(profile=profile), clock) as url, closing(Client(url)) as client:
        client.create("p")
        client.upload("p", a_zip("a", "b"))
        first, second = (execute(client, "p", flow)["execid"] for flow in "ab")
        assert fetch(client, first, "cancelFlow") == {"error": "Execution 1 of flow a isn't running."}
        assert fetch(client, second, "cancelFlow") == {}
        assert [fetch(client, each)["status"] for each in (first, second)] == ["PREPARING", "FAILED"]
        clock.step(1)
        assert fetch(client, first)["status"] == "SUCCEEDED"
        beans = client.get("/jmx", ajax="getMBeans").json()["mbeans"]
        assert "azkaban.jmx.JmxExecutorManager:name=executorManager" in beans
        assert not [each for each in beans if "Controller" in each]


@pytest.mark.parametrize(("profile", "told"), [("3.57", {None}), ("3.90", {None}), ("4.0", {True})])
def test_a_schedule_that_makes_up_is_new(profile, told):
    with running(SandboxOptions(profile=profile)) as url, closing(Client(url)) as client:
        client.create("p")
        client.upload("p", a_zip("a"))
        assert schedule(client, "p", backExecuteOnce="true")["scheduleId"] == 1
        said = client.get("/schedule", ajax="fetchSchedule", projectId="1", flowId="a").json()["schedule"]
        assert {said.get("backExecuteOnce")} == told


def test_edge_20_empty_means_none(client, clock, project):
    ask = {"ajax": "getRunning", "project": project, "flow": "a"}
    assert client.get("/executor", **ask).text == "{ }"
    execid = execute(client, project)["execid"]
    assert client.get("/executor", **ask).json() == {"execIds": [execid]}
    clock.step(2)
    assert client.get("/executor", **ask).json() == {}
    unknown = client.get("/executor", ajax="getRunning", project="nobody", flow="a")
    assert unknown.json() == {"error": "Project 'null' not found."}
    assert client.get("/schedule", ajax="fetchSchedules").json() == {}
    number = str(project_id(client, project))
    assert client.get("/schedule", ajax="fetchSchedule", projectId=number, flowId="a").json() == {}


def test_edge_20_a_flow_has_its_executions_the_newest_first_and_an_unknown_one_has_none(
    client, clock, project
):
    ids = []
    for _ in range(5):
        ids.append(execute(client, project)["execid"])
        clock.step(2)

    def ask(flow: str, start: str, length: str) -> dict:
        window = {"flow": flow, "start": start, "length": length}
        return client.get(ajax="fetchFlowExecutions", project=project, **window).json()

    told = ask("a", "1", "2")
    assert (told["flow"], told["total"], told["from"], told["length"]) == ("a", 5, 1, 2)
    assert [each["execId"] for each in told["executions"]] == [ids[3], ids[2]]
    assert told["executions"][0] == {
        "execId": ids[3],
        "flowId": "a",
        "projectId": told["projectId"],
        "status": "SUCCEEDED",
        "submitTime": clock.now_us() // 1000 - 4000,
        "startTime": clock.now_us() // 1000 - 3950,
        "endTime": clock.now_us() // 1000 - 2950,
        "submitUser": "azkaban",
    }
    assert [len(ask("a", *window)["executions"]) for window in (("4", "9"), ("5", "1"), ("0", "0"))] == [
        1,
        0,
        0,
    ]
    assert (ask("x", "0", "1")["total"], ask("x", "0", "1")["executions"]) == (0, [])
    assert client.get(ajax="fetchFlowExecutions", project=project, flow="a", start="0").status_code == 500


def test_edge_23_numbers_must_be_numbers_and_typos_are_no_errors(client, project):
    for execid in ("x", "", "99999999999"):
        answer = client.get("/executor", ajax="fetchexecflow", execid=execid)
        assert (answer.status_code, "Powered by Jetty://" in answer.text) == (500, True)
    assert fetch(client, 999_999) == {"error": "Cannot find execution '999999'"}
    assert client.get("/executor", ajax="executeFlow", flow="a").status_code == 500
    assert client.get("/executor", ajax="executeflow", project=project).json() == {"project": project}
    assert client.get("/executor", ajax="x", project="nobody").json() == {"project": "nobody"}
    level = {"concurrentOption": "pipeline", "pipelineLevel": "x"}
    answer = client.get("/executor", ajax="executeFlow", project=project, flow="a", **level)
    assert answer.status_code == 500


def test_the_jobs_of_a_flow_by_level(client, project):
    client.upload(project, a_zip("b", a="type=noop\ndependencies=b"))
    told = client.get(ajax="fetchflowjobs", project=project, flow="a").json()
    assert told["nodes"] == [
        {"id": "b", "dependencies": [], "dependents": ["a"], "level": 0},
        {"id": "a", "dependencies": ["b"], "dependents": [], "level": 1},
    ]
    assert client.get(ajax="fetchflowjobs", project=project, flow="x").status_code == 500


def test_a_flow_is_scheduled(client, clock, project):
    said = schedule(client, project, failureAction="cancelImmediately")
    number = said["scheduleId"]
    message = f"{project}.a scheduled."
    assert said == {"status": "success", "scheduleId": number, "message": message}
    ask = {"ajax": "fetchSchedule", "projectId": str(project_id(client, project)), "flowId": "a"}
    told = client.get("/schedule", **ask).json()["schedule"]
    assert (told["scheduleId"], told["submitUser"], told["period"]) == (str(number), "azkaban", "null")
    assert (told["cronExpression"], told["backExecuteOnce"]) == (DAILY, False)
    assert told["nextExecTime"] in {"2026-01-01 03:00:00", "2026-01-02 03:00:00"}
    assert told["firstSchedTime"].startswith("2026-01-01 0")
    options = told["executionOptions"]
    assert (options["concurrentOption"], options["failureAction"]) == ("skip", "CANCEL_ALL")
    info = client.get("/executor", ajax="flowInfo", project=project, flow="a").json()
    assert info["scheduled"] > clock.now_us() // 1000


def test_edge_06_the_id_of_a_schedule_is_a_number_or_a_string(client, project):
    number = schedule(client, project)["scheduleId"]
    (item,) = client.get("/schedule", ajax="fetchSchedules").json()["items"]
    ask = {"ajax": "fetchSchedule", "projectId": str(project_id(client, project)), "flowId": "a"}
    told = client.get("/schedule", **ask).json()["schedule"]
    assert (item["scheduleId"], told["scheduleId"]) == (number, str(number))
    assert client.get("/schedule", ajax="fetchSchedule", projectId="x", flowId="a").status_code == 500


def test_edge_18_a_schedule_is_replaced_under_its_id(client, project):
    first = schedule(client, project)["scheduleId"]
    assert schedule(client, project, cronExpression="0 0 4 ? * *")["scheduleId"] == first
    (item,) = client.get("/schedule", ajax="loadFlow").json()["items"]
    assert (item["scheduleId"], item["cron"]) == (first, "0 0 4 ? * *")


def test_edge_18_bad_missing_and_odd(client, project):
    bad = {"error": "This expression <0 3 * * *> can not be parsed to quartz cron."}
    assert schedule(client, project, cronExpression="0 3 * * *") == bad
    said = schedule(client, project, cronExpression=None)
    message = f"{project}.a scheduled."
    missing = {
        "error": "Cron expression must exist.",
        "status": "success",
        "scheduleId": -1,
        "message": message,
    }
    assert said == missing
    assert client.get("/schedule", ajax="fetchSchedules").json() == {}
    said = schedule(client, project, concurrentOption="pipeline")
    assert (said["status"], said["error"]) == ("success", "Missing required parameter 'pipelineLevel'.")
    assert said["scheduleId"] > 0
    said = schedule(client, project, concurrentOption="pipeline", pipelineLevel="x")
    assert said["error"] == 'For input string: "x"'
    assert len(client.get("/schedule", ajax="fetchSchedules").json()["items"]) == 1


@pytest.mark.parametrize(
    "cron", ["* * * * *", "0 0 3 * * *", "0 0 3 ? * ?", "0 0 3 ? * * 2020", "0 0 0 30 2 ?", ""]
)
def test_edge_19_quartz_is_not_unix(client, project, cron):
    error = f"This expression <{cron}> can not be parsed to quartz cron."
    assert schedule(client, project, cronExpression=cron) == {"error": error}


def test_what_is_not_there_cannot_be_scheduled(client, project):
    nobody = {"status": "error", "message": "Project nobody does not exist"}
    assert schedule(client, "nobody") == nobody
    unknown = {"status": "error", "message": f"Flow x cannot be found in project {project}"}
    assert schedule(client, project, "x") == unknown


def test_edge_21_the_list_mixes_all_projects(client, clock, names, project):
    other = next(names)
    client.create(other)
    client.upload(other, a_zip("a"))
    ids = [schedule(client, name)["scheduleId"] for name in (project, other)]
    items = client.get("/schedule", ajax="fetchSchedules").json()["items"]
    assert [(each["scheduleId"], each["projectname"]) for each in items] == list(
        zip(ids, (project, other), strict=True)
    )
    assert items[0] == {
        "scheduleId": ids[0],
        "flowname": "a",
        "projectname": project,
        "time": clock.now_us() // 1000,
        "cron": DAILY,
        "period": 0,
        "history": False,
    }


def test_a_schedule_is_removed_by_post_only(client, project):
    number = str(schedule(client, project)["scheduleId"])
    assert client.get("/schedule", ajax="removeSched", scheduleId=number).json() == {}
    assert len(client.get("/schedule", ajax="fetchSchedules").json()["items"]) == 1
    answer = client.post("/schedule", action="removeSched", scheduleId=number)
    assert answer.json() == {"status": "success", "message": "flow a removed from Schedules."}
    assert answer.headers["Set-Cookie"].startswith('azkaban.success.message="flow a removed')
    again = client.post("/schedule", action="removeSched", scheduleId=number).json()
    assert again == {"status": "error", "message": f"Schedule with ID {number} does not exist"}
    client.http.cookies.clear()


def test_edge_01_schedules_disappear_with_their_flow_and_with_their_project(client, project):
    kept = schedule(client, project, "b")["scheduleId"]
    schedule(client, project, "a")
    client.upload(project, a_zip("b", "c"))
    items = client.get("/schedule", ajax="fetchSchedules").json()["items"]
    assert [item["scheduleId"] for item in items] == [kept]
    client.get(delete="true", project=project)
    assert client.get("/schedule", ajax="fetchSchedules").json() == {}


def test_schedules_fire(client, clock, project):
    schedule(client, project, cronExpression="0 * * ? * *")
    clock.step(300)
    told = client.get(ajax="fetchFlowExecutions", project=project, flow="a", start="0", length="9").json()
    assert told["total"] in {4, 5}, "the scanner's rounds lie half a minute apart"
    gaps = [each["submitTime"] for each in told["executions"]]
    assert {later - earlier for later, earlier in pairwise(gaps)} == {60_000}
    assert {each["status"] for each in told["executions"][1:]} == {"SUCCEEDED"}


def test_the_figures(client, clock, project):
    for flow in ("a", "b"):
        execute(client, project, flow)
    number = schedule(client, project)["scheduleId"]

    def attributes(name: str) -> dict:
        return client.get("/jmx", ajax="getAllMBeanAttributes", mBean=name).json()["attributes"]

    (triggers,) = [
        each for each in client.get("/jmx", ajax="getMBeans").json()["mbeans"] if "Trigger" in each
    ]
    assert triggers == "azkaban.jmx.JmxTriggerManager:name=triggerManager"
    told = attributes(triggers)
    assert (told["NumTriggers"], told["TriggerIds"]) == (1, str(number))
    assert 0 <= told["ScannerIdleTime"] < 30_000
    told = attributes("azkaban.jmx.JmxExecutionController:name=executionController")
    assert (told["NumRunningFlows"], len(json.loads(told["QueuedFlows"]))) == (2, 2)
    clock.step(2)
    told = attributes("azkaban.jmx.JmxExecutionController:name=executionController")
    assert (told["NumRunningFlows"], told["QueuedFlows"]) == (0, "[]")
    assert attributes("azkaban.jmx.JmxJettyServer:name=jetty")["NumThreads"] == 20
    assert "error" in client.get("/jmx", ajax="getAllMBeanAttributes", mBean="x").json()
    assert LOGIN_PAGE in without_session(client.url, path="/jmx").text


def test_the_history_is_a_page_and_its_ajax_a_stub(client, clock, project):
    execute(client, project, "a")
    clock.step(2)
    execute(client, project, "b")
    assert client.get("/history", ajax="fetch").json() == {}

    def rows(**filters: str) -> list[str]:
        answer = client.get("/history", advfilter="true", projcontain=project.upper(), **filters)
        assert answer.headers["Content-Type"].startswith("text/html")
        return [line for line in answer.text.splitlines() if line.startswith("<tr><td>")]

    both = rows(size="1000")
    assert ["PREPARING" in both[0], "SUCCEEDED" in both[1]] == [True, True], "the newest first"
    assert rows(flowcontain="a") == rows(status="50") == rows(page="2", size="1") == [both[1]]
    assert rows(begin="01/01/2036 12:00 AM") == rows(usercontain="nobody") == []
    assert client.get("/history", advfilter="true", begin="yesterday").status_code == 500


def test_servlets_say_nothing_to_forms_without_a_command(client):
    for path in ("/executor", "/jmx", "/history"):
        answer = client.post(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert client.get(path).headers["Content-Type"].startswith("text/html")
    assert client.post("/schedule").json() == {}
    assert client.get("/schedule", ajax="scheduleFlow").status_code == 501


class WatchedClock(SteppedClock):
    """Tells when somebody looks at it."""

    def __init__(self) -> None:
        super().__init__(MIDNIGHT_US)
        self.looked = threading.Event()

    def now_us(self) -> int:
        self.looked.set()
        return super().now_us()


def test_what_is_due_happens_also_when_nobody_asks():
    """The server's own tick brings everything up to the present."""
    clock = WatchedClock()
    with running(OPTIONS, clock):
        for _ in range(3):
            clock.looked.clear()
            assert clock.looked.wait(20)
