"""The documents say what is so: every command line in them parses, every link leads somewhere."""

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from harness import REPO, fenced

from loadgen.cli.app import make_app
from loadgen.errors import ExitCode

DOCUMENTS = [
    path
    for path in (REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("**/*.md")))
    if path.exists()
]
CLI_PAGE = REPO / "docs" / "cli.md"
NOT_YET = {"init", "token"}
"""Commands of later issues: a document may promise them, if it says so."""


@functools.cache
def commands() -> dict[str, Any]:
    """The commands, by name."""
    return dict(typer.main.get_command(make_app()).commands)  # type: ignore[attr-defined]


def command_lines(path: Path) -> Iterator[str]:
    """`loadgen ...` in fenced blocks and code spans."""
    text = path.read_text(encoding="utf-8")
    blocks = [block for _, block in fenced(text)]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            if match := re.match(
                r"^(?:\$ )?(?:.*(?:&&|;) )?(?:[A-Z_]+=\S* )*(?:\S*/)?(loadgen [a-z-].*)", line
            ):
                yield match[1]
    for block in blocks:
        text = text.replace(block, "")
    yield from re.findall(r"`(loadgen [a-z-][^`]*)`", text)


def cases() -> list[Any]:
    return [
        pytest.param(line, id=f"{path.name}: {line[:60]}")
        for path in DOCUMENTS
        for line in dict.fromkeys(command_lines(path))
    ]


@pytest.mark.parametrize("line", cases())
def test_a_command_line_parses(line: str) -> None:
    words = shlex.split(line.replace("...", "").replace("|", " ").split(" 2>")[0], comments=True)[1:]
    if words[0].startswith("-"):
        return
    known = commands()
    assert words[0] in known, f"no such command: {words[0]}"
    if len(words) > 1:  # a bare `loadgen run` in a sentence is the command's name
        known[words[0]].make_context(words[0], words[1:])


def test_a_wrong_command_line_would_be_seen() -> None:
    """The test above can fail."""
    with pytest.raises(Exception, match="--proceses"):
        commands()["run"].make_context("run", ["x.py", "--proceses", "1"])
    assert list(command_lines(REPO / "README.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for _, block in fenced(text):
        text = text.replace(block, "")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{path.name}: {link}"
        if anchor and goal.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{path.name}: {link}"


def slug(heading: str) -> str:
    """How a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def options() -> list[tuple[str, str]]:
    return [
        (name, word)
        for name, command in commands().items()
        for part in command.params
        if not getattr(part, "hidden", False)
        for word in (*part.opts, *part.secondary_opts)
        if word.startswith("--")
    ]


@pytest.mark.skipif(not CLI_PAGE.exists(), reason="docs/cli.md is not written yet")
@pytest.mark.parametrize("name", [*commands(), ""], ids=lambda name: name or "all")
def test_each_option_is_described(name: str) -> None:
    page = CLI_PAGE.read_text(encoding="utf-8") if CLI_PAGE.exists() else ""
    if not name:
        assert all(f"loadgen {command}" in page for command in commands())
        return
    missing = [word for command, word in options() if command == name and not mentions(page, word)]
    assert not missing, f"docs/cli.md does not tell of {', '.join(missing)} of loadgen {name}"


def mentions(page: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page) is not None


def test_the_documented_exit_codes_are_the_real_ones() -> None:
    table = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", (REPO / "README.md").read_text(), re.MULTILINE)
    told = {int(code) for codes, _ in table for code in codes.split(",")}
    assert told == set(map(int, ExitCode))
