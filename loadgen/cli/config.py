"""Defaults from a file: `loadgen.toml`, or `[tool.loadgen]` in pyproject.toml, of the working directory.

out = "/var/tmp/runs"       # for every command that has the option

[run]                       # for one command
processes = 4
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen.errors import UsageError

COMMANDS = ("run", "worker", "resume", "report", "runs", "manifest", "clean", "sandbox")


def read_config(folder: Path) -> dict[str, dict[str, Any]]:
    """Defaults by command, as click's `default_map` wants them.  Raises UsageError."""
    table = _table(folder / "loadgen.toml") or _table(folder / "pyproject.toml").get("tool", {}).get(
        "loadgen", {}
    )
    shared = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    unknown = [name for name, value in table.items() if isinstance(value, Mapping) and name not in COMMANDS]
    if unknown:
        raise UsageError(f"configuration: [{unknown[0]}] is no command; there are {', '.join(COMMANDS)}")
    return {command: _underscored({**shared, **table.get(command, {})}) for command in COMMANDS}


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _underscored(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in table.items()}
