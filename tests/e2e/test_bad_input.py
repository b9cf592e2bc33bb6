"""What people get wrong: one line that says what and where, the documented exit code, no traceback."""

import os
import signal
import stat
from collections.abc import Iterator

import pytest
from harness import AZKABAN, THINGS, Cli, Running, Target, free_port, until

from loadgen.errors import Refused
from loadgen.queues import token as tokens
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import PROTOCOL, Hello
from loadgen.queues.token import Token

FILES = {
    "things.py": THINGS,
    "empty.py": "x = 1\n",
    "broken.py": "from loadgen import Scenario\nscenario = Scenario(\n",
    "missing_import.py": "import no_such_module\n",
    "no_step.py": "from loadgen import Scenario\nscenario = Scenario()\n",
    "two.py": "from loadgen import Scenario\na = Scenario()\nb = Scenario()\n",
    "parameters.py": (
        "from loadgen import Scenario\ns = Scenario()\n\n@s.step(items=1)\ndef put(http, thing): ...\n"
    ),
    "raises.py": "from loadgen import Scenario\n1 / 0\n",
    "rows.py": (
        "from loadgen import Scenario, feed\ns = Scenario(target='http://127.0.0.1:9')\n\n"
        "@s.step(items=feed.csv('rows.csv').take(3))\ndef put(http, item, options): ...\n"
    ),
    "rows.csv": "name\nann\n",
    "notes.txt": "hello\n",
}

RUN_MISTAKES = {
    "no such file": (("nothing.py",), "nothing.py", "no such file"),
    "folder": ((".",), "is a folder"),
    "no scenario": (("empty.py",), "empty.py:1", "no scenario"),
    "no Python": (("notes.txt",), "notes.txt", "not a Python file"),
    "syntax": (("broken.py",), "broken.py:2", "never closed"),
    "import": (("missing_import.py",), "missing_import.py:1", "no_such_module"),
    "raises": (("raises.py",), "raises.py:2", "ZeroDivisionError"),
    "no step": (("no_step.py",), "no_step.py:2", "no step"),
    "two scenarios": (("two.py",), "two.py:3", "two.py:2"),
    "parameters": (("parameters.py",), "parameters.py:4", "(http, item, options)"),
    "too few rows": (("rows.py",), "rows.csv", "3 items", "has 1"),
    "no target": (("things.py",), "--target URL"),
    "unknown option": (("things.py", "--set", "thing=3"), "thing", "did you mean things?"),
    "wrong type": (("things.py", "--set", "things=many"), "things", "'many'", "an integer"),
    "no value": (("things.py", "--set", "things"), "NAME=VALUE"),
    "unknown step": (("things.py", "--target", "http://x", "--step", "putt"), "putt", "there are put"),
    "bad target": (("things.py", "--target", "localhost:80"), "localhost:80", "http://HOST"),
    "no such sandbox": (("things.py", "--target", "sandbox:oozie"), "oozie", "sandbox:azkaban"),
    "bad chunk": (("things.py", "--target", "http://x", "--chunk", "few"), "few", "auto"),
    "chunk of none": (("things.py", "--target", "http://x", "--chunk", "0"), "--chunk"),
    "bad listen": (("things.py", "--target", "http://x", "--listen", "127.0.0.1:port"), "HOST:PORT"),
    "listen far away": (("things.py", "--target", "http://[::1]", "--listen", "192.0.2.1:0"), "192.0.2.1"),
    "json nowhere": (
        ("things.py", "--target", "http://x", "--json", "no/such/x.json"),
        "no/such/x.json",
        "folder",
    ),
    "json folder": (("things.py", "--target", "http://x", "--json", "."), "a folder"),
    "negative": (("things.py", "--target", "http://x", "--processes", "-1"), "--processes"),
    "not allowed": (
        ("things.py", "--target", "http://x"),
        "x:80",
        "--allow-target",
        'allow_targets = ["x:80"]',
    ),
    "not a word": (("things.py", "--target", "http://x", "--proceses", "1"), "--proceses", "--processes"),
}


@pytest.fixture(scope="module")
def workshop(shared_cli: Cli) -> Cli:
    """A folder of mistakes."""
    for name, text in FILES.items():
        (shared_cli.home / name).write_text(text)
    return shared_cli


@pytest.mark.parametrize("mistake", RUN_MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(workshop: Cli, mistake: str) -> None:
    args, *words = RUN_MISTAKES[mistake]
    ended = workshop.here("run", *args)
    ended.complains(2, *words)
    assert ended.out == ""
    assert not workshop.out.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("worker", "--server", "localhost:port"), ("HOST:PORT",)),
        (("worker", "--processes", "-1"), ("--processes",)),
        (("worker", "--token-file", "nowhere"), ("nowhere", "No such file")),
        (("sandbox", "oozie"), ("oozie", "azkaban")),
        (("report", "latest"), ("latest", "there are none")),
        (("fly",), ("fly",)),
        (("run",), ("SCENARIO.py",)),
    ],
    ids=" ".join,
)
def test_so_does_one_to_other_commands(workshop: Cli, args: tuple[str, ...], words: tuple[str, ...]) -> None:
    workshop.here(*args).complains(2, *words)


def test_a_configuration_that_cannot_be_read(cli: Cli) -> None:
    (cli.home / "loadgen.toml").write_text("[run\n")
    cli.here("runs").complains(2, "loadgen.toml")
    (cli.home / "loadgen.toml").write_text("[fly]\nhigh = true\n")
    cli.here("runs").complains(2, "[fly]", "there are init, run")
    (cli.home / "loadgen.toml").write_text("[run]\nproceses = 3\n")
    cli.here("runs").complains(2, "[run] proceses", "did you mean processes?")
    (cli.home / "loadgen.toml").write_text('[run]\nprocesses = "many"\n')
    cli.here("run", "things.py").complains(2, "--processes", "integer")


def test_debug_shows_the_traceback(workshop: Cli) -> None:
    ended = workshop("run", "missing_import.py", "--debug")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert "import no_such_module" in ended.err
    assert ended.err.splitlines()[-1].startswith("loadgen: ")


def test_no_words_at_all_show_the_help(workshop: Cli) -> None:
    ended = workshop()
    assert ended.code == 2
    assert "Usage: loadgen" in ended.out


def test_a_port_in_use(cli: Cli, target: Target) -> None:
    ended = cli.run(cli.scenario(), "--target", target.url, "--listen", f"127.0.0.1:{target.port}")
    ended.complains(2, f"127.0.0.1:{target.port}", "in use")
    assert not cli.out.exists()


def test_an_out_that_cannot_be_written(cli: Cli, target: Target) -> None:
    (cli.home / "file").write_text("")
    cli.run(cli.scenario(), "--target", target.url, "--out", cli.home / "file" / "runs").complains(
        2, "file/runs", "Not a directory"
    )
    if os.geteuid():  # root may write anywhere
        cli.home.joinpath("locked").mkdir(mode=stat.S_IRUSR)
        cli.run(cli.scenario(), "--target", target.url, "--out", cli.home / "locked").complains(2, "locked")


def test_a_state_directory_that_cannot_be_written(cli: Cli, target: Target) -> None:
    (cli.home / "file").write_text("")
    ended = cli.run(
        cli.scenario(), "--target", target.url, env={"LOADGEN_STATE_DIR": str(cli.home / "file" / "state")}
    )
    ended.complains(2, "file/state", "Not a directory")


def test_a_dead_target_stops_the_run_and_its_scenario_resumes_it_once_it_lives(cli: Cli) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    dead = cli.run(cli.scenario(), "--target", url, "--quiet")
    assert dead.code == 4, dead
    assert dead.out.count("\n") == 1
    assert f"nothing answers at {url}: connection refused" in dead.out
    assert cli.summary()["items"]["pending"] == 20
    cli.scenario(THINGS.replace("things/", "other/"))
    cli.here("resume", "latest", "--out", cli.out).complains(2, "things.py", "changed since the run began")
    cli.scenario()
    with Target(port) as target:
        ended = cli("resume", "latest", "--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1)
        assert ended.code == 0, ended
        assert sum(target.count("/things").values()) == 20
    assert cli.summary()["items"]["done"] == 20


def test_a_target_that_dies_on_the_way_fails_what_was_sent(cli: Cli, target: Target) -> None:
    """Each item that could not be done is told, and none is called twice."""
    target.answer = lambda seen: (503, "{}") if seen.item >= 5 else (200, "{}")
    ended = cli.run(cli.scenario(), "--target", target.url, "--concurrency", 1)
    assert ended.code == 3
    assert set(target.count("/things").values()) == {1}
    items = cli.summary()["items"]
    assert (items["done"], items["failed"]) == (5, 15)


def test_a_wrong_login_stops_the_run_and_a_sandbox_that_is_gone_ends_it(cli: Cli) -> None:
    ended = cli.run(AZKABAN, "--set", "flows=9", "--quiet", env={"AZKABAN_PASSWORD": "s3cr3t-and-wrong"})
    assert ended.code == 4, ended
    assert ended.out.count("\n") == 1
    assert "setup failed: " in ended.out
    assert "Incorrect Login" in ended.out
    assert cli.summary()["attempts"]["total"] == 0
    for path in cli.home.rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path
    os.kill(cli.pid_of("sandbox azkaban"), signal.SIGKILL)
    until(lambda: not cli.processes(), "the sandbox that waits for a resume is gone")
    cli.here("resume", "latest", "--out", cli.out, "--listen", "127.0.0.1:0").complains(
        4, "sandbox", "is gone"
    )
    cleaned = cli.here("clean", "latest", "--out", cli.out)
    assert (cleaned.code, cleaned.err) == (0, "")
    assert "nothing to clean" in cleaned.out


HOOK = """

@scenario.{name}
def {name}(http: Session, options: Options) -> object:
    {body}
"""


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("setup", "raise RuntimeError('no shelf')", "setup failed: RuntimeError: no shelf"),
        ("setup", "raise SystemExit('out of here')", "setup failed: SystemExit: out of here"),
        ("setup", "http.get('/broken')", "setup failed: GET /broken answered 500"),
        ("verify", "return None", "things.py:22: verify must return a Verification, not None"),
        ("verify", "raise SystemExit('out of here')", "verification failed: SystemExit: out of here"),
        ("verify", "http.get('/broken')", "verification failed: GET /broken answered 500"),
    ],
)
def test_a_hook_that_fails_is_told_in_the_report(
    cli: Cli, target: Target, name: str, body: str, words: str
) -> None:
    target.answer = lambda seen: (500 if seen.path == "/broken" else 200, "{}")
    path = cli.scenario(THINGS + HOOK.format(name=name, body=body))
    ended = cli.run(path, "--target", target.url, "--set", "things=2", "--quiet")
    assert (ended.code, ended.err) == (4, ""), ended
    assert words in ended.out
    assert cli.summary()["items"]["done"] == (0 if name == "setup" else 2)


FAILING = '''"""Each step fails in its own way."""

import asyncio
import sys
from threading import Lock

from loadgen import Scenario, Session

scenario = Scenario(timeout=0.5)


@scenario.step(items=4)
def raises(http: Session, item: int, options: object) -> None:
    raise RuntimeError(f"no thing {item} today")


@scenario.step(items=4)
def answers_500(http: Session, item: int, options: object) -> None:
    http.post(f"/broken/{item}")


@scenario.step(items=2)
def hangs(http: Session, item: int, options: object) -> None:
    http.post(f"/slow/{item}")


@scenario.step(items=4)
def returns_a_lock(http: Session, item: int, options: object) -> object:
    return Lock()


@scenario.step(items=3)
def leaves(http: Session, item: int, options: object) -> None:
    if item == 1:
        sys.exit("out of here")


@scenario.step(items=4)
def is_cancelled(http: Session, item: int, options: object) -> None:
    http.post(f"/label/{item}", name=5 if item % 2 else "\\ud800")
    if item == 3:
        raise asyncio.CancelledError


@scenario.step(items=4)
def works(http: Session, item: int, options: object) -> int:
    http.post(f"/fine/{item}", expect=404)
    return item
'''


@pytest.fixture(scope="module")
def failed(shared_cli: Cli) -> Iterator[tuple[Cli, str]]:
    """A run in which all that can fail does, and its report."""
    cli = Cli(shared_cli.home / "failed")
    cli.home.mkdir()
    with Target() as target:
        target.answer = lambda seen: {"/broken": (500, "{}"), "/fine": (404, "{}")}.get(
            seen.path.rpartition("/")[0], (200, "{}")
        )
        target.held = "/slow"
        ended = cli.run(cli.scenario(FAILING), "--target", target.url, "--verbose")
    try:
        assert ended.code == 3, ended
        assert ended.err == ""
        yield cli, ended.out
    finally:
        cli.close()


@pytest.mark.parametrize(
    ("step", "count", "others", "words"),
    [
        ("raises", 4, 0, "RuntimeError: no thing"),
        ("answers_500", 4, 0, "answered 500"),
        ("hangs", 2, 0, "within 0.5 s"),
        ("returns_a_lock", 4, 0, "cannot go into the manifest"),
        ("leaves", 1, 2, "SystemExit: out of here"),
    ],
)
def test_a_step_that_fails_is_told_once_with_its_count(
    failed: tuple[Cli, str], step: str, count: int, others: int, words: str
) -> None:
    cli, report = failed
    summary = cli.summary()
    (items,) = [one["items"] for one in summary["steps"] if one["name"] == step]
    assert (items["failed"], items["done"]) == (count, others)
    (error,) = [error for error in summary["errors"] if words in error["sample"]]
    assert error["count"] == count
    assert report.count(f"{count} x {error['fingerprint'][:60]}") == 1
    assert "Traceback" not in report


def test_the_other_steps_go_on(failed: tuple[Cli, str]) -> None:
    cli, _ = failed
    (items,) = [one["items"] for one in cli.summary()["steps"] if one["name"] == "works"]
    assert items["done"] == 4


def test_what_is_cancelled_fails_its_item_and_a_label_is_whatever_its_text_is(
    failed: tuple[Cli, str],
) -> None:
    cli, _ = failed
    summary = cli.summary()
    (items,) = [one["items"] for one in summary["steps"] if one["name"] == "is_cancelled"]
    assert (items["failed"], items["done"]) == (1, 3)
    assert [each["count"] for each in summary["errors"] if "CancelledError" in each["sample"]] == [1]
    assert {"5", "?"} < {call["name"] for call in summary["calls"]}


# Workers that the master does not want


@pytest.fixture(scope="module")
def waiting(shared_cli: Cli, shared_target: Target) -> Iterator[Running]:
    """A run that waits for workers."""
    running = shared_cli.start_run(
        shared_cli.scenario(), "--target", shared_target.url, "--processes", 0, "--lease-ttl", 2
    )
    until(lambda: "waiting for workers" in running.out, "the run waits")
    yield running
    running.interrupt()
    assert running.wait().code == 4
    assert shared_target.count("/things") == {}


def the_token(cli: Cli) -> Token:
    return tokens.read(until(cli.tokens, "the token")[0])


def test_the_token_of_another_run(waiting: Running, shared_cli: Cli) -> None:
    mine = the_token(shared_cli)
    other = Token(mine.address, bytes(32), mine.secret)
    ended = shared_cli("worker", "--server", mine.address, env={"LOADGEN_TOKEN": str(other)})
    ended.complains(2, "the token is of another run")


def test_the_wrong_secret(waiting: Running, shared_cli: Cli) -> None:
    mine = the_token(shared_cli)
    other = Token(mine.address, mine.fingerprint, bytes(32))
    ended = shared_cli("worker", "--server", mine.address, env={"LOADGEN_TOKEN": str(other)})
    ended.complains(2, "does not accept this token")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_token(waiting: Running, shared_cli: Cli, damage: str) -> None:
    whole = str(the_token(shared_cli))
    text = {"cut": whole[:40], "changed": whole[:50] + "!" + whole[51:], "empty": "lg1.", "other": "abc"}[
        damage
    ]
    server = f"localhost:{shared_cli.port()}"
    ended = shared_cli.here("worker", "--server", server, env={"LOADGEN_TOKEN": text})
    ended.complains(2, "token")
    assert whole[4:30] not in ended.err


def test_a_token_file_that_others_can_read(waiting: Running, shared_cli: Cli) -> None:
    path = shared_cli.home / "open.token"
    path.write_text(str(the_token(shared_cli)))
    path.chmod(0o644)
    ended = shared_cli("worker", "--server", f"localhost:{shared_cli.port()}", "--token-file", path)
    ended.complains(2, "open.token", "chmod 600")


def test_another_copy_of_the_scenario(waiting: Running, shared_cli: Cli) -> None:
    other = shared_cli.scenario(THINGS.replace("20", "21"), "other.py")
    ended = shared_cli("worker", "--server", f"localhost:{shared_cli.port()}", "--scenario", other)
    assert ended.code == 2
    assert "differs from the master's scenario" in ended.err
    assert "Traceback" not in ended.err


def test_a_worker_of_another_version(waiting: Running, shared_cli: Cli) -> None:
    client = QueueClient(the_token(shared_cli), "127.0.0.1", shared_cli.port())
    hello = Hello("session", "old-worker", "host", 1, PROTOCOL, "0.0.1")
    with pytest.raises(Refused, match=r"old-worker runs loadgen 0\.0\.1 .*install the same version"):
        client.hello(hello)
    client.close()


def test_a_master_that_is_not_there(cli: Cli) -> None:
    port = free_port()
    ended = cli("worker", "--server", f"localhost:{port}", "--wait", 0.1)
    assert ended.code == 4
    assert ended.err.splitlines()[-1].startswith(f"loadgen: no master at localhost:{port}")
    assert "Traceback" not in ended.err


def test_a_second_master_in_the_same_run(cli: Cli, target: Target) -> None:
    target.gate.clear()
    running = cli.start_run(cli.scenario(), "--target", target.url)
    until(lambda: target.count("/things"), "items are under way")
    second = cli("resume", "latest", "--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1)
    second.complains(2, "another master is running it")
    target.gate.set()
    assert running.wait().code == 0
    assert set(target.count("/things").values()) == {1}
