"""The README is kept true: its commands, its scenario, its report."""

import json
import re
from itertools import count

import pytest
from harness import Cli, Seen, Target, fenced
from refresh_readme import EXCERPT, README, neutral, real_report, skeleton

TEXT = README.read_text(encoding="utf-8")
VENV = "python3 -m venv .venv"


@pytest.mark.parametrize(
    ("heading", "command"),
    [
        ("Try it", f"{VENV} && .venv/bin/pip install . && .venv/bin/loadgen run scenarios/azkaban_flows.py"),
        ("Test it", f"{VENV} && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest"),
    ],
)
def test_the_two_commands_stand_first_under_their_headings(heading: str, command: str) -> None:
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    _, block = next(fenced(section))
    assert block.strip() == command


def examples() -> list[str]:
    return [block for before, block in fenced(TEXT) if before == "<!-- test: run -->"]


def test_there_is_an_example() -> None:
    assert examples()


@pytest.mark.parametrize("number", range(len(examples())))
def test_an_example_runs_as_it_stands(cli: Cli, target: Target, number: int) -> None:
    ids = count(100)
    target.answer = lambda seen: (200, json.dumps({"id": next(ids)}))
    path = cli.scenario(examples()[number], "books.py")
    ended = cli.run(path, "--target", target.url, "--set", "books=30")
    assert (ended.code, ended.err) == (0, "")
    assert sorted(map(title, target.seen)) == sorted(f"Book {item}" for item in range(30))
    values = {
        json.loads(line)["value"] for line in cli("manifest", "latest", "--out", cli.out).out.splitlines()
    }
    assert values == set(range(100, 130)), "what the function returns goes into the manifest"


def title(seen: Seen) -> str:
    assert (seen.method, seen.path) == ("POST", "/books")
    return str(json.loads(seen.body)["title"])


def test_the_report_is_what_a_run_prints() -> None:
    found = EXCERPT.search(TEXT)
    assert found is not None
    small = real_report(found[2], "--set", "flows=400", "--set", "projects=8")
    assert skeleton(found[3]) == skeleton(small), "run tests/e2e/refresh_readme.py"
    assert max(map(len, found[3].splitlines())) <= 80


def test_the_report_names_no_machine_of_ours() -> None:
    found = EXCERPT.search(TEXT)
    assert found is not None
    assert neutral(found[3]) == found[3]
    assert not re.search(r"/(home|root|tmp|work|Users)/", TEXT)


def test_what_the_report_shows_is_what_the_text_promises() -> None:
    """10,000 flows: the excerpt is of the command above it."""
    found = EXCERPT.search(TEXT)
    assert found is not None
    assert "10000 planned: 10000 done, 0 failed, 0 unknown" in found[3]
    assert "10000 of 10000 expected found, 0 missing, 0 unexpected" in found[3]
