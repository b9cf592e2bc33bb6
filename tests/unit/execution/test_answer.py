"""An answer's JSON is what requests makes of it, to the last bit, mistakes included."""

from __future__ import annotations

import json
import pickle
import struct

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from loadgen.execution.http_messages import Answer, Facts, Outgoing, Received

TYPES = [
    b"application/json",
    b"application/json; charset=UTF-8",
    b"application/json;charset=latin-1",
    b"application/x-unknown",
    b"text/html",
    b"",
]


def an_answer(body, content_type=b"application/json", status=200):
    line = b"Content-Type: " + content_type + b"\r\n" if content_type else b""
    head = b"HTTP/1.1 %d Fine\r\n%s\r\n" % (status, line)
    received = Received(5, 0, 0, 3, 1, 1, status, head, body)
    return Answer(Outgoing("GET", "http://t/x", (), 1, 1), received, Facts(head))


def read(answer, method):
    """What comes of it, or how it fails: `repr` tells 1 from 1.0 and -0.0 from 0.0, and NaN is NaN."""
    try:
        return repr(method(answer))
    except requests.exceptions.JSONDecodeError as mistake:
        return type(mistake), str(mistake), mistake.doc, mistake.pos
    except (ValueError, RecursionError) as mistake:
        return type(mistake)


def same(body, content_type):
    ours = read(an_answer(body, content_type), lambda answer: answer.json())
    assert ours == read(an_answer(body, content_type), requests.Response.json)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@given(
    values,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"]),
    st.sampled_from(TYPES),
    st.booleans(),
)
def test_json_is_what_requests_makes_of_it(value, encoding, content_type, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    same(text.encode(encoding, "surrogatepass"), content_type)


@given(
    st.text('[]{}",:0123456789.eE+-\\ \ntrufalsn\u00e9', max_size=12).map(str.encode), st.sampled_from(TYPES)
)
@example(b'{"a": 1, "a": 2}', b"")
@example(b"123456789012345678901234567890", b"")
@example(b"1" * 5000, b"")
@example(b"-0", b"")
@example(b"1e400", b"")
@example(b"1.7976931348623159e308", b"")
@example(b"2.4703282292062328e-324", b"")
@example(b"9007199254740993.0", b"")
@example(b"[NaN, Infinity, -Infinity]", b"application/json")
@example(b'"\\ud800"', b"application/json")
@example(b'"\xff"', b"application/json")
@example(b'"\xed\xa0\x80"', b"application/json")
@example(b'"\xe9"', b"application/json;charset=latin-1")
@example(b'"\xc3\xa9"', b"text/html")
@example(b'"\x00"', b"application/json")
@example(b"[" * 200 + b"]" * 200, b"")
@example(b"", b"application/json")
@example(b"<html>no</html>", b"application/json")
def test_so_are_its_mistakes(body, content_type):
    same(body, content_type)


@given(st.integers(min_value=0, max_value=2**64 - 1), st.sampled_from(["r", ".17e", ".25g", "f"]))
def test_numbers_are_read_to_the_last_bit(bits, form):
    (number,) = struct.unpack("<d", struct.pack("<Q", bits))
    text = repr(number) if form == "r" else f"{number:{form}}"
    same(text.encode(), b"application/json")


def test_options_of_json_are_obeyed():
    answer = an_answer(b'{"a": 1.5}')
    assert answer.json(parse_float=str) == {"a": "1.5"}
    assert answer.json(object_pairs_hook=list) == [("a", 1.5)]


def test_an_encoding_that_the_caller_sets_is_used():
    answer = an_answer(b'"\xe9"')
    answer.encoding = "latin-1"
    assert (answer.json(), answer.text, answer.encoding) == ("\u00e9", '"\u00e9"', "latin-1")
    answer.encoding = None
    assert answer.encoding is None


@pytest.mark.parametrize("content_type", TYPES)
def test_the_encoding_is_requests(content_type):
    plain = requests.Response()
    plain.headers["Content-Type"] = content_type.decode()
    wanted = requests.utils.get_encoding_from_headers(plain.headers if content_type else {})
    assert an_answer(b"", content_type).encoding == wanted


def test_an_answer_has_its_own_history():
    first, second = an_answer(b""), an_answer(b"")
    first.history.append(second)
    assert (first.history, second.history) == ([second], [])
    assert pickle.loads(pickle.dumps(second)).history == []
