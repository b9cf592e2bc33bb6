"""Rows from files: each once, relative to the scenario, and every mistake with its file and line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadgen import feed
from loadgen.errors import FeedError


def wrong(source: feed.Feed, folder: Path) -> str:
    with pytest.raises(FeedError) as caught:
        source.rows(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_of_a_csv_file(tmp_path: Path) -> None:
    """Dicts of strings; quoted line ends, a byte order mark and empty lines are no trouble."""
    text = '\ufeffuser,note\r\nann,"two\r\nlines"\r\n\r\nbob,"a ""b"", c"\r\n'
    (tmp_path / "users.csv").write_text(text, encoding="utf-8", newline="")
    assert feed.csv("users.csv").rows(tmp_path) == [
        {"user": "ann", "note": "two\r\nlines"},
        {"user": "bob", "note": 'a "b", c'},
    ]


def test_another_delimiter(tmp_path: Path) -> None:
    """As German spreadsheets write them."""
    (tmp_path / "users.csv").write_text("user;pin\nann;1,5\n")
    assert feed.csv("users.csv", delimiter=";").rows(tmp_path) == [{"user": "ann", "pin": "1,5"}]


def test_rows_of_a_json_lines_file(tmp_path: Path) -> None:
    """Objects; empty lines and a byte order mark are skipped, a last line end may be missing."""
    text = '\ufeff{"user": "ann", "tags": [1]}\n\n  \n{"user": "bob"}'
    (tmp_path / "users.jsonl").write_text(text, encoding="utf-8")
    assert feed.jsonl("users.jsonl").rows(tmp_path) == [{"user": "ann", "tags": [1]}, {"user": "bob"}]


@pytest.mark.parametrize("content", ["", "user,pin\n"])
def test_a_csv_file_without_rows(tmp_path: Path, content: str) -> None:
    """No items; but not when some were asked for."""
    (tmp_path / "users.csv").write_text(content)
    assert feed.csv("users.csv").rows(tmp_path) == []
    assert "1 items need as many rows, but the file has 0" in wrong(feed.csv("users.csv").take(1), tmp_path)


def test_as_many_rows_as_were_asked_for(tmp_path: Path) -> None:
    """The first ones; all of them; more than there are is an error before the run starts."""
    (tmp_path / "users.csv").write_text("user\nann\nbob\n")
    users = feed.csv("users.csv")
    assert users.take(1).rows(tmp_path) == [{"user": "ann"}]
    assert users.take(0).rows(tmp_path) == []
    assert len(users.take(2).rows(tmp_path)) == len(users.rows(tmp_path)) == 2
    message = wrong(users.take(3), tmp_path)
    assert message == f"{tmp_path / 'users.csv'}: 3 items need as many rows, but the file has 2"


def test_fewer_than_no_rows() -> None:
    """Would silently leave the last ones out."""
    with pytest.raises(FeedError, match="take\\(-1\\)"):
        feed.csv("users.csv").take(-1)


def test_where_the_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the scenario, at an absolute path, at home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "users.csv").write_text("user\nann\n")
    for path in (tmp_path / "users.csv", "~/users.csv"):
        assert len(feed.csv(path).rows(tmp_path / "elsewhere")) == 1


@pytest.mark.parametrize("make", [feed.csv, feed.jsonl])
def test_files_that_cannot_be_read(tmp_path: Path, make: type) -> None:
    """Missing, a folder, not UTF-8 (also far into the file): one line that begins with the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b'{"a": 1}\n' * 5000 + b"J\xfcrgen\n")
    assert (
        wrong(make("none"), tmp_path) == f"{tmp_path / 'none'}: cannot read rows: No such file or directory"
    )
    assert wrong(make("folder"), tmp_path).startswith(f"{tmp_path / 'folder'}: cannot read rows: ")
    assert wrong(make("latin"), tmp_path).startswith(f"{tmp_path / 'latin'}: not UTF-8 text")


@pytest.mark.parametrize(
    ("text", "line"), [("a,b\n1,2\n1\n", 3), ("a,b\n1,2,3\n", 2), ('a,b\n"x\ny",1\n\n1,2,3\n', 5)]
)
def test_a_csv_row_of_another_length(tmp_path: Path, text: str, line: int) -> None:
    """With the line of the file."""
    (tmp_path / "x.csv").write_text(text)
    message = wrong(feed.csv("x.csv"), tmp_path)
    assert message == f"{tmp_path / 'x.csv'}:{line}: not as many fields as the header has"


def test_what_the_csv_module_does_not_read(tmp_path: Path) -> None:
    """A field beyond its limit."""
    (tmp_path / "x.csv").write_text("a\n" + "x" * (csv.field_size_limit() + 1) + "\n")
    assert wrong(feed.csv("x.csv"), tmp_path).startswith(f"{tmp_path / 'x.csv'}:2: not CSV: field larger")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON: Expecting property name"),
        ("[1]", "a row must be an object, not [1]"),
        ("5", "a row must be an object, not 5"),
        ("null", "a row must be an object, not null"),
        ("[" * 100_000, "not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON: Extra data"),
    ],
)
def test_a_json_line_that_is_no_row(tmp_path: Path, line: str, message: str) -> None:
    """With the line of the file."""
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n' + line + "\n")
    assert f"{tmp_path / 'x.jsonl'}:3: {message}" in wrong(feed.jsonl("x.jsonl"), tmp_path)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
rows_of_text = st.lists(st.fixed_dictionaries({"a": cells, "b": cells}), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows_of_text)
def test_csv_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    """Whatever is in the cells."""
    with (tmp_path / "x.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["a", "b"])
        writer.writeheader()
        writer.writerows(rows)
    assert feed.csv("x.csv").rows(tmp_path) == rows


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(cells, st.integers() | cells | st.none()), max_size=12))
def test_json_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    """Whatever is in them."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "x.jsonl").write_text(text, encoding="utf-8", newline="")
    assert feed.jsonl("x.jsonl").rows(tmp_path) == rows
