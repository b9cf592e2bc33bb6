"""A terminal that goes away takes nothing along but words."""

from __future__ import annotations

import io
import os

import pytest

from loadgen.cli.lasting import Lasting


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_words_to_a_terminal_that_is_gone_go_nowhere() -> None:
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 - of a descriptor
        lasting = Lasting(stream)
        assert lasting.isatty()
        lasting.write("seen\n")
        lasting.flush()
        assert os.read(ours, 100) == b"seen\r\n"
        os.close(ours)
        for _ in range(2):
            assert lasting.write("not seen\n") == 9
            lasting.flush()
        assert not lasting.isatty()


def test_any_other_failure_is_one() -> None:
    raw = io.BytesIO()
    lasting = Lasting(io.TextIOWrapper(raw, "ascii", write_through=True))
    lasting.write("plain\n")
    with pytest.raises(UnicodeEncodeError):
        lasting.write("ü")
    with pytest.raises(OSError, match="disk"):
        Lasting(_Full()).write("x")
    assert raw.getvalue() == b"plain\n"


class _Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "disk full")
