"""`loadgen init`: what it writes is a scenario that runs, is verified and undone, and a test that passes."""

import subprocess
import sys
from pathlib import Path

import requests
from harness import Cli

from loadgen.sandbox import running


def test_the_starter_runs_on_a_target_and_is_undone(cli: Cli) -> None:
    assert "next:    loadgen run birds.py" in cli("init", "birds.py").out
    with running() as url:
        ran = cli.run(cli.home / "birds.py", "--target", url, "--set", "projects=7", "--set", "tag=nest")
        assert ran.code == 0, ran.err
        assert cli.summary()["verification"]["found"] == 7
        assert sum("nest" in name for name in projects(url)) == 7
        cleaned = cli("clean", "latest", "--yes")
        assert cleaned.code == 0, cleaned.err
        assert not any("nest" in name for name in projects(url))


def test_the_starters_own_test_passes_and_finds_a_broken_scenario(cli: Cli) -> None:
    assert cli("init").code == 0
    assert pytest_of(cli.home) == 0
    scenario = cli.home / "my_scenario.py"
    scenario.write_text(scenario.read_text().replace('"name": name', '"name": "x"'))
    assert pytest_of(cli.home) == 1


def test_nothing_is_overwritten(cli: Cli) -> None:
    mine = cli.home / "test_birds.py"
    mine.write_text("# mine")
    cli("init", "birds.py").complains(2, "test_birds.py is there already")
    assert mine.read_text() == "# mine"
    assert not (cli.home / "birds.py").exists()


def test_a_name_that_no_test_could_import(cli: Cli) -> None:
    cli("init", "my-birds.py").complains(2, "my-birds.py", "expected a file name like my_scenario.py")
    cli("init", "birds").complains(2, "birds", "expected a file name like my_scenario.py")


def projects(url: str) -> list[str]:
    """The names of those that are there, for whoever may see them all."""
    with requests.Session() as http:
        http.post(f"{url}/", params={"action": "login"}, data={"username": "azkaban", "password": "azkaban"})
        said = http.get(f"{url}/index", params={"ajax": "fetchallprojects"}).json()
    return [project["projectName"] for project in said["projects"]]


def pytest_of(folder: Path) -> int:
    """The exit code, for the tests in a folder."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60).returncode
