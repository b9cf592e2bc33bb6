"""Forms, bodies and log lines."""

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageError
from loadgen.sandbox.accesslog import AccessLog, describe, iso, masked
from loadgen.sandbox.azkaban.pages import message_cookie, pretty
from loadgen.sandbox.messages import MAX_FORM, FilePart, pairs, parse_multipart, request_of


def a_multipart(fields, files):
    prepared = requests.Request("POST", "http://x/", data=fields, files=files).prepare()
    return prepared.body, prepared.headers["Content-Type"]


plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.dictionaries(st.text("abcxyz.", min_size=1), plain), st.binary(max_size=500))
def test_what_requests_sends_is_read(fields, data):
    fields.pop("file", None)
    body, kind = a_multipart(fields, {"file": ("a.zip", data, "application/zip")})
    assert parse_multipart(body, kind) == {**fields, "file": FilePart("a.zip", "application/zip", data)}


@pytest.mark.parametrize(
    ("disposition", "part"),
    [
        ('form-data; name="a"', "x"),
        ("form-data; name=a", "x"),
        ('form-data; name="a"; filename="f.zip"', FilePart("f.zip", None, b"x")),
        ('form-data; name="a"; filename=""', FilePart("", None, b"x")),
        (r'form-data; filename="a \" b; name=c.zip"; name=a', FilePart(r"a \" b; name=c.zip", None, b"x")),
    ],
)
def test_a_part_says_its_name_and_whether_it_is_a_file(disposition, part):
    body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--\r\n".encode()
    assert parse_multipart(body, 'multipart/form-data; boundary="b"') == {"a": part}


def test_a_preamble_and_an_epilogue_are_skipped():
    body, kind = a_multipart({"a": "1"}, {"file": ("f", b"\r\n--not\r\n")})
    parts = parse_multipart(b"hello\r\n" + body + b"bye", kind)
    assert parts == {"a": "1", "file": FilePart("f", None, b"\r\n--not\r\n")}


@given(st.data())
def test_a_body_that_is_cut_short_is_an_error(data):
    body, kind = a_multipart({"a": "1"}, {"file": ("f.zip", b"zip", "application/zip")})
    end = data.draw(st.integers(0, len(body) - 5))
    with pytest.raises(ValueError, match="ended unexpectedly"):
        parse_multipart(body[:end], kind)


def test_a_body_without_boundary_is_an_error():
    with pytest.raises(ValueError, match="no multipart boundary"):
        parse_multipart(b"", "multipart/form-data")


def test_of_a_repeated_parameter_the_first_counts_and_blank_ones_do_too():
    assert pairs("a=1&b=&a=2&c") == {"a": "1", "b": "", "c": ""}


def a_scope(method="POST", query=b"", **headers):
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"method": method, "path": "/manager", "query_string": query, "headers": encoded}


FORM = {"content_type": "application/x-www-form-urlencoded; charset=UTF-8"}


def test_the_query_comes_before_the_form():
    request = request_of(a_scope(query=b"a=query", **FORM), b"a=body&b=%C3%A4+x")
    assert request.params == {"a": "query", "b": "ä x"}


def test_only_a_post_has_a_form():
    assert request_of(a_scope("GET", **FORM), b"a=1").params == {}


def test_a_form_has_a_limit():
    assert request_of(a_scope(**FORM), b"a" * (MAX_FORM + 1)).fault.startswith("Form too large")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("ajax=x&session.id=s3cret&a=b", "ajax=x&session.id=***&a=b"),
        ("password=s3cret", "password=***"),
        ("pass%77ord=s3cret&flag", "pass%77ord=***&flag"),
    ],
)
def test_secrets_stay_out_of_the_log(query, shown):
    assert masked(query) == shown


def test_a_line_says_who_sent_what():
    scope = a_scope(query=b"x=1", x_loadgen_run="r", x_loadgen_item="7", x_loadgen_attempt="two", **FORM)
    assert describe(request_of(scope, b"action=create&name=p")) == {
        "method": "POST",
        "path": "/manager?x=1",
        "action": "create",
        "project": "p",
        "run": "r",
        "item": 7,
        "attempt": None,
    }


@pytest.mark.parametrize("action", ["delete", "purge", "logout"])
def test_a_bare_parameter_can_be_the_action(action):
    assert describe(request_of(a_scope("GET", f"{action}=true".encode()), b""))["action"] == action


def test_time_has_milliseconds_and_a_zone():
    assert iso(1_700_000_000_123_999) == "2023-11-14T22:13:20.123+00:00"


def test_a_log_is_appended_to(tmp_path):
    path = tmp_path / "access.jsonl"
    for number in range(2):
        log = AccessLog(path)
        log.write({"n": number})
        log.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"n": 0}, {"n": 1}]


def test_a_log_that_cannot_be_opened_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot write the access log"):
        AccessLog(tmp_path / "no" / "such.jsonl")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_pretty_json_is_json(value):
    assert json.loads(pretty(value)) == value


def test_pretty_json_looks_like_jacksons():
    value = {"error": "session", "flows": [{"flowId": "a"}, {"flowId": "b"}], "none": [], "empty": {}}
    assert pretty(value) == (
        '{\n  "error" : "session",\n  "flows" : [ {\n    "flowId" : "a"\n  }, {\n    "flowId" : "b"\n  } ],'
        '\n  "none" : [ ],\n  "empty" : { }\n}'
    )


def test_a_message_in_a_cookie_is_quoted():
    name, value = message_cookie("failure", 'a "b" \\')
    assert (name, value) == ("set-cookie", r'azkaban.failure.message="a \"b\" \\"; Path=/')
