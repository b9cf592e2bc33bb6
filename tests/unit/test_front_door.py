"""The front door: what `loadgen` offers, and how little `import loadgen` costs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import loadgen

HEAVY = (
    "requests pycurl msgspec sqlite3 multiprocessing typer rich starlette uvicorn cryptography hdrh asyncio"
)


def imported_by(statement: str) -> set[str]:
    """Top-level modules that are there after a statement, in a process of its own."""
    script = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_names_are_sorted_and_none_stands_twice() -> None:
    """Changes of the public surface are easy to see."""
    assert list(loadgen.__all__) == sorted(set(loadgen.__all__))


@pytest.mark.parametrize("name", loadgen.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    """And is the same each time."""
    assert getattr(loadgen, name) is getattr(loadgen, name)


def test_all_of_it_can_be_imported_at_once() -> None:
    """In a fresh process, in which nothing has been imported yet."""
    script = "from loadgen import *\nimport loadgen\nassert set(loadgen.__all__) <= set(globals())"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_surface_is_a_promise() -> None:
    """What is taken away here breaks somebody's scenario."""
    assert {
        "Call",
        "Made",
        "Retry",
        "Scenario",
        "Session",
        "Verification",
        "__version__",
        "errors",
        "feed",
        "option",
    } <= set(loadgen.__all__)
    assert isinstance(loadgen.errors, ModuleType)
    assert isinstance(loadgen.feed, ModuleType)


def test_what_is_public_has_a_docstring() -> None:
    """The first thing that `help` shows."""
    assert [name for name in loadgen.__all__ if not getattr(loadgen, name).__doc__] == []


def test_a_name_that_is_not_there() -> None:
    """AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="module 'loadgen' has no attribute 'Senario'"):
        loadgen.Senario  # noqa: B018 - asking is the test


@pytest.mark.parametrize("heavy", HEAVY.split())
def test_importing_it_is_light(heavy: str, light: set[str]) -> None:
    """Neither the transport nor the wire nor the screen comes along."""
    assert heavy not in light


@pytest.fixture(scope="module")
def light() -> set[str]:
    return imported_by("import loadgen")


def test_declaring_a_scenario_calls_nothing() -> None:
    """`Scenario` needs neither requests nor libcurl."""
    assert not {"requests", "pycurl"} & imported_by(
        "from loadgen import Scenario, option, Retry, errors, feed"
    )
