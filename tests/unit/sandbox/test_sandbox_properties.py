"""Java's properties format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sandbox.azkaban.properties import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"type=noop", {"type": "noop"}),
        (b"type = noop \n", {"type": "noop "}),
        (b"type:noop", {"type": "noop"}),
        (b"type noop", {"type": "noop"}),
        (b"  type\t=\tnoop", {"type": "noop"}),
        (b"# no\n! no either\n\n  # nor this\na=1", {"a": "1"}),
        (b"a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        (b"a=1\na=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"=a", {"": "a"}),
        (b"a==b", {"a": "=b"}),
        (b"command=echo a=b c:d", {"command": "echo a=b c:d"}),
        (b"a=x\\\n   y", {"a": "xy"}),
        (b"a=x\\\\\nb=y", {"a": "x\\", "b": "y"}),
        (b"a=x\\\n# y", {"a": "x# y"}),
        (b"# x\\\na=1", {"a": "1"}),
        (b"a=x\\", {"a": "x"}),
        (b"a\\ b\\=c=d", {"a b=c": "d"}),
        (b"a=\\t\\n\\u0041\\q", {"a": "\t\nAq"}),
        (b"a=\xe4", {"a": "\xe4"}),
        (b"a=x\x0cy\x85z", {"a": "x\x0cy\x85z"}),
    ],
)
def test_reads_what_java_reads(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize("text", [b"a=\\u12", b"a=\\u12x4", b"a=\\u"])
def test_a_malformed_escape_is_an_error(text):
    with pytest.raises(ValueError, match="Malformed"):
        parse(text)


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


@given(
    st.dictionaries(
        st.text(st.characters(max_codepoint=0xFFFF), min_size=1), st.text(st.characters(max_codepoint=0xFFFF))
    )
)
def test_what_is_escaped_comes_back(pairs):
    text = "".join(f"{escaped(key)}={escaped(value)}\n" for key, value in pairs.items())
    assert parse(text.encode()) == pairs


@given(st.binary())
def test_no_bytes_break_it(data):
    try:
        parse(data)
    except ValueError as error:
        assert "Malformed" in str(error)  # noqa: PT017
