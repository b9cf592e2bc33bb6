"""The whole Azkaban job on sandboxes: filled, scheduled, run, watched, verified, cleaned; with faults, too.

Sandboxes are in this process, runs are the real command line; what both say is compared.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import AZKABAN, Cli, Finished, adds_up, until
from sandbox.sandbox_client import Client, a_zip

from loadgen.ledger.reader import Reader
from loadgen.sample import Outcome
from loadgen.sandbox import SandboxOptions, running

STEPS = ("projects", "flows", "schedules", "executions", "watch")
NOON = "0 0 12 ? * *"


@dataclass
class Site:
    """A sandbox, seen by somebody who is not loadgen."""

    url: str
    log_file: Path
    client: Client

    def log(self, action: str) -> list[dict[str, Any]]:
        """What was asked for by runs."""
        lines = map(json.loads, self.log_file.read_text().splitlines())
        return [line for line in lines if line["action"] == action and line["run"]]

    def purged(self) -> set[int]:
        """The projects that were purged, by anybody."""
        lines = map(json.loads, self.log_file.read_text().splitlines())
        return {int(line["project"]) for line in lines if line["action"] == "purge"}

    def projects(self) -> set[str]:
        found = self.client.get("/index", ajax="fetchallprojects").json()["projects"]
        return {project["projectName"] for project in found}

    def flows(self) -> set[str]:
        return {f"{name}/{flow}" for name in self.projects() for flow in self.client.flows(name)}

    def schedules(self) -> dict[str, str]:
        items = self.client.get("/schedule", ajax="fetchSchedules").json().get("items", ())
        return {f"{each['projectname']}/{each['flowname']}": each["cron"] for each in items}

    def at_work(self) -> int:
        """Executions that run, or wait."""
        names = self.client.get("/jmx", ajax="getMBeans").json()["mbeans"]
        (bean,) = (name for name in names if "Execut" in name)
        said = self.client.get("/jmx", ajax="getAllMBeanAttributes", mBean=bean).json()["attributes"]
        return int(said["NumRunningFlows"]) + len(json.loads(said["QueuedFlows"]))

    def tokens(self, executions: int) -> Counter[str]:
        """How often each token was run, going by the executions with the first numbers."""
        asked = (
            self.client.get("/executor", ajax="flowInfo", execid=str(number + 1))
            for number in range(executions)
        )
        return Counter(answer.json()["flowParam"]["loadgen.token"] for answer in asked)

    def schedule(self, project: str, flow: str) -> None:
        fields = {"projectName": project, "flow": flow, "cronExpression": NOON}
        assert self.client.post("/schedule", ajax="scheduleCronFlow", **fields).json()["scheduleId"]


@contextmanager
def site(folder: Path, **options: Any) -> Iterator[Site]:
    log = folder / "access.jsonl"
    with (
        running(SandboxOptions(access_log=log, run_time_ms=20, **options)) as url,
        closing(Client(url)) as client,
    ):
        yield Site(url, log, client)


def job(*steps: str, **settings: object) -> list[object]:
    """The words for these steps, and these settings."""
    words: list[object] = [word for step in steps for word in ("--step", step)]
    return words + [word for pair in settings.items() for word in ("--set", "{}={}".format(*pair))]


def run(cli: Cli, site: Site, *words: object) -> Finished:
    return cli.run(AZKABAN, "--target", site.url, *words)


def clean(cli: Cli, run: object, *words: object) -> Finished:
    return cli("clean", run, "--out", cli.out, *words)


def ended(directory: Path, outcome: Outcome, step: str = "flows") -> set[int]:
    """The items of a step that ended so."""
    with Reader(directory) as reader:
        (index,) = [facts.index for facts in reader.steps() if facts.name == step]
        return set(reader.ended(index, outcome))


@pytest.mark.timeout(60)
def test_filled_topped_up_and_cleaned(cli: Cli, tmp_path: Path) -> None:
    """The tester's story.  `theirs` and `tale_0002` are there before, and stay."""
    whole = job(*STEPS, prefix="tale", flows=24, projects=6, schedules=24, executions=12, poll=0.05, tag="t")
    with site(tmp_path, latency_ms=3) as it:
        for name, flow in (("theirs", "f"), ("tale_0002", "flow_000002")):
            it.client.create(name)
            it.client.upload(name, a_zip(flow))
        it.schedule("theirs", "f")

        assert run(cli, it, *whole).code == 0
        summary = cli.summary()
        adds_up(summary)
        assert summary["verification"]["expected"] == summary["verification"]["found"] == 6 + 24 + 24 + 12
        times = {step["name"]: step["item_time"]["min"] for step in summary["steps"]}
        assert times["watch"] >= 20, "an execution takes as long as its job"
        assert (len(it.projects()), len(it.flows()), len(it.schedules())) == (7, 25, 25)
        (first,) = cli.directories()

        it.client.get(delete="true", project="tale_0001")
        it.client.upload("tale_0003", a_zip("flow_000003", "flow_000015"))  # without 9 and 21
        assert (len(it.flows()), len(it.schedules())) == (19, 19)
        before = {name: len(it.log(name)) for name in ("create", "upload", "scheduleCronFlow", "executeFlow")}
        assert run(cli, it, *whole, "--top-up").code == 0
        made = {name: it.log(name)[count:] for name, count in before.items()}
        assert [line["item"] for line in made["create"]] == [1]
        missing = [1, 7, 9, 13, 19, 21]
        assert sorted(line["item"] for line in made["upload"]) == missing
        assert sorted(line["item"] for line in made["scheduleCronFlow"]) == missing
        assert sorted(line["item"] for line in made["executeFlow"]) == [1, 7], "of the flows that are new"
        assert (len(it.flows()), len(it.schedules())) == (25, 25)
        second = cli.directories()[-1]

        assert clean(cli, second.name, "--yes").code == 0
        assert it.projects() == {"theirs", *(f"tale_000{number}" for number in (0, 2, 3, 4, 5))}
        assert len(it.schedules()) == 19, "those of tale_0001, and what was new in tale_0003"

        cleaning = cli.start("clean", first.name, "--out", cli.out, "--yes")
        until(lambda: "tale_0000" not in it.projects(), "the first project is gone")
        cleaning.signal(signal.SIGKILL)
        cleaning.wait()
        assert len(it.projects()) > 2, "it was killed half way"
        assert "did not come to its end" in clean(cli, first.name, "--dry-run").out
        it.client.upload("tale_0005", a_zip("nightly"))
        left = clean(cli, first.name, "--yes")
        assert (left.code, "tale_0005 holds nightly" in left.err) == (4, True), left
        assert it.projects() == {"theirs", "tale_0002", "tale_0005"}
        it.client.upload("tale_0005", a_zip())
        assert clean(cli, first.name, "--yes").code == 0
        assert it.projects() == {"theirs", "tale_0002"}
        assert len(it.purged()) == 6, "tale_0001 twice, also what was deleted before the kill"
        assert it.schedules() == {"theirs/f": NOON}
        assert it.at_work() == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("profile", ["3.57", "3.90", "4.0"])
def test_faults_that_retries_overcome(cli: Cli, tmp_path: Path, profile: str) -> None:
    """The whole job, on each Azkaban that there is a profile of.

    Sessions end all the time, uploads fail or are not answered: no item fails, all is there.

    Chunks are so large that an upload that is tried again comes after all later ones of its project.
    """
    words = job(*STEPS, flows=120, projects=6, schedules=120, executions=20, poll=0.05)
    with site(tmp_path, session_calls=20, fail_rate=0.01, drop_rate=0.01, profile=profile) as it:
        assert run(cli, it, *words, "--chunk", 120).code == 0
        summary = cli.summary()
        adds_up(summary)
        assert summary["items"]["done"] == summary["items"]["planned"] == 6 + 120 + 120 + 20 + 20
        faults = [line["status"] for line in it.log("upload") + it.log("create") if line["status"] != 200]
        assert set(faults) == {500, None}
        assert summary["attempts"]["retries"] == len(faults)
        errors = {call["name"]: call["errors"] for call in summary["calls"]}
        assert errors["upload"] + errors["create project"] == len(faults)
        assert summary["verification"]["found"] == 6 + 120 + 120 + 20
        logins = next(call["count"] for call in summary["calls"] if call["name"] == "login")
        assert logins > 20, "sessions end all the time: there are 8 threads"
        assert clean(cli, "latest", "--yes").code == 0
        assert (it.projects(), it.schedules(), it.at_work()) == (set(), {}, 0)
        assert it.purged() == {1, 2, 3, 4, 5, 6}


@pytest.mark.timeout(60)
def test_faults_that_are_too_many(cli: Cli, tmp_path: Path) -> None:
    """What is told to have failed, and what to be missing, is what the sandbox saw."""
    with site(tmp_path, fail_rate=0.4, drop_rate=0.4, seed=3) as it:
        assert run(cli, it, *job("flows", flows=60, projects=30, strategy="bundle")).code == 3
        uploads = it.log("upload")
        done = {line["item"] for line in uploads if line["status"] == 200}
        there = {line["item"] for line in uploads if line["status"] != 500}
        assert done < there < set(range(30)), "some are there although they failed, some are not"
        directory = cli.directory()
        assert ended(directory, Outcome.FAILED) == set(range(30)) - done
        assert ended(directory, Outcome.DONE) == done
        summary = cli.summary()
        assert summary["items"]["failed"] == 30 - len(done)
        told = summary["verification"]
        assert (told["found"], told["missing"]) == (2 * len(there), 2 * (30 - len(there)))
        assert it.flows() == {
            f"loadgen_{item % 30:04d}/flow_{item:06d}" for item in range(60) if item % 30 in there
        }
        assert clean(cli, "latest", "--yes").code == 0
        assert it.projects() == set(), "also of those that failed"


@pytest.mark.timeout(60)
def test_a_worker_killed_while_it_executes(cli: Cli, tmp_path: Path) -> None:
    """What it may have sent is looked for on the target, and not run again."""
    folder = tmp_path / "scenarios"
    shutil.copytree(AZKABAN.parent, folder)
    scenario = folder / AZKABAN.name
    text = scenario.read_text()
    impatient = text.replace("concurrency=8)", "concurrency=8, timeout=1.0)")  # doubts last no longer
    assert impatient != text
    scenario.write_text(impatient)
    words = job("flows", "executions", flows=16, projects=2, strategy="bundle", executions=40, tag="t")
    with site(tmp_path, latency_ms=15) as it:
        under_way = cli.start_run(scenario, "--target", it.url, *words, "--lease-ttl", 1)
        until(lambda: len(it.log("executeFlow")) > 10, "flows are run")
        os.kill(cli.pid_of("loadgen worker"), signal.SIGKILL)
        assert under_way.wait().code == 0
        summary = cli.summary()
        assert summary["items"]["done"] == 42
        assert summary["attempts"]["in_doubt_resolved"] > 0
        assert summary["verification"]["found"] == 16 + 40
        assert it.tokens(40) == {f"loadgen-t-{item}": 1 for item in range(40)}
        assert len(it.client.get("/executor", ajax="flowInfo", execid="41").json()) == 1, "an error"
        assert clean(cli, "latest", "--yes").code == 0
        assert (it.projects(), it.at_work()) == (set(), 0)
