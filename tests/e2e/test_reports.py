"""What can be read of a run afterwards, and while it goes on."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests
from harness import AZKABAN, Cli, Target, until


@pytest.fixture(scope="module")
def shelf(shared_cli: Cli, shared_target: Target) -> Cli:
    """A folder with two runs: one that went well, and a later one that did not."""
    path, args = shared_cli.scenario(), ("--target", shared_target.url)
    assert shared_cli.run(path, *args, "--json", "copy.json").code == 0
    shared_target.answer = lambda seen: (500, "{}") if seen.item == 3 else (200, "{}")
    assert shared_cli.run(path, *args, "--set", "things=5").code == 3
    return shared_cli


def test_the_json_report_is_the_summary(shelf: Cli) -> None:
    good, bad = shelf.directories()
    for directory in (good, bad):
        ended = shelf.here("report", directory.name, "--format", "json")
        assert (ended.code, ended.err) == (0, "")
        assert json.loads(ended.out) == shelf.summary(directory)
    assert (shelf.home / "copy.json").read_bytes() == (good / "summary.json").read_bytes()


def test_the_page_is_written_and_can_be_had_again(shelf: Cli) -> None:
    for directory in shelf.directories():
        page = (directory / "report.html").read_text()
        assert shelf.here("report", directory.name, "--out", shelf.out, "--format", "html").out == page
        (packed,) = re.findall(r'id="summary">(.*?)</script>', page)
        assert json.loads(packed) == shelf.summary(directory)
    assert "FAILED: 1 of 5 items failed" in page
    assert "answered 500" in page


def test_the_terminal_report_says_the_same_again(shelf: Cli) -> None:
    good, bad = shelf.directories()
    first = (shelf.home / "1.out").read_text()
    again = shelf("report", good.name, "--out", shelf.out).out
    assert again.splitlines() == first[first.index("OK ") :].splitlines()
    report = shelf.here("report", bad.name)
    assert report.out.startswith("FAILED  1 of 5 items failed (exit code 3)")
    assert "answered 500" in report.out


@pytest.mark.parametrize("how", ["id", "part", "directory", "database", "latest"])
def test_a_run_is_found(shelf: Cli, how: str) -> None:
    bad = shelf.directories()[-1]
    names = {
        "id": bad.name,
        "part": bad.name[-4:],
        "directory": bad,
        "database": bad / "run.db",
        "latest": "latest",
    }
    assert bad.name in shelf.here("report", names[how]).out


def test_a_run_that_could_be_two_and_one_that_is_none(shelf: Cli) -> None:
    good, bad = shelf.directories()
    shelf.here("report", "things").complains(2, "could be", good.name, bad.name)
    shelf.here("report", "nothing").complains(2, "nothing: no such run", f"the newest is {bad.name}")
    shelf.here("report", "latest", "--out", "elsewhere").complains(2, "there are none")
    shelf.here("report", "latest", "--format", "pdf").complains(2, "pdf", "terminal, json")


def test_runs_lists_them(shelf: Cli) -> None:
    heading, *lines = shelf.here("runs").out.splitlines()
    assert heading.split()[0] == "run"
    assert [line.split()[0] for line in lines] == [directory.name for directory in shelf.directories()]
    assert heading.split()[-2:] == ["dropped", "pending"]
    assert [line.split()[-6:] for line in lines] == [
        ["20", "20", "0", "0", "0", "0"],
        ["5", "4", "1", "0", "0", "0"],
    ]
    assert shelf.here("runs", "--out", "elsewhere").out == "no runs in elsewhere\n"


def test_runs_goes_on_after_one_that_cannot_be_read(shelf: Cli, cli: Cli) -> None:
    good = shelf.directories()[0]
    shutil.copytree(good, cli.out / good.name)
    (cli.out / "damaged").mkdir()
    (cli.out / "damaged" / "run.db").write_text("no database")
    listed = cli.here("runs", "--out", cli.out)
    assert listed.code == 0
    assert [line.split()[0] for line in listed.out.splitlines()] == [
        "run",
        good.name,
        "damaged",
    ]
    assert "cannot read the ledger" in listed.out
    cli.here("report", "damaged", "--out", cli.out).complains(2, "cannot read the ledger")


def test_runs_is_not_cut_for_programs(shelf: Cli, shared_target: Target) -> None:
    narrow = shelf.here("runs", env={"COLUMNS": "40"}).out
    for directory in shelf.directories():
        assert directory.name in narrow
    assert shared_target.url in narrow


def test_the_manifest(shelf: Cli) -> None:
    good, bad = shelf.directories()
    lines = shelf.here("manifest", good.name).out
    assert lines == (good / "manifest.jsonl").read_text()
    assert [json.loads(line) for line in lines.splitlines()][7] == {"step": "put", "item": 7, "value": 7}
    items = [json.loads(line)["item"] for line in shelf.here("manifest", bad.name).out.splitlines()]
    assert items == [0, 1, 2, 4]


def test_a_reader_that_leaves_is_no_error(shelf: Cli) -> None:
    for command in ("report", "manifest", "runs"):
        words = [command] if command == "runs" else [command, "latest"]
        process = subprocess.Popen(
            [sys.executable, "-m", "loadgen", *words],
            cwd=shelf.home,
            env=shelf.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        with process.stderr as errors:
            assert errors.read() == b"", command
        process.wait()


def test_json_to_stdout_is_nothing_but_json(cli: Cli, target: Target) -> None:
    ended = cli.run(cli.scenario(), "--target", target.url, "--json", "-")
    assert ended.code == 0
    assert json.loads(ended.out) == cli.summary()
    assert "OK  20 of 20 items done" in ended.err


def test_quiet_is_one_line_also_with_a_sandbox(cli: Cli) -> None:
    ended = cli.run(AZKABAN, "--set", "flows=2", "--quiet")
    assert (ended.out, ended.err) == (f"{cli.directory().name}: ok\n", "")


def test_quiet_takes_names_as_they_are(cli: Cli, target: Target) -> None:
    path = cli.scenario(name="mein [b] Flöw 流.py")
    ended = cli.run(path, "--target", target.url, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{cli.directory().name}: ok\n"
    assert "mein [b] Flöw 流" in ended.out


def test_a_report_on_a_run_under_way(cli: Cli, target: Target) -> None:
    target.held = "/things/9"
    run = cli.start_run(cli.scenario(), "--target", target.url, "--concurrency", 1)
    until(lambda: "/things/9" in target.count(), "it is half done")
    report = cli.here("report", "latest", "--out", cli.out)
    assert (report.code, report.err) == (0, "")
    assert "pending" in report.out
    assert cli.here("runs", "--out", cli.out).code == 0
    target.release()
    assert run.wait().code == 0


def test_what_the_report_says_to_type_works_as_it_stands_and_a_run_can_be_moved(
    cli: Cli, target: Target
) -> None:
    """Also when the runs lie elsewhere: a run directory holds all that its report needs."""
    ended = cli.run(cli.scenario(), "--target", target.url, "--out", "elsewhere")
    (line,) = [line for line in ended.out.splitlines() if line.startswith("Report")]
    words = line.split()
    assert words[1] == "loadgen"
    again = cli(*words[2:])
    assert (again.code, again.err) == (0, "")
    (directory,) = (cli.home / "elsewhere").iterdir()
    assert "20 of 20 items done" in cli.here("report", directory.rename(cli.home / "moved")).out


@pytest.fixture(scope="module")
def azkaban(shared_cli: Cli) -> Iterator[str]:
    """A sandbox of our own."""
    sandbox = shared_cli.start("sandbox", "azkaban", "--port", 0)
    line = until(lambda: "http" in sandbox.out and sandbox.out.strip(), "it listens")
    yield line.split()[-1]
    sandbox.interrupt()
    ended = sandbox.wait(10)
    assert "Traceback" not in ended.err
    assert ended.code in (0, 130)


def projects(url: str) -> set[str]:
    with requests.Session() as http:
        http.trust_env = False
        login = {"username": "azkaban", "password": "azkaban"}
        http.post(f"{url}/?action=login", data=login, timeout=10)
        found = http.get(f"{url}/index?ajax=fetchallprojects", timeout=10).json()["projects"]
    return {project["projectName"] for project in found}


def test_clean_undoes_what_the_run_made_and_nothing_else(cli: Cli, azkaban: str) -> None:
    """The second run finds the projects of the first: they are not its own to delete."""
    small, more = ("--set", "flows=2", "--set", "projects=2"), ("--set", "flows=5", "--set", "projects=5")
    assert cli.run(AZKABAN, "--target", azkaban, *small).code == 0
    assert cli.run(AZKABAN, "--target", azkaban, *more).code == 0
    names = [f"loadgen_000{number}" for number in range(5)]
    assert projects(azkaban) == set(names)
    ended = cli("clean", "latest", "--out", cli.out, "--yes")
    second = cli.directories()[-1].name
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"cleaned {azkaban} of run {second}\n"
    assert projects(azkaban) == set(names[:2])
    once_more = cli.here("clean", "latest", "--out", cli.out, "--yes")
    assert once_more.code == 0
    assert once_more.out.startswith(f"run {second} was cleaned at ")
    assert cli.here("clean", cli.directories()[0].name, "--out", cli.out, "--yes").code == 0
    assert projects(azkaban) == set()


def test_clean_of_what_cannot_be_cleaned(shelf: Cli) -> None:
    shelf.here("clean", "latest", "--yes").complains(2, "no teardown")
