"""Rows against an API: what is sent for a row, and what is told before any is sent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import responses
from responses import matchers

from loadgen import Session
from loadgen.errors import LoadgenError, OptionError
from loadgen.loader import load, make_work
from loadgen.options import parse
from loadgen.testing import FakeMade, Outcome, do_item

FILE = Path(__file__).parents[3] / "scenarios" / "http_rows.py"
URL = "http://shop.test"


@pytest.fixture(scope="module")
def rows(imported: Callable[[Path], ModuleType]) -> ModuleType:
    """The scenario, imported from its file."""
    return imported(FILE)


@pytest.fixture
def shop() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


ANN = {"name": 'Ann "A" Lee/ä', "age": "42", "First Name": "Ann"}


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, '{"name": "Ann \\"A\\" Lee/\\u00e4", "age": "42", "First Name": "Ann"}'),
        ({"body": '{"n": "{name}", "a": {age}}'}, '{"n": "Ann \\"A\\" Lee/\\u00e4", "a": 42}'),
        (
            {"body": '{"a": {"b": "x\\"{name}", "c": {}}}'},
            '{"a": {"b": "x\\"Ann \\"A\\" Lee/\\u00e4", "c": {}}}',
        ),
        ({"body": '["{First Name}"]'}, '["Ann"]'),
        ({"body": "q={name}&a={age}", "body_type": "form"}, "q=Ann+%22A%22+Lee%2F%C3%A4&a=42"),
        ({"body_type": "form"}, "name=Ann+%22A%22+Lee%2F%C3%A4&age=42&First+Name=Ann"),
        ({"body": "{name}, {age}", "body_type": "text"}, 'Ann "A" Lee/ä, 42'),
        ({"method": "get"}, None),
    ],
)
def test_bodies(rows: ModuleType, settings: dict[str, str], sent: str | None) -> None:
    body = rows.body(rows.Options(**settings), ANN)
    assert (body if body is None else body.decode()) == sent


@pytest.mark.parametrize("value", [7, 1.5, True, None, [1], {"a": 1}, "text"])
def test_values_of_json_lines_keep_their_type_outside_of_quotes(rows: ModuleType, value: Any) -> None:
    row = {"v": json.dumps(value) if isinstance(value, str) else value}
    assert json.loads(rows.body(rows.Options(body='{"v": {v}}'), row)) == {"v": value}
    quoted = json.loads(rows.body(rows.Options(body='{"v": "{v}"}'), {"v": value}))
    assert quoted == {"v": value if isinstance(value, str) else json.dumps(value)}


def test_a_row_is_a_request(rows: ModuleType, shop: responses.RequestsMock, http: Session) -> None:
    options = rows.Options(
        method="put",
        path="/users/{name}",
        headers='{"X-Age": "{age}"}',
        expect=[201],
        extract="/data/0/id",
    )
    shop.put(
        f"{URL}/users/Ann%20%22A%22%20Lee%2F%C3%A4",
        status=201,
        json={"data": [{"id": 9}]},
        match=[
            matchers.json_params_matcher(ANN),
            matchers.header_matcher({"X-Age": "42", "Content-Type": "application/json"}),
        ],
    )
    tried = do_item(rows.send, ANN, options, http)
    assert (tried.result.outcome, tried.value) == (Outcome.DONE, 9)
    assert tried.samples[0].label == "PUT /users/{name}"


@pytest.mark.parametrize(
    ("settings", "answer", "error"),
    [
        ({"expect": [201]}, {"status": 200}, "answered 200, not 201"),
        ({"expect": [201, 409]}, {"status": 404}, "answered 404"),
        ({"expect": [201, 409]}, {"status": 409}, ""),
        ({"expect": [409], "extract": "id"}, {"status": 409, "body": "there already"}, ""),
        ({"extract": "data.1.id"}, {"json": {"data": [{}]}}, "extract data.1.id: there is no 1 in [{}]"),
        ({"extract": "data.id"}, {"json": {"data": "x"}}, "extract data.id: there is no id in x"),
        ({"extract": "id"}, {"body": "<html>"}, "extract id: not JSON: <html>"),
    ],
)
def test_answers(
    rows: ModuleType,
    shop: responses.RequestsMock,
    http: Session,
    settings: dict[str, Any],
    answer: dict[str, Any],
    error: str,
) -> None:
    shop.post(f"{URL}/", **answer)
    result = do_item(rows.send, ANN, rows.Options(**settings), http).result
    assert error in result.error
    assert (result.outcome is Outcome.DONE) is (error == "")


def test_a_token_and_an_undo(rows: ModuleType, shop: responses.RequestsMock, http: Session) -> None:
    options = rows.Options(token="s3cret", extract="id", undo="/users/{value}")
    rows.login(http, options)
    bearer = [matchers.header_matcher({"Authorization": "Bearer s3cret"})]
    for name, status in (("7", 204), ("a%2Fb", 404)):
        shop.delete(f"{URL}/users/{name}", status=status, match=bearer)
    rows.delete(http, options, FakeMade({"send": [7, "a/b"]}))
    assert http.failure is None, "one that is gone is no failure"
    with pytest.raises(LoadgenError, match="not told how to undo"):
        rows.delete(http, rows.Options(), FakeMade())


def planned(path: Path, *settings: str) -> list[Any]:
    loaded = load(FILE)
    options: Any = parse(loaded.scenario.options, [f"rows={path}", *settings], {})
    return list(make_work(loaded, options).rows[0] or ())


def test_rows_come_from_three_kinds_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a path from where the command was typed."""
    for name, content in (("a.csv", "n\n1\n"), ("a.tsv", "n\tm\n1\t2\n"), ("a.jsonl", '{"n": 1}\n')):
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    assert planned(Path("a.csv")) == [{"n": "1"}]
    assert parse(load(FILE).scenario.options, ["rows=a.csv"], {}).rows == tmp_path / "a.csv"  # type: ignore[attr-defined]
    assert planned(Path("a.tsv")) == [{"n": "1", "m": "2"}]
    assert planned(tmp_path / "a.jsonl") == [{"n": 1}]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["path=/u/{nam}"], r"a\.csv: row 1: path: there is no column nam; there are name, age"),
        (['body={"n": {age}}'], r"row 2: body: age is 'old', .*put it into quotes: \"\{age\}\""),
        (['headers={"X": "{mail}"}'], "row 1: headers: there is no column mail"),
    ],
)
def test_a_row_that_does_not_fit_is_told_before_the_first_is_sent(
    tmp_path: Path, settings: list[str], words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,age\nann,1\nbob,old\n")
    with pytest.raises(LoadgenError, match=words) as caught:
        planned(path, *settings)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('body={"n": {name}', "options refused: body: not JSON"),
        ("headers=X-A: 1", "headers: not JSON"),
        ("headers=[]", "headers: expected a JSON object"),
        ("body_type=xml", "json, form, text"),
        ("undo=/users/{value}", "undo needs extract"),
        ("undo=/users/{id}", "undo: there is no column id; there are value"),
        ('body={"n": NaN}', "body: not JSON: JSON has no NaN"),
        ("extract=id", None),
    ],
)
def test_templates_that_no_row_could_fill(tmp_path: Path, setting: str, words: str | None) -> None:
    (tmp_path / "a.csv").write_text("name\nann\n")
    if words is None:
        assert planned(tmp_path / "a.csv", setting)
        return
    with pytest.raises(OptionError, match=words):
        planned(tmp_path / "a.csv", setting)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (None, float("nan")),
        (None, float("inf")),
        ('{"v": {v}}', float("nan")),
        ('{"v": {v}}', "-Infinity"),
        ('{"v": {v}}', "1e999"),
    ],
)
def test_what_json_does_not_have_is_not_sent(rows: ModuleType, template: str | None, value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        rows.body(rows.Options(body=template), {"v": value})


def test_a_line_break_does_not_get_into_a_header(rows: ModuleType) -> None:
    with pytest.raises(ValueError, match="X has a line break"):
        rows.headers(rows.Options(headers='{"X": "{v}"}'), {"v": "a\r\nEvil: 1"})
