"""`loadgen init`: a scenario to start from, and its test."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

STARTER = {"{name}.py": "scenario.txt", "test_{name}.py": "test_scenario.txt"}
"""What is written, and from what; `NAME` stands for the scenario's name in it."""


def init(
    scenario: Annotated[
        Path, typer.Argument(metavar="SCENARIO.py", help="Where to write it; the test comes beside it.")
    ] = Path("my_scenario.py"),
) -> None:
    """Write a scenario to start from, and its unit test; it runs on the built-in sandbox as it is.

    Nothing is overwritten.
    """
    name = _name(scenario)
    source = resources.files("loadgen.cli") / "starter"
    files = {
        scenario.with_name(file.format(name=name)): source.joinpath(text).read_text(encoding="utf-8")
        for file, text in STARTER.items()
    }
    _write({path: text.replace("NAME", name) for path, text in files.items()})
    for path in files:
        typer.echo(f"written: {path}")
    typer.echo(f"next:    loadgen run {scenario}")


def _name(scenario: Path) -> str:
    """The scenario's name, which its test imports.  Raises UsageError."""
    from loadgen.errors import UsageError

    if scenario.suffix != ".py" or not scenario.stem.isidentifier():
        raise UsageError(f"{scenario}: expected a file name like my_scenario.py, as its test imports it")
    return scenario.stem


def _write(files: dict[Path, str]) -> None:
    """All or none.  Raises UsageError where one is there already, or cannot be written."""
    from loadgen.errors import UsageError

    if there := [path for path in files if path.exists()]:
        raise UsageError(f"{there[0]} is there already: name another file, or move it away")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error
