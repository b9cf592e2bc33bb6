"""Settings from files: whatever stands there, a mistake in it is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.cli.config import read_config
from loadgen.errors import UsageError

OPTIONS = {"run": {"set": "settings", "sets": "settings", "rate": "rate"}, "set": {"out": "out"}}


def test_a_list_for_all_commands_may_be_called_as_one_of_them(tmp_path: Path) -> None:
    """`set` is an option of run, and a command that steers one."""
    (tmp_path / "loadgen.toml").write_text('set = ["books=4"]\n')
    assert read_config(tmp_path, OPTIONS) == {"run": {"settings": ["books=4"]}, "set": {}}


def test_the_table_of_a_command_may_be_called_as_an_option(tmp_path: Path) -> None:
    (tmp_path / "loadgen.toml").write_text('[set]\nout = "there"\n')
    assert read_config(tmp_path, OPTIONS) == {"run": {}, "set": {"out": "there"}}


def test_what_others_keep_under_tool_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 5\n")
    assert read_config(tmp_path, OPTIONS) == {"run": {}, "set": {}}


def test_a_table_is_expected(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nloadgen = 5\n")
    with pytest.raises(UsageError, match=r"tool\.loadgen: expected a table"):
        read_config(tmp_path, OPTIONS)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loadgen.toml").touch()

    def refuse(*_args: object, **_kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)  # the tests may run as root, who may read all
    with pytest.raises(UsageError, match=r"loadgen\.toml: cannot read it: Permission denied"):
        read_config(tmp_path, OPTIONS)
