"""How an option is declared: name, what it says, the panel that it stands in; the rest as typer has it."""

from __future__ import annotations

from typing import Any

import typer


def plain(name: str, text: str, panel: str | None = None, **more: Any) -> Any:
    """An option of the command line and the configuration."""
    return typer.Option(f"--{name}", help=text, rich_help_panel=panel, **more)


def option(name: str, text: str, panel: str | None = None, **more: Any) -> Any:
    """One that may be said by an environment variable as well: LOADGEN_ and its name."""
    return plain(name, text, panel, envvar=f"LOADGEN_{name.upper().replace('-', '_')}", **more)
