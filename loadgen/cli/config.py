"""Settings from a file: `loadgen.toml`, or `[tool.loadgen]` in pyproject.toml, of the working directory.

out = "/var/tmp/runs"       # for every command that has the option
allow_targets = ["*.staging.example"]               # what may be written to
max_items = { "azkaban.test:8081" = 20000 }         # and how much

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
from loadgen.guard import Rules

ALLOW, CAPS = "allow_targets", "max_items"
"""What is no option: rules for targets."""
LISTS = ("set", "sets", "step", "steps", "threshold", "thresholds")
"""Options that may be repeated: a text would be taken for a list of letters."""


def read_config(folder: Path, options: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Defaults by command, as click's `default_map` wants them.

    `options`: each command's parameters, by the names of its options.  Raises UsageError, also for a
    name that no command has: a typo would be a setting that silently does not hold.
    """
    table = {name: value for name, value in _settings(folder).items() if not _is_rule(name)}
    shared = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    own = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    for name in shared:
        _check(name, {option for known in options.values() for option in known}, "")
    _check_lists(shared)
    for name, value in own.items():
        if name not in options:
            raise UsageError(f"configuration: [{name}] is no command; there are {', '.join(options)}")
        for option in value:
            _check(option, options[name], f"[{name}] ")
        _check_lists(value)
    wanted = {command: {**shared, **own.get(command, {})} for command in options}  # `set` is an option, too
    return {
        command: {
            parameter: settings[spelling]
            for name, parameter in options[command].items()
            for spelling in (name, name.replace("_", "-"))
            if spelling in settings
        }
        for command, settings in wanted.items()
    }


def read_rules(folder: Path) -> Rules:
    """What the configuration says of targets.  Raises UsageError."""
    table = {name.replace("-", "_"): value for name, value in _settings(folder).items() if _is_rule(name)}
    allow, caps = table.get(ALLOW, []), table.get(CAPS, {})
    if not isinstance(allow, list) or not all(isinstance(pattern, str) for pattern in allow):
        raise UsageError(f'configuration: {ALLOW}: expected a list: ["HOST:PORT", ...]')
    if not isinstance(caps, dict) or not all(type(most) is int and most >= 0 for most in caps.values()):
        raise UsageError(f'configuration: {CAPS}: expected a table: {{ "HOST:PORT" = ITEMS, ... }}')
    return Rules(tuple(allow), caps)


def _is_rule(name: str) -> bool:
    return name.replace("-", "_") in (ALLOW, CAPS)


def _settings(folder: Path) -> dict[str, Any]:
    tools = _table(folder / "pyproject.toml").get("tool", {})
    named: dict[str, Any] = tools.get("loadgen", {}) if isinstance(tools, dict) else {}
    if not isinstance(named, dict):
        raise UsageError(f"{folder / 'pyproject.toml'}: tool.loadgen: expected a table")
    return _table(folder / "loadgen.toml") or named


def _check(name: str, known: Collection[str], where: str) -> None:
    if name.replace("-", "_") not in known:
        near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
        hint = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
        raise UsageError(f"configuration: {where}{name} is no option{hint}")


def _check_lists(settings: Mapping[str, Any]) -> None:
    for name in LISTS:
        if name in settings and not isinstance(settings[name], list):
            raise UsageError(f"configuration: {name}: expected a list")


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except OSError as error:
        raise UsageError(f"{path}: cannot read it: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
