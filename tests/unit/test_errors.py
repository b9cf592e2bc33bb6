"""Every way to fail: the tree that is drawn is the tree that is, and each error can cross the queue."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from loadgen import errors
from loadgen.errors import CROSSING, ExitCode, LoadgenError

EVERY = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LoadgenError)),
    key=lambda kind: kind.__name__,
)


def drawn() -> list[tuple[str, str | None, int | None]]:
    """(name, parent, exit code where one is drawn) of each line of the tree in the module's docstring."""
    found: list[tuple[str, str | None, int | None]] = []
    parents: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\s+(\d+))?\s{2,}", line)
        if match:
            depth = len(match[1]) // 4
            parents[depth] = match[2]
            found.append((match[2], parents.get(depth - 1), int(match[3]) if match[3] else None))
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    """Every error stands in the docstring, below its parent."""
    assert sorted((name, parent) for name, parent, _ in drawn()) == [
        (kind.__name__, None if kind is LoadgenError else kind.__mro__[1].__name__) for kind in EVERY
    ]


def test_the_exit_codes_are_drawn_as_they_are() -> None:
    """Where the drawing names one."""
    for name, _, code in drawn():
        if code is not None:
            assert getattr(errors, name).exit_code == code, name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OK", 0),
        ("INTERNAL", 1),
        ("USAGE", 2),
        ("ITEMS", 3),
        ("INCOMPLETE", 4),
        ("VERIFICATION", 5),
        ("THRESHOLD", 99),
        ("SIGINT", 130),
        ("SIGTERM", 143),
    ],
)
def test_exit_codes_are_a_promise(name: str, code: int) -> None:
    """CI scripts compare with these numbers."""
    assert ExitCode[name] == code


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_is_its_one_line(kind: type[LoadgenError]) -> None:
    """Its text is what it was made with; it has a docstring, an exit code that says it failed, and copies."""
    error = kind("flows.py:3: no step")
    assert str(error) == "flows.py:3: no step"
    assert str(kind("two", 2)) == "two 2"
    assert kind.__doc__
    assert kind.exit_code != ExitCode.OK
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), again.args) == (kind, error.args)


@pytest.mark.parametrize("name", sorted(CROSSING))
def test_what_may_cross_can_be_rebuilt_from_its_text(name: str) -> None:
    """The receiver has a name and a text, no more."""
    assert CROSSING[name].__name__ == name
    assert str(CROSSING[name]("gone")) == "gone"


def test_what_may_cross_is_what_a_worker_can_act_on() -> None:
    """Nothing else of the master's inner life gets out."""
    assert set(CROSSING) == {"TokenError", "Refused", "LedgerFailed", "MasterGone", "RemoteError"}
