"""A project zip, unpacked in memory.  Pure.

`zipfile` reads the directory; the members are inflated by hand, which takes a tenth of the time of
`ZipFile.read`, and checks as little as Java's `ZipFile` does: no CRC.
"""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib

LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Signature, and the lengths of the name and of the extra field, of a member's local header."""
MAX_NAME = 255
"""Bytes in one component of a path, on the file systems that Azkaban unpacks onto."""
MAX_PATH = 4096
"""Bytes in a whole path."""
RAW_DEFLATE = -15


class UnzipError(Exception):
    """This is no zip that can be unpacked."""


def unzip(data: bytes) -> dict[str, bytes]:
    """Files by their path in the zip, of a repeated path the last.  Raises UnzipError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
        return {_path(member.filename): _inflate(data, member) for member in members if not member.is_dir()}
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, NotImplementedError) as error:
        raise UnzipError(str(error)) from error


def _path(name: str) -> str:
    """The path below the directory that a member is unpacked into; ValueError when it leads out."""
    path = posixpath.normpath(name.lstrip("/"))
    if path.split("/", 1)[0] == "..":
        raise ValueError(f"{name} leads out of the directory")
    if len(path) > MAX_PATH or any(len(part) > MAX_NAME for part in path.split("/")):
        raise ValueError(f"{name} is too long")
    return path


def _inflate(data: bytes, member: zipfile.ZipInfo) -> bytes:
    signature, name_length, extra_length = LOCAL_HEADER.unpack_from(data, member.header_offset)
    if signature != b"PK\x03\x04" or member.flag_bits & 1:
        raise ValueError(f"{member.filename} cannot be read")
    start = member.header_offset + LOCAL_HEADER.size + name_length + extra_length
    packed = data[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_STORED:
        return packed
    if member.compress_type == zipfile.ZIP_DEFLATED:
        return zlib.decompress(packed, RAW_DEFLATE)
    raise NotImplementedError(f"{member.filename} is compressed in a way that Java does not know")
