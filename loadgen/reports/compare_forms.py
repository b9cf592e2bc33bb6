"""The forms of a comparison, by the name that `--format` takes.

A form is one function; the libraries that it needs are imported when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from loadgen.errors import RunDirectoryError, UsageError
from loadgen.files import whole
from loadgen.reports.side_by_side import SideBySide

if TYPE_CHECKING:
    from rich.console import Console

Form: TypeAlias = "Callable[[SideBySide, Console], None]"
_WIDTH = 120
"""Of a comparison for people that goes into a file."""


def known(form: str) -> str:
    """The name of a form.  Raises UsageError when there is no such form."""
    if form not in FORMS:
        raise UsageError(f"no comparison format {form!r}: choose one of {', '.join(FORMS)}")
    return form


def render(form: str, told: SideBySide, console: Console, directory: Path) -> None:
    """Show it on a console; a page goes into a file in the directory when that is a terminal.

    Raises RunDirectoryError when that file cannot be written.
    """
    if form != "html" or not console.is_terminal:
        FORMS[form](told, console)
        return
    path = directory / f"compare-{told.comparisons[0].base}.html"
    try:
        _write(form, told, path)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot write the comparison: {error.strerror}") from error
    console.print(str(path), soft_wrap=True, highlight=False, markup=False)


def export(form: str, told: SideBySide, path: Path) -> None:
    """Put it into a file, whole or not at all.  Raises UsageError when that cannot be written."""
    try:
        _write(form, told, path)
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error


def _write(form: str, told: SideBySide, path: Path) -> None:
    from rich.console import Console

    with whole(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        FORMS[form](told, Console(file=file, width=_WIDTH, color_system=None))


def terminal(told: SideBySide, console: Console) -> None:
    """For people."""
    from loadgen.reports.compare_page import compose
    from loadgen.reports.page import Page

    page = Page(console)
    compose(page, told)
    page.print()


def as_json(told: SideBySide, console: Console) -> None:
    """All lines, for machines; ASCII."""
    console.file.write(json.dumps(told.builtins(), indent=2) + "\n")


def html(told: SideBySide, console: Console) -> None:
    """One self-contained page."""
    from loadgen.reports.html.comparison import page

    console.file.write(page(told))


def as_markdown(told: SideBySide, console: Console) -> None:
    """What the terminal shows, for a pull request."""
    from loadgen.reports.compare_page import compose
    from loadgen.reports.markdown import MarkdownPage

    page = MarkdownPage()
    compose(page, told)
    console.file.write(page.text())


FORMS: Mapping[str, Form] = MappingProxyType(
    {"terminal": terminal, "json": as_json, "html": html, "md": as_markdown}
)
"""By name; the first is the default."""
