"""Before a run writes to its target: who is asked, and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.cli import admit as admitting
from loadgen.cli.admit import admit
from loadgen.cli.app import run_app
from loadgen.errors import RunDirectoryError, TargetNotAllowed, UsageError

FAR = "http://azkaban.test:8081"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of our own; the working directory has the configuration."""
    monkeypatch.setenv("LOADGEN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state" / "allowed_targets"


def test_loopback_is_free(state: Path) -> None:
    admit("http://127.0.0.1:8081", 10**6, allow=False)
    assert not state.exists()


def test_without_a_terminal_it_says_what_to_do(state: Path) -> None:
    with pytest.raises(
        TargetNotAllowed, match=r"azkaban\.test:8081 .* --allow-target .*allow_targets = \["
    ) as caught:
        admit(FAR, 1, allow=False)
    assert caught.value.exit_code == 2
    assert not state.exists()


def test_once_is_enough(state: Path) -> None:
    admit(FAR, 1, allow=True)
    admit("http://other.test", 1, allow=True)
    admit(f"{FAR}/elsewhere", 1, allow=False)
    admit(FAR, 1, allow=True)
    assert state.read_text() == "azkaban.test:8081\nother.test:80\n"
    assert state.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TargetNotAllowed):
        admit("http://azkaban.test:8082", 1, allow=False)


@pytest.mark.parametrize("yes", [True, False])
def test_on_a_terminal_it_asks(state: Path, monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    asked: list[str] = []

    def answer(text: str, **_: object) -> bool:
        asked.append(text)
        return yes

    monkeypatch.setattr(admitting.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(admitting.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(admitting.typer, "confirm", answer)
    if yes:
        admit(FAR, 1, allow=False)
        admit(FAR, 1, allow=False)
    else:
        with pytest.raises(TargetNotAllowed, match="not allowed, so nothing was sent"):
            admit(FAR, 1, allow=False)
    assert len(asked) == 1
    assert state.exists() is yes


def test_configuration_allows_and_caps(tmp_path: Path, state: Path) -> None:
    (tmp_path / "loadgen.toml").write_text(
        f'allow_targets = ["{FAR}"]\nmax_items = {{ "azkaban.test:8081" = 20, localhost = 5 }}\n'
    )
    admit(FAR, 20, allow=False)
    for target, items, most in ((FAR, 21, 20), ("http://localhost:1", 6, 5)):
        with pytest.raises(
            TargetNotAllowed, match=rf"plan has {items} items .* allows {most} \(max_items of"
        ):
            admit(target, items, allow=True)
    assert not state.exists()
    assert run_app(["runs"]) == 0, "the rules are no option, and no mistake either"


def test_the_other_file_the_other_spelling(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.loadgen]\nallow-targets = ["*.test"]\n')
    admit(FAR, 1, allow=False)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('allow_targets = "azkaban.test"', "allow_targets: expected a list"),
        ("allow_targets = [1]", "allow_targets: expected a list"),
        ("max_items = 5", "max_items: expected a table"),
        ('max_items = { "a" = "many" }', "max_items: expected a table"),
        ('max_items = { "a" = true }', "max_items: expected a table"),
    ],
)
def test_rules_that_are_none(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "loadgen.toml").write_text(line)
    with pytest.raises(UsageError, match=words):
        admit(FAR, 1, allow=True)


def test_what_cannot_be_remembered_is_told(state: Path) -> None:
    state.parent.write_text("a file")
    with pytest.raises(RunDirectoryError, match=r"cannot remember that .* is allowed"):
        admit(FAR, 1, allow=True)
