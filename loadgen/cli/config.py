"""Defaults from a file: `loadgen.toml`, or `[tool.loadgen]` in pyproject.toml, of the working directory.

out = "/var/tmp/runs"       # for every command that has the option

[run]                       # for one command
processes = 4
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from loadgen.errors import UsageError


def read_config(folder: Path, options: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Defaults by command, as click's `default_map` wants them.

    `options`: each command's parameters, by the names of its options.  Raises UsageError, also for a
    name that no command has: a typo would be a setting that silently does not hold.
    """
    table = _table(folder / "loadgen.toml") or _table(folder / "pyproject.toml").get("tool", {}).get(
        "loadgen", {}
    )
    shared = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    for name, value in table.items():
        if not isinstance(value, Mapping):
            _check(name, {option for known in options.values() for option in known}, "")
        elif name not in options:
            raise UsageError(f"configuration: [{name}] is no command; there are {', '.join(options)}")
        else:
            for option in value:
                _check(option, options[name], f"[{name}] ")
    wanted = {command: {**shared, **table.get(command, {})} for command in options}
    return {
        command: {
            parameter: settings[spelling]
            for name, parameter in options[command].items()
            for spelling in (name, name.replace("_", "-"))
            if spelling in settings
        }
        for command, settings in wanted.items()
    }


def _check(name: str, known: Collection[str], where: str) -> None:
    if name.replace("-", "_") not in known:
        near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
        hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
        raise UsageError(f"configuration: {where}{name} is no option{hint}")


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
