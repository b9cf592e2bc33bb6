"""`--state`: what a sandbox holds outlives it, also when it is killed."""

import subprocess
import sys
from contextlib import closing

import pytest
from sandbox_client import Client, a_zip, without_session

from loadgen.errors import UsageError
from loadgen.sandbox import SandboxOptions, running

DAILY = "0 0 3 ? * *"
SERVE = """
import sys
from pathlib import Path
from loadgen.sandbox import SandboxOptions, serve
serve(SandboxOptions(state=Path(sys.argv[1])), ready=lambda port: print(port, flush=True))
"""


def test_a_killed_sandbox_comes_back_with_all_that_it_answered_and_no_session(tmp_path):
    state = tmp_path / "state.jsonl"
    command = [sys.executable, "-c", SERVE, str(state)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        closing(Client(f"http://127.0.0.1:{int(process.stdout.readline())}")) as client,
    ):
        for name in ("kept", "gone"):
            client.create(name)
            client.upload(name, a_zip("a", "b"))
        client.upload("kept", a_zip("b", "c"))
        assert client.upload("kept", a_zip("A", "a")).status_code == 500
        run = {"ajax": "executeFlow", "project": "kept", "flow": "c", "concurrentOption": "ignore"}
        run["flowOverride[token]"] = "t"
        client.get("/executor", **run)
        client.get("/executor", ajax="cancelFlow", execid="1")
        client.get("/executor", **run)
        for flow in ("b", "c"):
            client.post(
                "/schedule", ajax="scheduleCronFlow", projectName="kept", flow=flow, cronExpression=DAILY
            )
        client.post("/schedule", action="removeSched", scheduleId="2")
        scheduled = client.get("/schedule", ajax="fetchSchedules").json()
        client.get(delete="true", project="gone")
        listed = client.get("/index", ajax="fetchallprojects").json()
        process.kill()
    with running(SandboxOptions(state=state)) as url:
        answer = without_session(url, params={"ajax": "x", "session.id": client.session_id})
        assert answer.json() == {"error": "session"}
        with closing(Client(url)) as again:
            assert again.get("/index", ajax="fetchallprojects").json() == listed
            assert again.flows("kept") == {"b", "c"}
            assert again.get("/schedule", ajax="fetchSchedules").json() == scheduled
            ended = again.get("/executor", ajax="fetchexecflow", execid="1").json()
            assert ended["status"] in ("FAILED", "KILLED"), "whether it had begun or not"
            told = again.get("/executor", ajax="flowInfo", execid="2").json()
            assert told["flowParam"] == {"token": "t"}
            assert again.get("/executor", **run).json()["execid"] == 3
            assert again.upload("kept", a_zip("d")).json() == {"projectId": "1", "version": "4"}
            again.create("gone")
            assert again.get(ajax="getProjectId", project="gone").json()["projectId"] == 3
    with running(SandboxOptions(state=state)) as url, closing(Client(url)) as again:
        assert again.flows("kept") == {"d"}


def test_a_damaged_state_is_one_clear_line(tmp_path):
    state = tmp_path / "state.jsonl"
    with running(SandboxOptions(state=state)) as url, closing(Client(url)) as client:
        client.create("p")
    state.write_bytes(state.read_bytes() + b"oops\n")
    with pytest.raises(UsageError, match=rf"^{state}:3: .*oops"), running(SandboxOptions(state=state)):
        pass
