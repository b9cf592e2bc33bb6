"""Options: text in, typed values out; every mistake is one line; secrets stay secret."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Optional, Union

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import OptionError
from loadgen.options import MASK, option, pack, parse, secrets, shown, unpack, unsupported


class Colour(enum.Enum):
    RED = "red"
    DEEP_BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Speed(enum.Enum):
    SLOW = 0.5
    FAST = (1, 2)
    NAMED = "x"


class Swapped(enum.Enum):
    A = "b"
    B = "a"


@dataclass(frozen=True)
class Everything:
    count: int = 1
    ratio: float = 0.5
    loud: bool = False
    name: str = "n"
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    speed: Speed = Speed.SLOW
    swapped: Swapped = Swapped.A
    size: Literal["s", "m", 3] = "s"
    path: Path = Path("p")
    numbers: list[int] = field(default_factory=list)
    names: tuple[str, ...] = ()
    colours: tuple[Colour, ...] = ()
    paths: list[Path] = field(default_factory=list)
    maybe: int | None = None
    perhaps: Optional[Path] = None  # noqa: UP045 - the older spelling is one that people use
    some: Union[list[float], None] = None  # noqa: UP007 - the same


@dataclass(frozen=True)
class Login:
    user: str = option("azkaban", env="AZ_USER")
    password: str = option("azkaban", env="AZ_PASSWORD", secret=True, help="of the user")


def given_(kind: type, *settings: str, **environ: str) -> Any:
    return parse(kind, settings, environ)


def refused(kind: type, *settings: str, kept: dict[str, Any] | None = None, **environ: str) -> str:
    with pytest.raises(OptionError) as caught:
        parse(kind, settings, environ, kept)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("count=5", 5),
        ("count=-5", -5),
        ("count=10_000", 10_000),
        ("ratio=2", 2.0),
        ("ratio=1e-3", 0.001),
        ("loud=true", True),
        ("loud=Yes", True),
        ("loud=on", True),
        ("loud=1", True),
        ("loud=off", False),
        ("loud=0", False),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("name= spaced ", " spaced "),
        ("name=none", "none"),
        ("colour=red", Colour.RED),
        ("colour=DEEP_BLUE", Colour.DEEP_BLUE),
        ("colour=deep_blue", Colour.DEEP_BLUE),
        ("level=2", Level.HIGH),
        ("level=high", Level.HIGH),
        ("speed=0.5", Speed.SLOW),
        ("speed=fast", Speed.FAST),
        ("swapped=a", Swapped.B),
        ("swapped=A", Swapped.A),
        ("size=m", "m"),
        ("size=3", 3),
        ("path=/tmp/x", Path("/tmp/x")),
        ("numbers=1,2, 3", [1, 2, 3]),
        ("numbers=", []),
        ("names=a,b,", ("a", "b")),
        ("colours=red,blue", (Colour.RED, Colour.DEEP_BLUE)),
        ("paths=a,b/c", [Path("a"), Path("b/c")]),
        ("maybe=3", 3),
        ("maybe=none", None),
        ("maybe=", None),
        ("perhaps=x", Path("x")),
        ("some=1,2", [1.0, 2.0]),
        ("some=None", None),
    ],
)
def test_text_becomes_a_value_of_the_fields_type(setting: str, value: Any) -> None:
    """Every supported type; the others keep their defaults."""
    name = setting.partition("=")[0]
    assert given_(Everything, setting) == dataclasses.replace(Everything(), **{name: value})
    assert type(getattr(given_(Everything, setting), name)) is type(value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("count=x", "option count: 'x' is not an integer"),
        ("count=1.5", "option count: '1.5' is not an integer"),
        ("count=", "option count: '' is not an integer"),
        ("count=" + "9" * 5000, "is not an integer"),
        ("ratio=fast", "option ratio: 'fast' is not a number"),
        ("loud=maybe", "option loud: 'maybe' is not true or false"),
        ("colour=green", "option colour: 'green' is not one of red, blue"),
        ("level=3", "option level: '3' is not one of 1, 2"),
        ("size=l", "option size: 'l' is not one of s, m, 3"),
        ("numbers=1,x", "option numbers: '1,x' is not a comma-separated list, each an integer"),
        (
            "colours=red,pink",
            "option colours: 'red,pink' is not a comma-separated list, each one of red, blue",
        ),
        ("maybe=x", "option maybe: 'x' is not an integer or none"),
        ("some=x", "option some: 'x' is not a comma-separated list, each a number or none"),
        ("path=~nobody-of-that-name/x", "option path: '~nobody-of-that-name/x' is not a path"),
        ("name=caf\udce9", r"option name: 'caf\udce9' is not UTF-8"),
        ("path=caf\udce9", r"option path: 'caf\udce9' is not a path"),
        ("count", "--set count: expected NAME=VALUE"),
        ("coutn=5", "--set coutn: no such option; did you mean count?"),
        ("zzzzzz=5", "--set zzzzzz: no such option; there are count, ratio, loud"),
        ("=5", "no such option"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(setting: str, message: str) -> None:
    """It names the option, the text and what would fit."""
    assert message in refused(Everything, setting)


def test_the_environment_is_checked_like_the_command_line() -> None:
    """The name in the message is the option's."""

    @dataclass(frozen=True)
    class Options:
        flows: int = option(5, env="FLOWS")

    assert given_(Options, FLOWS="7").flows == 7
    assert refused(Options, FLOWS="many") == "option flows: 'many' is not an integer"


def test_dashes_and_blanks_in_names() -> None:
    """`--set per-project=3` is what people write."""

    @dataclass(frozen=True)
    class Options:
        per_project: int = 1

    assert given_(Options, "per-project=3").per_project == 3
    assert given_(Options, " per_project =4").per_project == 4


def test_repeated_settings() -> None:
    """Of one value the last counts; lists grow, also those that may be none."""
    assert given_(Everything, "count=1", "count=2").count == 2
    assert given_(Everything, "numbers=1", "numbers=2,3").numbers == [1, 2, 3]
    assert given_(Everything, "names=a", "names=b").names == ("a", "b")
    assert given_(Everything, "some=1", "some=2").some == [1.0, 2.0]


def test_a_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell does not do it behind `path=`."""
    monkeypatch.setenv("HOME", "/home/me")
    assert given_(Everything, "path=~/x").path == Path("/home/me/x")


def test_a_scenario_without_options_says_so() -> None:
    """Instead of suggesting nothing."""
    assert (
        refused(dataclasses.make_dataclass("None_", []), "x=1")
        == "--set x: no such option; this scenario has no options"
    )


def test_an_option_without_a_default_must_be_given() -> None:
    """The message is the setting to add."""

    @dataclass(frozen=True)
    class Options:
        flows: int
        others: list[int] = field(default_factory=list)

    assert refused(Options) == "option flows has no default: give it with --set flows=VALUE"
    assert given_(Options, "flows=3") == Options(3)


def test_fields_that_are_computed_are_no_options() -> None:
    """`init=False`: not settable, not sent, not shown: they follow from the others."""

    @dataclass(frozen=True)
    class Options:
        flows: int = 5
        twice: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            object.__setattr__(self, "twice", 2 * self.flows)

    options = given_(Options, "flows=4")
    assert options.twice == 8
    assert unpack(Options, pack(options)) == options
    assert parse(Options, (), {}, kept=shown(options)) == options
    assert "no such option" in refused(Options, "twice=3")


def test_post_init_has_the_last_word() -> None:
    """Its error is one line, whatever it raises; an OptionError is taken as it is."""

    @dataclass(frozen=True)
    class Options:
        flows: int = 5

        def __post_init__(self) -> None:
            if self.flows < 0:
                raise ValueError("flows must not\nbe negative")
            if self.flows > 100:
                raise OptionError("option flows: at most 100")

    assert refused(Options, "flows=-1") == "options refused: flows must not be negative"
    assert refused(Options, "flows=101") == "option flows: at most 100"


# Secrets


def test_a_secret_comes_from_the_environment_only() -> None:
    """Never from a command line, where others can read it."""
    assert given_(Login, AZ_PASSWORD="hunter2").password == "hunter2"
    message = refused(Login, "password=hunter2")
    assert message == "--set password: a secret, so it comes from AZ_PASSWORD"


def test_the_command_line_wins_over_the_environment() -> None:
    """And the environment over the default."""
    assert given_(Login, AZ_USER="env").user == "env"
    assert given_(Login, "user=me", AZ_USER="env").user == "me"


def test_a_secret_needs_a_variable_to_come_from() -> None:
    """Otherwise it could not be given at all."""
    with pytest.raises(OptionError, match="needs env="):
        option("x", secret=True)


def test_a_secret_is_masked_wherever_options_are_shown() -> None:
    """Shown as a mask, sent to workers as it is."""
    options = given_(Login, AZ_PASSWORD="hunter2")
    assert shown(options) == {"user": "azkaban", "password": MASK}
    assert unpack(Login, pack(options)) == options


def test_no_error_message_holds_a_secret() -> None:
    """Neither a wrong type, nor what __post_init__ says of it."""

    @dataclass(frozen=True)
    class Options:
        pin: int = option(0, env="PIN", secret=True)
        password: str = option("", env="PASSWORD", secret=True)

        def __post_init__(self) -> None:
            if self.password:
                int(self.password)

    assert refused(Options, PIN="hunter2") == "option pin: *** is not an integer"
    message = refused(Options, PASSWORD="hunter2")
    assert "hunter2" not in message
    assert MASK in message


# What an earlier run kept


def test_a_resumed_run_keeps_its_options() -> None:
    """They stand where nothing was set; the environment does not change a run half way."""
    kept = shown(given_(Login, "user=before", AZ_PASSWORD="old"))
    assert parse(Login, (), {"AZ_USER": "env"}, kept).user == "before"
    assert parse(Login, ("user=now",), {}, kept).user == "now"


def test_a_kept_mask_is_not_taken_for_the_secret() -> None:
    """It comes from the environment again, or from the default."""
    kept = shown(given_(Login, AZ_PASSWORD="old"))
    assert parse(Login, (), {"AZ_PASSWORD": "new"}, kept).password == "new"
    assert parse(Login, (), {}, kept).password == "azkaban"


def test_kept_options_that_are_gone_are_forgotten() -> None:
    """The scenario may have lost a field."""
    assert parse(Login, (), {}, {"gone": 1, "user": "me"}) == Login("me")


# Round trips

plain_text = st.text(st.characters(codec="utf-8"), max_size=20)
everything = st.builds(
    Everything,
    count=st.integers() | st.just(2**80),
    ratio=st.floats(allow_nan=False),
    loud=st.booleans(),
    name=plain_text,
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    speed=st.sampled_from(Speed),
    swapped=st.sampled_from(Swapped),
    size=st.sampled_from(["s", "m", 3]),
    path=plain_text.map(Path),
    numbers=st.lists(st.integers()),
    names=st.lists(plain_text).map(tuple),
    colours=st.lists(st.sampled_from(Colour)).map(tuple),
    paths=st.lists(plain_text.map(Path)),
    maybe=st.none() | st.integers(),
    perhaps=st.none() | plain_text.map(Path),
    some=st.none() | st.lists(st.floats(allow_nan=False)),
)


@given(everything)
def test_what_is_packed_is_unpacked(options: Everything) -> None:
    """Any value of any supported type arrives at the worker as it was, in type too."""
    again = unpack(Everything, pack(options))
    assert again == options
    for part in dataclasses.fields(Everything):
        assert type(getattr(again, part.name)) is type(getattr(options, part.name)), part.name


@given(everything)
def test_what_is_shown_can_be_kept(options: Everything) -> None:
    """Through the ledger's JSON and back: a resumed run has the options of the first."""
    kept = msgspec.json.decode(msgspec.json.encode(shown(options)))
    assert parse(Everything, (), {}, kept) == options
    json.dumps(shown(options))


def test_numbers_beyond_the_wires_still_travel() -> None:
    """MessagePack ends at 64 bits, JSON knows no infinity."""
    options = given_(Everything, "count=" + "9" * 30, "ratio=inf")
    assert (options.count, options.ratio) == (10**30 - 1, math.inf)
    assert unpack(Everything, pack(options)) == options


def test_a_default_of_none_where_the_type_does_not_say_so() -> None:
    """`user: str = None` is what people write: it is kept, sent and restored as None."""

    @dataclass(frozen=True)
    class Options:
        user: str = None  # type: ignore[assignment]

    options = given_(Options)
    assert unpack(Options, pack(options)) == options
    assert parse(Options, (), {}, shown(options)) == options


# Types


@pytest.mark.parametrize(
    "kind",
    [
        int,
        float,
        bool,
        str,
        Path,
        Colour,
        Literal["a"],
        list[int],
        tuple[str, ...],
        int | None,
        Optional[str],  # noqa: UP045 - the older spelling
        list[Colour],
        tuple[Path, ...] | None,
    ],
)
def test_supported_types(kind: Any) -> None:
    """No reason against them."""
    assert unsupported(kind) is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (dict, "dict is none of int, float"),
        (dict[str, int], "dict[str, int] is none of int, float"),
        (bytes, "bytes is none of"),
        (object, "object is none of"),
        (list, "list is none of"),
        (set[int], "set[int] is none of"),
        (Any, "Any is none of"),
        (None, "None is none of"),
        (int | str, "int | str has more than one type"),
        (int | str | None, "has more than one type"),
        (tuple[int, str], "tuple[int, str] should be tuple[TYPE, ...]"),
        (tuple[int], "tuple[int] should be tuple[TYPE, ...]"),
        (list[bytes], "bytes is none of"),
        (bytes | None, "bytes is none of"),
    ],
)
def test_unsupported_types(kind: Any, reason: str) -> None:
    """The reason names the type, and what would do."""
    assert reason in (unsupported(kind) or "")


def test_secrets_are_named_for_whoever_masks_them():
    @dataclasses.dataclass(frozen=True)
    class Options:
        user: str = "tester"
        password: str = option("geheim", env="P", secret=True)
        token: str = option("", env="T", secret=True)

    assert secrets(Options()) == ["geheim"]
