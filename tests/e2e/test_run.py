"""`loadgen run`, seen from outside: what the target was asked, and what the run directory says of it."""

import json
import os
import sqlite3
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from harness import AZKABAN, THINGS, Cli, Finished, Seen, Target, adds_up, each_once, until

from loadgen.ledger.reader import Reader
from loadgen.plan import Chunk

FLOWS = 300


@pytest.fixture(scope="module")
def job(shared_cli: Cli) -> Finished:
    """The main job, small."""
    return shared_cli.run(AZKABAN, "--set", f"flows={FLOWS}", "--set", "projects=7", "--processes", 2)


class TestMainJob:
    def test_ends_well(self, job: Finished, shared_cli: Cli) -> None:
        assert (job.code, job.err) == (0, "")
        summary = shared_cli.summary()
        adds_up(summary)
        assert summary["verdict"]["ok"]
        assert summary["verdict"]["exit_code"] == 0
        assert not summary["verdict"]["reasons"]
        assert summary["items"]["done"] == summary["items"]["planned"] == FLOWS

    def test_the_target_holds_what_it_should(self, job: Finished, shared_cli: Cli) -> None:
        verification = shared_cli.summary()["verification"]
        assert (verification["expected"], verification["found"]) == (FLOWS, FLOWS)
        assert (verification["missing"], verification["unexpected"]) == (0, 0)

    def test_the_first_line_names_the_sandbox(self, job: Finished, shared_cli: Cli) -> None:
        target = shared_cli.summary()["run"]["target"]
        assert job.out.splitlines()[0] == f"sandbox: Azkaban at {target}, started for this run"

    def test_the_target_was_asked_as_often_as_the_report_says(self, job: Finished, shared_cli: Cli) -> None:
        uploads = [line for line in shared_cli.access_log() if line["action"] == "upload"]
        samples = {call["name"]: call["count"] for call in shared_cli.summary()["calls"]}
        assert len(uploads) == samples["upload"] == FLOWS
        assert Counter(line["item"] for line in uploads) == dict.fromkeys(range(FLOWS), 1)
        assert {line["run"] for line in uploads} == {shared_cli.directory().name}
        assert len(shared_cli.access_log()) == sum(samples.values())

    def test_each_call_is_a_sample_in_the_ledger(self, job: Finished, shared_cli: Cli) -> None:
        with Reader(shared_cli.directory()) as reader:
            samples = [sample for table in reader.call_tables() for sample in table.samples.rows()]
        items = Counter(sample.item for sample in samples if sample.label == "upload")
        assert items == dict.fromkeys(range(FLOWS), 1)

    def test_the_manifest_has_a_line_for_each_item(self, job: Finished, shared_cli: Cli) -> None:
        lines = (shared_cli.directory() / "manifest.jsonl").read_text().splitlines()
        assert [json.loads(line)["item"] for line in lines] == list(range(FLOWS))

    def test_nothing_stays_behind(self, job: Finished, shared_cli: Cli) -> None:
        assert shared_cli.tokens() == []
        assert shared_cli.processes() == {}


def test_batches_make_fewer_uploads_of_the_same_flows(cli: Cli) -> None:
    assert cli.run(AZKABAN, "--set", "flows=95", "--set", "projects=3", "--set", "batch=10").code == 0
    summary = cli.summary()
    assert summary["items"]["done"] == 4 + 4 + 4  # 32, 32 and 31 flows, ten at a time
    assert summary["verification"]["found"] == 95


@pytest.mark.parametrize(
    ("things", "args"),
    [
        pytest.param(50, ("--chunk", 1, "--concurrency", 8), id="chunks of one"),
        pytest.param(400, ("--processes", 3, "--concurrency", 32), id="auto, 96 slots"),
        pytest.param(2, ("--processes", 2, "--concurrency", 16), id="more slots than items"),
        pytest.param(0, (), id="nothing to do"),
    ],
)
def test_each_item_is_done_once_however_it_is_cut(
    cli: Cli, target: Target, things: int, args: tuple[object, ...]
) -> None:
    ended = cli.run(cli.scenario(), "--target", target.url, "--set", f"things={things}", *args)
    assert ended.code == 0, ended
    each_once(target, things)
    summary = cli.summary()
    adds_up(summary)
    assert summary["items"]["done"] == things
    assert cli.processes() == {}


def test_a_fixed_chunk_is_kept_to(cli: Cli, target: Target) -> None:
    args = ("--target", target.url, "--set", "things=30", "--chunk", 7, "--processes", 2)
    assert cli.run(cli.scenario(), *args).code == 0
    each_once(target, 30)
    with sqlite3.connect(cli.directory() / "run.db") as ledger:
        chunks = [chunk for (chunk,) in ledger.execute("SELECT chunk FROM lease ORDER BY id")]
    ledger.close()
    sizes = [len(msgspec.msgpack.decode(chunk, type=Chunk)) for chunk in chunks]
    assert sizes == [7, 7, 7, 7, 2]


ROWS = '''"""Two steps with rows."""

from loadgen import Scenario, Session, feed

scenario = Scenario()


@scenario.step(items=feed.csv("users.csv"))
def add_user(http: Session, item: dict[str, str], options: object) -> None:
    http.post("/users", json=item)


@scenario.step(items=feed.jsonl("groups.jsonl"))
def add_group(http: Session, item: dict[str, object], options: object) -> None:
    http.post("/groups", json=item)
'''


def a_scenario_with_rows(cli: Cli) -> Path:
    users = "".join(f"user{n},{n}\n" for n in range(40))
    (cli.home / "users.csv").write_text(f"name,age\n{users}")
    groups = "".join(json.dumps({"name": f"group{n}", "members": [n]}) + "\n" for n in range(40))
    (cli.home / "groups.jsonl").write_text(groups)
    return cli.scenario(ROWS)


def test_rows_are_handed_out_once_and_steps_one_after_the_other(cli: Cli, target: Target) -> None:
    target.delay_s = 0.005
    assert cli.run(a_scenario_with_rows(cli), "--target", target.url, "--processes", 2).code == 0
    users = [seen for seen in target.seen if seen.path == "/users"]
    groups = [seen for seen in target.seen if seen.path == "/groups"]
    assert Counter(json.loads(seen.body)["age"] for seen in users) == {str(n): 1 for n in range(40)}
    assert Counter(json.loads(seen.body)["members"][0] for seen in groups) == dict.fromkeys(range(40), 1)
    assert max(seen.ended for seen in users) <= min(seen.began for seen in groups)


def test_one_step_alone(cli: Cli, target: Target) -> None:
    ended = cli.run(a_scenario_with_rows(cli), "--target", target.url, "--step", "add_group")
    assert ended.code == 0
    assert target.count() == {"/groups": 40}
    assert [step["name"] for step in cli.summary()["steps"]] == ["add_group"]


KEYED = '''"""Items of one key go one after the other."""

from loadgen import Scenario, Session

scenario = Scenario()


@scenario.step(items=99, key=lambda item, options: item % 9)
def put(http: Session, item: int, options: object) -> None:
    http.post(f"/shelf/{item % 9}")
'''


@pytest.mark.parametrize("chunk", ["auto", "5"])
def test_items_of_one_key_never_overlap_and_come_in_order(cli: Cli, target: Target, chunk: str) -> None:
    target.delay_s = 0.002
    args = ("--processes", 2, "--concurrency", 16, "--chunk", chunk)
    assert cli.run(cli.scenario(KEYED), "--target", target.url, *args).code == 0
    shelves: dict[str, list[Seen]] = defaultdict(list)
    for seen in target.seen:
        shelves[seen.path].append(seen)
    assert len(shelves) == 9
    for number, calls in enumerate(shelves[f"/shelf/{key}"] for key in range(9)):
        assert [seen.item for seen in calls] == list(range(number, 99, 9))
        assert all(first.ended <= second.began for first, second in pairwise(calls))
    began = [seen.began for seen in target.seen]
    assert began == sorted(began)
    assert any(first.ended > second.began for first, second in pairwise(target.seen)), (
        "nothing ran in parallel"
    )


HOOKS = '''"""Every hook tells the target that it ran."""

import os
from dataclasses import dataclass

from loadgen import Scenario, Session, Verification, option


@dataclass(frozen=True)
class Options:
    password: str = option("none", env="SHELF_PASSWORD", secret=True)


scenario = Scenario(options=Options)


@scenario.login
def login(http: Session, options: Options) -> None:
    http.post("/login", data={"password": options.password})


@scenario.setup
def setup(http: Session, options: Options) -> None:
    http.post("/setup")


@scenario.step(items=24)
def put(http: Session, item: int, options: Options) -> None:
    http.post(f"/things/{item}")


@scenario.verify
def verify(http: Session, options: Options) -> Verification:
    http.get("/verify")
    return Verification.of(["a", "b"], ["a", "c"])


@scenario.teardown
def teardown(http: Session, options: Options) -> None:
    http.delete("/all")
'''


def test_a_secret_reaches_the_target_and_nothing_else(cli: Cli, target: Target) -> None:
    secret = "s3cr3t-" + os.urandom(8).hex()
    target.gate.clear()
    running = cli.start_run(
        cli.scenario(HOOKS), "--target", target.url, "--json", "copy.json", env={"SHELF_PASSWORD": secret}
    )
    until(lambda: target.count("/login"), "the master logs in")
    target.gate.set()
    until(lambda: target.count("/things"), "items are under way")
    (token,) = cli.tokens()
    words = [secret.encode(), token.read_bytes().strip()]
    lines = "\n".join(
        path.read_bytes().decode(errors="replace") for path in readable(Path("/proc").glob("[0-9]*/cmdline"))
    ).encode()
    ended = running.wait()
    assert secret.encode() in target.seen[0].body
    files = [path for path in cli.home.rglob("*") if path.is_file()]
    assert {"run.db", "summary.json", "worker.log", "copy.json"} <= {path.name for path in files}
    for word in words:
        assert word not in lines
        assert [path.name for path in files if word in path.read_bytes()] == []
    assert ended.code == 5, "verification says so"


def readable(paths: object) -> list[Path]:
    """Processes come and go."""
    found = []
    for path in paths:  # type: ignore[attr-defined]
        try:
            path.read_bytes()
        except OSError:
            continue
        found.append(path)
    return found


def test_hooks_run_as_often_as_promised_and_a_mismatch_is_told(cli: Cli, target: Target) -> None:
    ended = cli.run(cli.scenario(HOOKS), "--target", target.url, "--processes", 2, "--concurrency", 3)
    asked = target.count()
    assert (asked["/setup"], asked["/verify"], asked["/all"]) == (1, 1, 0)
    assert (
        2 <= asked["/login"] <= 2 * 3 + 2
    )  # a session a thread that got work; on the master setup and verify
    assert ended.code == 5
    assert "1 missing" in ended.out
    assert "1 unexpected" in ended.out
    assert cli.summary()["verification"]["examples"] == {"missing": ["b"], "unexpected": ["c"]}


def test_calls_carry_where_they_come_from_unless_told_not_to(cli: Cli, target: Target) -> None:
    path = cli.scenario()
    assert cli.run(path, "--target", target.url, "--set", "things=3").code == 0
    assert {seen.headers["X-Loadgen-Run"] for seen in target.seen} == {cli.directory().name}
    assert sorted(seen.item for seen in target.seen) == [0, 1, 2]
    assert {seen.headers["X-Loadgen-Attempt"] for seen in target.seen} == {"1"}
    target.seen.clear()
    assert cli.run(path, "--target", target.url, "--set", "things=3", "--no-correlate").code == 0
    assert not [name for seen in target.seen for name in seen.headers if name.startswith("X-Loadgen")]


NO_FURTHER = """

@scenario.setup
def setup(http: Session, options: Options) -> None:
    raise RuntimeError
"""


def test_command_line_over_environment_over_file_over_scenario_over_default(
    tmp_path_factory: pytest.TempPathFactory, target: Target
) -> None:
    """The runs end at their setup: what counts was decided before."""
    in_file = "[run]\nprocesses = 1\nconcurrency = 4\n"
    in_environment = {"LOADGEN_PROCESSES": "2", "LOADGEN_CONCURRENCY": "3"}
    in_words = ("--processes", "1", "--concurrency", "6")
    cases = [
        (("Scenario(options=Options, concurrency=5)", "", {}, ()), (os.cpu_count(), 5)),
        (("Scenario(options=Options, processes=2)", "", {}, ()), (2, None)),
        (("Scenario(options=Options, processes=2)", in_file, {}, ()), (1, 4)),
        (("Scenario(options=Options)", in_file, in_environment, ()), (2, 3)),
        (("Scenario(options=Options)", in_file, in_environment, in_words), (1, 6)),
    ]

    def settings(case: tuple[str, str, dict[str, str], tuple[str, ...]]) -> tuple[int, int | None]:
        declared, file, environment, words = case
        cli = Cli(tmp_path_factory.mktemp("order"))
        try:
            (cli.home / "loadgen.toml").write_text(file)
            text = THINGS.replace("Scenario(options=Options)", declared) + NO_FURTHER
            common = ("--out", cli.out, "--listen", "127.0.0.1:0", "--target", target.url)
            ended = cli("run", cli.scenario(text), *common, *words, env=environment)
            assert ended.code == 4, ended
            with Reader(cli.directory()) as reader:
                found = reader.facts().settings
            return found["processes"], found["concurrency"]
        finally:
            cli.close()

    with ThreadPoolExecutor(3) as together:
        assert list(together.map(settings, [case for case, _ in cases])) == [wanted for _, wanted in cases]


@pytest.mark.parametrize(("policy", "connects"), [("new", 20), ("keep", 1)])
def test_calls_share_connections_or_open_one_each(
    cli: Cli, target: Target, policy: str, connects: int
) -> None:
    args = ("--target", target.url, "--concurrency", 1, "--connections", policy)
    ended = cli.run(cli.scenario(), *args)
    assert ended.code == 0, ended
    (call,) = cli.summary()["calls"]
    assert (call["count"], call["connect_time"]["count"]) == (20, connects)
    each_once(target, 20)


def test_a_policy_for_connections_that_is_none(cli: Cli, target: Target) -> None:
    ended = cli.run(cli.scenario(), "--target", target.url, "--connections", "some")
    ended.complains(2, "--connections some", "keep or new")
