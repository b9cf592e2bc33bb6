"""Unpacking a project zip."""

import io
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sandbox.azkaban.archive import UnzipError, unzip


def a_zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


names = st.text("abc.-_ é", min_size=1, max_size=12).filter(lambda name: set(name) != {"."})


@given(
    st.dictionaries(names, st.binary(max_size=300)),
    st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]),
)
def test_every_file_comes_back(files, compression):
    assert unzip(a_zip(files, compression)) == files


@given(st.binary(max_size=200))
def test_what_is_no_zip_is_an_unzip_error(data):
    with pytest.raises(UnzipError):
        unzip(data)


@given(st.data())
def test_a_damaged_zip_is_read_or_is_an_unzip_error(data):
    whole = bytearray(a_zip({"a.job": b"type=noop\n" * 9, "b/c.job": b"type=command\ncommand=ls\n"}))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnzipError):
        unzip(bytes(whole))


@pytest.mark.parametrize("name", ["../evil.job", "a/../../evil.job", "/../evil.job", "..", "x" * 256])
def test_a_path_that_leads_out_or_is_too_long_is_an_unzip_error(name):
    with pytest.raises(UnzipError):
        unzip(a_zip({"good.job": b"type=noop", name: b"type=noop"}))


def test_paths_are_below_the_directory_and_the_last_of_a_name_wins():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("sub/", b"")
        archive.writestr("./sub/x/../a.job", b"old")
        archive.writestr("/sub/a.job", b"new")
    assert unzip(buffer.getvalue()) == {"sub/a.job": b"new"}


def test_an_encrypted_member_is_an_unzip_error():
    data = bytearray(a_zip({"a.job": b"type=noop"}))
    (flags_at,) = (data.index(b"PK\x01\x02") + 8,)
    data[flags_at : flags_at + 2] = struct.pack("<H", 1)
    with pytest.raises(UnzipError):
        unzip(bytes(data))


def test_a_compression_that_java_does_not_know_is_an_unzip_error():
    with pytest.raises(UnzipError):
        unzip(a_zip({"a.job": b"type=noop"}, zipfile.ZIP_LZMA))
