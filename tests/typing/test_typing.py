"""Scenarios are typed: mypy accepts those that are right, and sees what is wrong in one that is not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.py"))

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


def mypy(*files: Path) -> str:
    """What it has to say, with the project's own configuration."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@needs_mypy
def test_what_scenarios_write_is_well_typed() -> None:
    """Every form of the API, and every scenario that is shipped."""
    assert SCENARIOS
    assert mypy(Path(__file__).with_name("api.py"), *SCENARIOS) == ""


WRONG = """
from loadgen import Call, Retry, Scenario, Session, Verification
scenario = Scenario(transport="carrier pigeon")
@scenario.step(items=1, delivery="exactly_once")
def create(http: Session, item: int, options: object) -> int:
    http.pots("/things")
    return 5
@scenario.login
def login(http: Session, options: object) -> None: ...
login("http", None)
create("http", 1, None)
Retry("3")
Verification(expected="1", found=1)
Call("GET")
"""


@needs_mypy
def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    """One complaint for each line that deserves one: the API is not typed as Any."""
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    complaints = [line.split(":")[1] for line in mypy(file).splitlines() if ": error:" in line]
    assert complaints == ["3", "4", "6", "10", "11", "12", "13", "14"]
