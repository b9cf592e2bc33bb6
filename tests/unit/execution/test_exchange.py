"""What `loadgen check` shows of a call: all of it, but no secret."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadgen.execution.exchange import Exchange, Mask, told
from loadgen.execution.http_messages import Outgoing, Received

SECRETS = st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=1)


def shown(
    mask: Mask, *, method="POST", url="http://x/y", headers=(), body=None, head=b"", answer=b"", error=None
):
    sent = Outgoing(method, url, headers, 1, 1, body)
    received = Received(1500, status=200, head=head, body=answer, error=error)
    return list(told(Exchange(sent, received), mask))


def test_a_call_is_shown_as_it_was():
    lines = shown(
        Mask(),
        url="http://shop.test/orders?page=2",
        headers=(("User-Agent", "loadgen"),),
        body=b'{"number": 1}',
        head=b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n",
        answer=b'{\n  "id": 7\n}',
    )
    assert lines == [
        "POST http://shop.test/orders?page=2",
        "> Host: shop.test",
        "> User-Agent: loadgen",
        "> Content-Length: 13",
        ">",
        '> {"number": 1}',
        "< HTTP/1.1 201 Created (1.5 ms)",
        "< Content-Type: application/json",
        "<",
        "< {",
        '<   "id": 7',
        "< }",
    ]


def test_no_answer_a_stream_and_bytes():
    assert shown(Mask(), error=OSError("refused"))[-1] == "< no answer: refused"
    assert shown(Mask(), body=iter([b"a"]))[-3:-1] == [">", "> (a stream)"]
    assert shown(Mask(), body=b"--b\r\nname\r\nPK\x03\x00\xff")[3:6] == [
        ">",
        "> --b",
        "> name",
    ]
    assert "> (16 bytes, not all of them text)" in shown(Mask(), body=b"--b\r\nname\r\nPK\x03\x00\xff")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Authorization", "Bearer abc.def", "Bearer ***"),
        ("Authorization", "abcdef", "***"),
        ("Proxy-Authorization", "Basic dTpw", "Basic ***"),
        ("Cookie", "a=1; sid=xyz", "a=***; sid=***"),
        ("Set-Cookie", "sid=xyz; Path=/; HttpOnly", "sid=***; Path=/; HttpOnly"),
        ("X-Api-Key", "k", "***"),
        ("Location", "/next?token=abc&page=2", "/next?token=***&page=2"),
        ("Author", "Jane", "Jane"),
        ("Accept", "*/*", "*/*"),
    ],
)
def test_headers(name, value, said):
    assert Mask().header(name, value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("username=me&password=geheim&x=1", "username=me&password=***&x=1"),
        ("azkaban.session.id=4f&ajax=y", "azkaban.session.id=***&ajax=y"),
        ('{"session.id" : "4f\\"5", "n": 1}', '{"session.id" : "***", "n": 1}'),
        ('{"api_key": 4711, "author": "Jane"}', '{"api_key": "***", "author": "Jane"}'),
        (
            'form-data; name="password"\r\n\r\nge\r\nheim\r\n--b\r\nname="a"\r\n\r\nb',
            'form-data; name="password"\r\n\r\n***\r\n--b\r\nname="a"\r\n\r\nb',
        ),
        (
            'name="token"; filename="t"\r\nContent-Type: text/plain\r\n\r\nab\0c\r\n--b--',
            'name="token"; filename="t"\r\nContent-Type: text/plain\r\n\r\n***\r\n--b--',
        ),
        ('{"tokens": ["eyJ", "eyK"], "n": 1}', '{"tokens": "***", "n": 1}'),
        ('{"session": {"id": "4f"}, "n": 1}', '{"session": "***", "n": 1}'),
        ("access_key=abc&a=1", "access_key=***&a=1"),
        ("<password>x</password><a>y</a>", "<password>***</password><a>y</a>"),
        ('<input name="csrf_token" value="x">', '<input name="csrf_token" value="***">'),
        ("user: me\npassword: geheim", "user: me\npassword: ***"),
        ("see http://me:geheim@host/x", "see http://***@host/x"),
    ],
)
def test_fields(text, said):
    assert Mask().text(text) == said


def test_what_was_secret_once_stays_so():
    mask = Mask()
    mask.header("Set-Cookie", "sid=0123456789; Path=/")
    mask.text('{"token": "abcdefgh"}')
    assert mask.text("/jobs/0123456789?of=abcdefgh") == "/jobs/***?of=***"


def test_a_form_value_is_known_as_it_was_meant():
    mask = Mask()
    mask.text("password=p%40ssw0rd")
    assert mask.text("you said p@ssw0rd") == "you said ***"


def test_a_name_with_umlauts_is_hidden_in_json():
    assert Mask(['pä"ss']).text(json.dumps({"x": 'pä"ss'}, ensure_ascii=False)) == '{"x": "***"}'


@given(SECRETS)
def test_a_secret_option_is_never_seen(secret):
    def call(mask: Mask, value: str) -> str:
        body = json.dumps({"note": f"<{value}>"}) + urlencode({"of": value})
        url = f"http://x/{quote(value)}?{urlencode({'q': value})}"
        return "\n".join(
            shown(mask, url=url, body=body.encode(), headers=(("X-Note", value),), answer=value.encode())
        )

    without = call(Mask(), "")
    assume(secret not in without)
    assert secret in call(Mask(), secret) or not secret.isprintable()
    assert secret not in call(Mask([secret]), secret)
