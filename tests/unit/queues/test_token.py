"""The token: one word of text that finds, trusts and is trusted; and that nobody else gets to see."""

from __future__ import annotations

import base64
import os
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import TokenError, UsageError
from loadgen.queues import token as tokens
from loadgen.queues.token import PREFIX, SECRET_BYTES, Token, split_address

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


def a_token(address: str = "127.0.0.1:8888", fill: int = 7) -> Token:
    return Token(address, bytes(range(32)), bytes([fill]) * SECRET_BYTES)


def spelled(*body: object) -> str:
    """A token of any content."""
    return PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(body)).decode().rstrip("=")


@given(
    address=st.text(max_size=40),
    fingerprint=st.binary(min_size=32, max_size=32),
    secret=st.binary(min_size=SECRET_BYTES, max_size=64),
)
def test_a_token_is_read_back_as_it_was_written(address: str, fingerprint: bytes, secret: bytes) -> None:
    """One word without blanks, also with blanks around it."""
    token = Token(address, fingerprint, secret)
    assert str(token).split() == [str(token)]
    assert Token.parse(f"  {token}\n") == token


@given(data=st.data())
def test_a_damaged_token_is_refused_without_being_shown(data: st.DataObject) -> None:
    """Cut or changed anywhere: TokenError or another token, and no message ever holds its text."""
    text = str(a_token())
    cut = data.draw(st.integers(0, len(text) - 1))
    broken = data.draw(st.sampled_from([text[:cut], text[:cut] + "é" + text[cut:], text[cut + 1 :]]))
    said = ""
    try:
        Token.parse(broken)
    except TokenError as error:
        said = "".join(traceback.format_exception(error))
    assert text[len(PREFIX) + 4 : len(PREFIX) + 20] not in said


@given(st.text(max_size=80))
def test_any_text_is_a_token_or_a_token_error(text: str) -> None:
    """Never another exception."""
    for candidate in (text, PREFIX + text):
        with pytest.raises(TokenError):
            Token.parse(candidate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should begin with lg1."),
        ("LG1.abcd", "should begin with lg1."),
        (PREFIX, "damaged"),
        (PREFIX + "A", "damaged"),
        (spelled("a:1", b"f" * 32), "damaged"),
        (spelled("a:1", "f" * 32, b"s" * 32), "damaged"),
        (spelled("a:1", b"f" * 32, b"s" * 31), "too short"),
        (spelled("a:1", b"f" * 31, b"s" * 32), "too short"),
        (spelled("a:1", b"f" * 33, b"s" * 32), "too short"),
    ],
)
def test_what_is_wrong_with_a_token(text: str, message: str) -> None:
    """In words."""
    with pytest.raises(TokenError, match=message):
        Token.parse(text)


def test_a_token_shows_no_secret_when_it_is_looked_at() -> None:
    """In logs and tracebacks it is its address."""
    token = a_token()
    assert repr(token) == f"{[token]}"[1:-1] == "Token(127.0.0.1:8888)"


def test_the_key_depends_on_secret_and_certificate_and_not_on_the_address() -> None:
    """A relay with a certificate of its own has another key; a worker may know another host name."""
    token = a_token()
    assert token.key == Token("elsewhere:1", token.fingerprint, token.secret).key
    assert token.key != a_token(fill=8).key
    assert token.key != Token(token.address, bytes(32), token.secret).key
    assert token.secret not in token.key


def test_secrets_are_long_and_never_the_same() -> None:
    """32 random bytes."""
    assert len(tokens.new_secret()) == SECRET_BYTES >= 32
    assert tokens.new_secret() != tokens.new_secret()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("master", "master", 8888),
        ("master:9000", "master", 9000),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        (":9000", "", 9000),
        ("", "", 8888),
        ("::1", "::1", 8888),
        ("[::1]", "::1", 8888),
        ("[::1]:9000", "::1", 9000),
        ("fe80::1%eth0", "fe80::1%eth0", 8888),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    """HOST, HOST:PORT, IPv6 with brackets when a port follows."""
    assert split_address(text, 8888) == (host, port)


@pytest.mark.parametrize("text", ["master:", "master:http", "master:-1", "master:65536", "[::1]:x"])
def test_bad_ports(text: str) -> None:
    """One line that names the text."""
    with pytest.raises(UsageError, match="expected HOST or HOST:PORT") as caught:
        split_address(text, 8888)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 70])
def test_hosts_that_no_resolver_would_look_up(host: str) -> None:
    """Python's resolver raises UnicodeError for these, far from here."""
    with pytest.raises(UsageError, match="expected HOST or HOST:PORT"):
        split_address(f"{host}:1", 8888)


@given(st.text(alphabet="ab0189.:[]- é", max_size=20))
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    """Never another exception."""
    try:
        host, port = split_address(text, 8888)
    except UsageError:
        return
    assert isinstance(host, str)
    assert 0 <= port <= 65535


@posix_only
def test_a_token_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The folder too; and an old file's wider mode is not kept."""
    path = tmp_path / "state" / "8888.token"
    tokens.write(path, a_token())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    tokens.write(path, a_token(fill=8))
    assert path.stat().st_mode & 0o777 == 0o600
    assert tokens.read(path) == a_token(fill=8)


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    path = tmp_path / "8888.token"
    tokens.write(path, a_token())
    path.chmod(mode)
    with pytest.raises(TokenError, match=f"chmod 600 {path}"):
        tokens.read(path)


def test_a_token_file_that_is_none(tmp_path: Path) -> None:
    """Missing, binary, of something else: TokenError with the path."""
    with pytest.raises(TokenError, match=r"nowhere.*cannot read it: No such file"):
        tokens.read(tmp_path / "nowhere")
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    with pytest.raises(TokenError, match=r"binary: not a token file"):
        tokens.read(path)
    path.write_text("hello")
    with pytest.raises(TokenError, match="not a loadgen token"):
        tokens.read(path)


def test_a_token_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(TokenError, match="cannot write it"):
        tokens.write(tmp_path / "state" / "8888.token", a_token())


def test_the_order_in_which_a_token_is_looked_for(tmp_path: Path) -> None:
    """A file that was named, LOADGEN_TOKEN, the state directory of this user."""
    named, kept = tmp_path / "named", tmp_path / "state" / "8888.token"
    environ = {"LOADGEN_STATE_DIR": str(tmp_path / "state")}
    with pytest.raises(FileNotFoundError) as caught:
        tokens.find(environ, 8888)
    assert caught.value.filename == str(kept)
    tokens.write(kept, a_token("kept:1"))
    tokens.write(named, a_token("named:1"))
    told = environ | {"LOADGEN_TOKEN": str(a_token("told:1"))}
    assert tokens.find(environ, 8888).address == "kept:1"
    assert tokens.find(told, 8888).address == "told:1"
    assert tokens.find(told, 8888, named).address == "named:1"
    assert tokens.find(environ | {"LOADGEN_TOKEN": ""}, 8888).address == "kept:1"
    with pytest.raises(FileNotFoundError):
        tokens.find(environ, 8889)


@pytest.mark.skipif(os.name == "nt", reason="XDG")
def test_where_state_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOADGEN_STATE_DIR, XDG_STATE_HOME, ~/.local/state; an empty variable counts as none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = tmp_path / ".local" / "state" / "loadgen"
    assert tokens.state_directory({}) == at_home
    assert tokens.state_directory({"XDG_STATE_HOME": "", "LOADGEN_STATE_DIR": ""}) == at_home
    assert tokens.state_directory({"XDG_STATE_HOME": "/x"}) == Path("/x/loadgen")
    assert tokens.state_directory({"XDG_STATE_HOME": "/x", "LOADGEN_STATE_DIR": "/y"}) == Path("/y")
