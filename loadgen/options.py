"""A scenario's options: a frozen dataclass whose fields are `--set NAME=VALUE`, typed and checked.

Values come, in this order, from `--set`, from the environment variable that the field names, from the
field's default.  A secret comes from the environment only, so that it never stands in a command line,
the ledger or a report.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from loadgen.errors import OptionError

MASK = "***"
"""Stands for a secret wherever options are shown or kept."""

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_SCALARS: tuple[type, ...] = (int, float, bool, str, Path)

T = TypeVar("T")


def option(default: T, *, env: str | None = None, secret: bool = False, help: str = "") -> T:  # noqa: A002 - dataclass-like
    """Give an option more than a default: an environment variable, secrecy, a line of help.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     password: str = option("azkaban", env="AZKABAN_PASSWORD", secret=True)
    """
    if secret and env is None:
        raise OptionError("a secret option needs env=, the environment variable that it comes from")
    metadata = {"env": env, "secret": secret, "help": help}
    return dataclasses.field(default=default, metadata=metadata)


def unsupported(kind: Any) -> str | None:
    """Why a field's type cannot be an option; None when it can."""
    if kind in _SCALARS or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        return None
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return None
    if origin in (typing.Union, types.UnionType):
        inner = [arg for arg in args if arg is not type(None)]
        return unsupported(inner[0]) if len(inner) == 1 else f"{_spell(kind)} has more than one type"
    if origin in (list, tuple) and args:
        if origin is tuple and args[1:] != (Ellipsis,):
            return f"{_spell(kind)} should be tuple[TYPE, ...]"
        return unsupported(args[0])
    return f"{_spell(kind)} is none of int, float, bool, str, Path, an Enum, Literal, list[...], ... | None"


def parse(
    kind: type[T], settings: Sequence[str], environ: Mapping[str, str], kept: Mapping[str, Any] | None = None
) -> T:
    """Options of dataclass `kind` from `NAME=VALUE` settings.

    `kept` are the options of an earlier run, as `shown` gave them: they stand where nothing was set.
    Raises OptionError with one line: an unknown name (with the nearest one), a value of the wrong type.
    """
    fields = _fields(kind)
    hints = typing.get_type_hints(kind)
    texts = _settings(settings, fields, hints)
    plain = {n: v for n, v in (kept or {}).items() if n in fields and not fields[n].metadata.get("secret")}
    values = {name: _restored(value, hints[name]) for name, value in plain.items()}
    for name, field in fields.items():
        env = field.metadata.get("env")
        if name not in texts and name not in values and env and env in environ:
            texts[name] = environ[env]
    for name, text in texts.items():
        try:
            text.encode()  # neither the ledger nor a worker could be told bytes that are no UTF-8
            values[name] = _value(text, hints[name])
        except (ValueError, TypeError, RuntimeError):  # RuntimeError: a `~user` that has no home
            shown_text = MASK if fields[name].metadata.get("secret") else repr(text)
            raise OptionError(f"option {name}: {shown_text} is not {_expected(hints[name])}") from None
    return _make(kind, fields, values)


def _fields(options: Any) -> dict[str, dataclasses.Field[Any]]:
    """The fields that can be set: all but those that `__post_init__` computes."""
    return {field.name: field for field in dataclasses.fields(options) if field.init}


def _settings(
    settings: Sequence[str], fields: Mapping[str, dataclasses.Field[Any]], hints: Mapping[str, Any]
) -> dict[str, str]:
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise OptionError(f"--set {setting}: expected NAME=VALUE")
        if name not in fields:
            raise OptionError(f"--set {name}: no such option; {_nearest(name, fields)}")
        if fields[name].metadata.get("secret"):
            raise OptionError(f"--set {name}: a secret, so it comes from {fields[name].metadata['env']}")
        repeated = name in texts and typing.get_origin(_present(hints[name])) in (list, tuple)
        texts[name] = f"{texts[name]},{text}" if repeated else text
    return texts


def _make(kind: type[T], fields: Mapping[str, dataclasses.Field[Any]], values: Mapping[str, Any]) -> T:
    absent = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if absent:
        raise OptionError(f"option {absent[0]} has no default: give it with --set {absent[0]}=VALUE")
    try:
        return kind(**values)
    except OptionError:
        raise
    except Exception as error:
        secrets = [values[name] for name in values if fields[name].metadata.get("secret")]
        reason = _masked(str(error), secrets)
        cause = error if reason == str(error) else None
        raise OptionError(f"options refused: {' '.join(reason.split())}") from cause


def _masked(text: str, secrets: Sequence[Any]) -> str:
    for secret in filter(None, map(str, secrets)):
        text = text.replace(repr(secret), MASK).replace(secret, MASK)
    return text


def _present(kind: Any) -> Any:
    """The type without its `| None`."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next(arg for arg in typing.get_args(kind) if arg is not type(None))
    return kind


def _value(text: str, kind: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if text.lower() in ("", "none"):
            return None
        return _value(text, _present(kind))
    if origin is typing.Literal:
        return next(choice for choice in _checked(args, text) if str(choice) == text)
    if origin in (list, tuple):
        return origin(_value(part.strip(), args[0]) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if issubclass(kind, enum.Enum):
        return _member(kind, text)
    if kind is int:
        return int(text.replace("_", ""))
    return Path(text).expanduser() if kind is Path else kind(text)


def _checked(choices: Sequence[Any], text: str) -> Sequence[Any]:
    if text not in map(str, choices):
        raise ValueError(text)
    return choices


def _member(kind: type[enum.Enum], text: str) -> enum.Enum:
    values = {str(member.value): member for member in kind}
    names = {member.name: member for member in kind}
    lower = {name.lower(): member for name, member in names.items()}
    try:
        return (lower | names | values)[text]  # a value goes before a name
    except KeyError:
        raise ValueError(text) from None


def _expected(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return f"{_expected(_present(kind))} or none"
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (list, tuple):
        return f"a comma-separated list, each {_expected(args[0])}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    words = {int: "an integer", float: "a number", bool: "true or false", Path: "a path", str: "UTF-8"}
    return words.get(kind, _spell(kind))


def _spell(kind: Any) -> str:
    return (
        kind.__name__
        if isinstance(kind, type) and not typing.get_args(kind)
        else str(kind).replace("typing.", "")
    )


def _nearest(name: str, fields: Mapping[str, Any]) -> str:
    if not fields:
        return "this scenario has no options"
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"


def shown(options: Any) -> dict[str, Any]:
    """Options as plain data for people, ledger and reports: secrets masked."""
    return {
        name: MASK if field.metadata.get("secret") else _plain(getattr(options, name))
        for name, field in _fields(options).items()
    }


def secrets(options: Any) -> list[str]:
    """The values of the secret ones, as text: to be masked wherever they turn up."""
    found: list[str] = []
    for name, field in _fields(options).items():
        if field.metadata.get("secret"):
            value = getattr(options, name)
            found += map(str, value if isinstance(value, list | tuple) else [value])
    return [text for text in found if text not in ("", "None")]


def pack(options: Any) -> bytes:
    """Options as MessagePack, secrets included: for the worker, never for the disk."""
    return msgspec.msgpack.encode({name: _plain(getattr(options, name)) for name in _fields(options)})


def unpack(kind: type[T], data: bytes) -> T:
    """The inverse of `pack`."""
    hints = typing.get_type_hints(kind)
    return kind(**{n: _restored(v, hints[n]) for n, v in msgspec.msgpack.decode(data).items()})


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, int | float) and not -(2**63) <= value < 2**64:
        return str(value)  # beyond the integers of MessagePack; JSON knows neither inf nor nan
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _restored(value: Any, kind: Any) -> Any:
    """The inverse of `_plain`, knowing the field's type."""
    kind = _present(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin in (list, tuple):
        return origin(_restored(part, args[0]) for part in value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        same = [member for member in kind if _plain(member) == value]
        return same[0] if same else kind(value)
    return kind(value) if isinstance(value, str) and kind in (int, float, Path) else value
