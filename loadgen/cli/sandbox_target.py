"""A sandbox as a run's target, and how it is to be: `sandbox:azkaban?front=create-job&seed=7`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

import typer

from loadgen.cli.sandbox import sandbox
from loadgen.errors import UsageError

SANDBOX = "sandbox:"
NAMES = ("azkaban",)
"""Of the sandboxes that a run can start: `delay` measures, and is nobody's target."""


@dataclass(frozen=True, slots=True)
class SandboxTarget:
    """What a run's sandbox is started with."""

    name: str
    options: tuple[str, ...] = ()
    """Words of `loadgen sandbox NAME`, each an option with its value."""

    @classmethod
    def parse(cls, target: str) -> Self | None:
        """None: the target is no sandbox.  Raises UsageError for one that there is not, or cannot be so."""
        if not target.startswith(SANDBOX):
            return None
        name, _, query = target.removeprefix(SANDBOX).partition("?")
        if name not in NAMES:
            raise UsageError(f"target {target}: no such sandbox; there is {SANDBOX}{NAMES[0]}")
        pairs = parse_qsl(query, keep_blank_values=True)
        options = tuple(f"--{key}={value}" if value else f"--{key}" for key, value in pairs)
        try:
            _check(name, options)
        except UsageError as error:
            raise UsageError(f"target {target}: {error}") from error
        return cls(name, options)


def _check(name: str, options: tuple[str, ...]) -> None:
    """Read them as the command would.  Raises UsageError."""
    app = typer.Typer(add_completion=False)
    app.command()(sandbox)
    command = typer.main.get_command(app)
    known = {word for parameter in command.params for word in parameter.opts if word.startswith("--")}
    for option in options:
        word = option.partition("=")[0]
        if word not in known:
            raise UsageError(f"loadgen sandbox {name} has no option {word}")
    try:
        command.make_context("sandbox", [name, *options])
    except Exception as error:
        # click's errors, or those of the copy of click that newer typers carry: no common class has them all
        words: Any = getattr(error, "format_message", None)
        if words is None:
            raise
        raise UsageError(" ".join(words().split())) from error
