r"""Send each row of a file to an HTTP API.

A row of a CSV or JSON lines file is an item: one request, made from templates in which `{column}` stands
for the row's value.  All rows are filled in before the first is sent, so that a column that is not there
is told at once.

    loadgen run scenarios/http_rows.py --target http://shop.test --set rows=users.csv --set path=/users

posts each row as a JSON object.  With templates, and with the answers' ids kept for `loadgen clean`:

    loadgen run scenarios/http_rows.py --target http://shop.test --set rows=users.csv \
        --set method=PUT --set 'path=/users/{name}' --set 'body={"mail": "{mail}", "age": {age}}' \
        --set expect=200,201 --set extract=data.id --set 'undo=/users/{value}'

What an API takes twice without harm is another scenario: copy this file and say delivery="at_least_once".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, quote_plus

from loadgen import Bearer, Made, Scenario, Session, errors, feed, option

FIELD = re.compile(r"\{([^\s{}\"':,\[\]][^{}\"':,\[\]\n]*)\}")
"""`{column}`, and no brace that belongs to JSON: behind those comes a quote, or nothing."""
BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")
KINDS = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "text": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Options:
    """What can be set."""

    rows: Path = Path("rows.csv")  # a .csv (or .tsv) file with a header, or .jsonl: objects
    method: str = option("POST", help="GET, POST, PUT, ...")
    path: str = option("/", help="Template; values are percent-encoded")
    body: str | None = option(None, help="Template; none: the row itself, or nothing for GET and its like")
    body_type: Literal["json", "form", "text"] = option(
        "json", help="How values are escaped, and what it is sent as"
    )
    headers: str = option("{}", help='Template of a JSON object: {"X-Tenant": "{tenant}"}')
    expect: list[int] = field(default_factory=list)  # the statuses that are a success; none: all below 400
    extract: str = option("", help="What of the answer goes into the manifest: data.0.id, or /data/0/id")
    undo: str = option(
        "", help="Template of a path to DELETE by `loadgen clean`; {value} is what was extracted"
    )
    token: str = option("", env="HTTP_ROWS_TOKEN", secret=True, help="For Authorization: Bearer")

    def __post_init__(self) -> None:
        """Refuse templates that no row could make right; find the rows also from another folder, later."""
        object.__setattr__(self, "rows", Path(self.rows).expanduser().absolute())
        anything = _Anything()
        fill(self.path, anything, "path")
        headers(self, anything)
        body(self, anything)
        fill(self.undo, {"value": 0}, "undo")
        if self.undo and not self.extract:
            raise ValueError("undo needs extract: what was made is known by what was extracted")


scenario = Scenario(options=Options)


class _Anything(Mapping[str, Any]):
    """A row that has every column: its value is a number, which is right wherever a value is."""

    def __getitem__(self, _: str) -> int:
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def in_path(value: Any) -> str:
    """A value as a part of a path."""
    return quote(text(value), safe="")


def in_form(value: Any) -> str:
    """A value as a part of a form."""
    return quote_plus(text(value))


def in_string(value: Any) -> str:
    """A value inside of a JSON string."""
    return json.dumps(text(value))[1:-1]


def as_json(value: Any) -> str:
    """A value as JSON; a text (of a CSV file) must be JSON by itself, like a number.  Raises ValueError."""
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    from_json(value)
    return value


def from_json(content: str) -> Any:
    """Also refuse what only Python takes for JSON: NaN and Infinity.  Raises ValueError."""
    return json.loads(content, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def text(value: Any) -> str:
    """A value as text; what is no text in a JSON lines file, as it stands there."""
    return value if isinstance(value, str) else json.dumps(value)


@lru_cache
def parts(template: str) -> Sequence[tuple[str, str, bool]]:
    """A template in parts: (text before, column, whether the column stands inside of a JSON string)."""
    found, end, inside = [], 0, False
    for match in FIELD.finditer(template):
        before = template[end : match.start()]
        inside ^= len(re.findall(r'(?<!\\)(?:\\\\)*"', before)) % 2 == 1
        found.append((before, match[1], inside))
        end = match.end()
    return [*found, (template[end:], "", False)]


def fill(template: str, row: Mapping[str, Any], what: str, kind: str = "path") -> str:
    """The template with the row's values.  Raises ValueError: no such column, a value that does not fit."""
    ways: dict[tuple[str, bool], Callable[[Any], str]] = {("json", True): in_string, ("json", False): as_json}
    escapes = {"path": in_path, "form": in_form, "text": text}
    filled = ""
    for before, column, inside in parts(template):
        filled += before
        if not column:
            continue
        try:
            value = row[column]
        except KeyError:
            raise ValueError(f"{what}: there is no column {column}; there are {', '.join(row)}") from None
        try:
            filled += (ways.get((kind, inside)) or escapes[kind])(value)
        except ValueError:
            hint = f'for a text, put it into quotes: "{{{column}}}"'
            raise ValueError(f"{what}: {column} is {value!r}, which is no JSON value; {hint}") from None
    return filled


def parsed(template: str, row: Mapping[str, Any], what: str) -> Any:
    """A filled JSON template.  Raises ValueError when it is none."""
    filled = fill(template, row, what, "json")
    try:
        return from_json(filled)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON: {error}: {filled[:80]}") from None


def headers(options: Options, row: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers.  Raises ValueError."""
    named = parsed(options.headers, row, "headers")
    if not isinstance(named, dict):
        raise errors.OptionError(f"headers: expected a JSON object, not {options.headers}")
    values = {name: text(value) for name, value in named.items()}
    for name, value in values.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"headers: {name} has a line break in it: {value!r}")
    return values


def body(options: Options, row: Mapping[str, Any]) -> bytes | None:
    """The request's body; None: it has none."""
    kind, template = options.body_type, options.body
    if template is None and options.method.upper() in BODILESS:
        return None
    if template is None and kind == "form":
        return "&".join(f"{in_form(name)}={in_form(value)}" for name, value in row.items()).encode()
    if template is None:
        return json.dumps(dict(row), allow_nan=False).encode()
    if kind == "json":
        return json.dumps(parsed(template, row, "body"), allow_nan=False).encode()  # 1e999 is read as inf
    return fill(template, row, "body", kind).encode()


def rows(options: Options) -> Sequence[Mapping[str, Any]]:
    """The file's rows, each of which fits the templates.  Raises FeedError."""
    jsonl, tsv = (".jsonl", ".ndjson"), (".tsv", ".tab")
    kind = options.rows.suffix.lower()
    source = (
        feed.jsonl(options.rows)
        if kind in jsonl
        else feed.csv(options.rows, delimiter="\t" if kind in tsv else ",")
    )
    found = source.rows(Path())
    for number, row in enumerate(found, start=1):
        try:
            fill(options.path, row, "path")
            headers(options, row)
            body(options, row)
        except ValueError as error:
            raise errors.FeedError(f"{options.rows}: row {number}: {error}") from None
    return found


def pick(value: Any, where: str) -> Any:
    """What stands at a dotted path or a JSON pointer (RFC 6901).  Raises ItemFailed when nothing does."""
    if where.startswith("/"):
        names = [name.replace("~1", "/").replace("~0", "~") for name in where.split("/")[1:]]
    else:
        names = where.split(".")
    for name in names:
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise errors.ItemFailed(f"extract {where}: there is no {name} in {text(value)[:80]}") from None
    return value


@scenario.login
def login(http: Session, options: Options) -> None:
    """A token for all calls, where there is one."""
    if options.token:
        http.auth = Bearer(options.token)


@scenario.step(items=rows)
def send(http: Session, item: dict[str, Any], options: Options) -> object:
    """One row, one request."""
    content = body(options, item)
    kind = {"Content-Type": KINDS[options.body_type]} if content is not None else {}
    response = http.request(
        options.method.upper(),
        fill(options.path, item, "path"),
        data=content,
        headers={**kind, **headers(options, item)},
        name=f"{options.method.upper()} {options.path}",
        expect=options.expect,
    )
    if options.expect and response.status_code not in options.expect:
        wanted = " or ".join(map(str, options.expect))
        raise errors.ItemFailed(f"answered {response.status_code}, not {wanted}")
    if not options.extract or not response.ok:  # an expected 409 has no id to tell
        return None
    try:
        answer = response.json()
    except ValueError:
        raise errors.ItemFailed(f"extract {options.extract}: not JSON: {response.text[:80]}") from None
    return pick(answer, options.extract)


@scenario.teardown
def delete(http: Session, options: Options, made: Made) -> None:
    """What a row made is known by what was extracted of its answer."""
    if not options.undo:
        raise errors.UsageError(
            "the run was not told how to undo it: --set extract=... --set undo=/path/{value}"
        )
    for value in made("send"):
        http.delete(
            fill(options.undo, {"value": value}, "undo"), name=f"DELETE {options.undo}", expect=(404, 410)
        )
