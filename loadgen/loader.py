"""How a scenario file is found, run, checked, and its mistakes explained with file and line.

A scenario travels to workers as a *bundle*: its file, and the files beside it that it imports or names.
The digest of the bundle tells master and worker that they run the same code.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from loadgen import options as _options
from loadgen.errors import FeedError, LoadgenError, ScenarioError, one_line, sayable
from loadgen.feed import Feed
from loadgen.plan import Plan, StepPlan
from loadgen.scenario import Scenario, Step, where

R = TypeVar("R")

LARGEST_BUNDLE = 3 * 1024 * 1024
"""Bytes; a bundle travels in one frame."""

LARGEST_NAMED = 512 * 1024
"""Bytes; a larger file that the scenario names is data for the master (rows), not part of the code."""


_MODULE = "loadgen_scenario_"
_IMPORTED = "__loadgen_imported__"
"""What a scenario's module is called, and where it notes the modules that came with it."""

LONGEST_SHOWN = 60
"""Characters of a value in a message."""


class Bundle(msgspec.Struct, frozen=True):
    """A scenario as it travels: the code, not the options."""

    entry: str
    """The scenario file's name."""
    files: dict[str, bytes]
    """Content by path, relative to the scenario's folder, with forward slashes."""

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, as hex."""
        digest = hashlib.sha256(self.entry.encode())
        for name in sorted(self.files):
            digest.update(b"\0" + name.encode() + b"\0" + hashlib.sha256(self.files[name]).digest())
        return digest.hexdigest()

    def unpack(self, folder: Path) -> Path:
        """Write the files below `folder`; returns the scenario file's path."""
        for name in (self.entry, *self.files):
            relative = PureWindowsPath(name)  # it knows slashes of both kinds, and drives
            if relative.anchor or ".." in relative.parts or not relative.parts:
                raise ScenarioError(f"{name!r}: a bundle's files stay in its folder")
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.entry


@dataclass(frozen=True)
class Loaded:
    """A scenario file, run and found good."""

    path: Path
    """The file."""
    name: str
    """The file's stem."""
    title: str
    """The first line of its docstring."""
    scenario: Scenario
    """What it declares."""
    bundle: Bundle
    """What travels to workers."""

    def step(self, name: str) -> Step[..., Any]:
        """The step of that name."""
        return next(step for step in self.scenario.steps if step.name == name)


def load(path: Path) -> Loaded:
    """Run a scenario file and check what it declares.

    Raises ScenarioError: no such file, not Python, an import that fails, no scenario or two, no step,
    wrong parameters, an option of an unsupported type, ...
    """
    if not path.is_file():
        raise ScenarioError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    if sayable(str(path.resolve())) != str(path.resolve()):
        raise ScenarioError(f"{sayable(str(path))}: its path is not UTF-8, so no ledger could name it")
    _forget()
    before = set(sys.modules)
    module = _run(path.resolve())
    scenario = _only_scenario(module, path)
    _check_options(scenario)
    _check_steps(scenario)
    title = (inspect.getdoc(module) or "").partition("\n")[0]
    imported = set(sys.modules) - before
    vars(module)[_IMPORTED] = imported
    return Loaded(path, path.stem, title, scenario, _bundle(path.resolve(), imported))


def _forget() -> None:
    """Have modules imported anew that an earlier load brought in: they may be others now."""
    for module in [module for name, module in sys.modules.items() if name.startswith(_MODULE)]:
        folder = Path(str(module.__file__)).parent
        for name in getattr(module, _IMPORTED, ()):
            file = getattr(sys.modules.get(name), "__file__", None)
            if file and _is_own(Path(file), folder):
                del sys.modules[name]


def _run(path: Path) -> ModuleType:
    folder = str(path.parent)
    if folder not in sys.path:  # so that the scenario can import what lies beside it
        sys.path.insert(0, folder)
    name = f"{_MODULE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{path}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        spec.loader.exec_module(module)
    except LoadgenError as error:
        placed = str(error).startswith(f"{path}:")
        raise ScenarioError(str(error) if placed else f"{_line(error, path)}: {error}") from error
    except SyntaxError as error:
        if error.filename and _is_own(Path(error.filename), path.parent):
            raise ScenarioError(f"{error.filename}:{error.lineno}: {error.msg}") from error
        raise ScenarioError(f"{_line(error, path)}: {_said(error)}") from error
    except (Exception, SystemExit) as error:
        raise ScenarioError(f"{_line(error, path)}: {_said(error)}") from error
    return module


def _said(error: BaseException) -> str:
    """What kind of error it is and what it says, on one line."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_own(file: Path, folder: Path) -> bool:
    """Whether a file is the scenario's: below its folder, and not of Python, loadgen or a package."""
    return (
        folder in file.parents
        and "site-packages" not in file.parts
        and Path(sysconfig.get_path("stdlib")) not in file.parents
        and Path(__file__).parent not in file.parents
    )


def _line(error: BaseException, path: Path) -> str:
    """`file:line` of the last frame of the traceback that is the scenario's own."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename), path.parent)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else f"{path}:1"


def _only_scenario(module: ModuleType, path: Path) -> Scenario:
    found = {id(value): value for value in vars(module).values() if isinstance(value, Scenario)}
    if not found:
        raise ScenarioError(f"{path}:1: no scenario in it: expected `scenario = Scenario(...)`")
    if len(found) > 1:
        places = [scenario.location for scenario in found.values()]
        raise ScenarioError(f"{places[1]}: a second scenario; the first is at {places[0]}")
    return next(iter(found.values()))


def _check_options(scenario: Scenario) -> None:
    kind = scenario.options
    if not dataclasses.is_dataclass(kind):
        raise ScenarioError(f"{scenario.location}: options= must be a dataclass, not {_short(kind)}")
    if not isinstance(kind, type):
        raise ScenarioError(
            f"{scenario.location}: options= must be a dataclass, not {_short(kind)}: give the class itself"
        )
    try:
        hints = typing.get_type_hints(kind)
    except Exception as error:
        raise ScenarioError(f"{_class_line(kind, None, scenario.location)}: option types: {error}") from error
    for field in dataclasses.fields(kind):
        reason = _options.unsupported(hints[field.name]) if field.init else None
        if reason:
            place = _class_line(kind, field.name, scenario.location)
            raise ScenarioError(f"{place}: option {field.name}: {reason}")


def _class_line(kind: type, field: str | None, otherwise: str) -> str:
    """`file:line` of a field, or of the class when none of that name stands in it or its bases."""
    place = ""
    for base in kind.__mro__:
        file, tree = _source(base)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                place = place or f"{file}:{node.lineno}"
                for part in node.body:
                    if (
                        isinstance(part, ast.AnnAssign)
                        and isinstance(part.target, ast.Name)
                        and part.target.id == field
                    ):
                        return f"{file}:{part.lineno}"
    return place or otherwise


def _source(kind: type) -> tuple[str, ast.AST]:
    """The file of a class, parsed; nothing for one that no file tells of."""
    try:
        file = inspect.getsourcefile(kind) or ""
        return file, ast.parse(Path(file).read_bytes())
    except (TypeError, OSError):  # built in, or made by exec
        return "", ast.Module([], [])


def _check_steps(scenario: Scenario) -> None:
    if not scenario.steps:
        raise ScenarioError(
            f"{scenario.location}: the scenario has no step: expected a function under @scenario.step"
        )
    for step in scenario.steps:
        place = where(step.function)
        if step.delivery not in ("at_most_once", "at_least_once", "verify"):
            raise ScenarioError(
                f"{place}: delivery {step.delivery!r} is none of at_most_once, at_least_once, verify"
            )
        if step.delivery == "verify" and step.exists_function is None:
            raise ScenarioError(f'{place}: delivery="verify" needs a function under @{step.name}.exists')


def _bundle(path: Path, imported: set[str]) -> Bundle:
    folder = path.parent
    beside = {path} | _imported_files(folder, imported)
    for file in tuple(beside):
        if file.suffix == ".py":
            beside |= _named_files(folder, file)
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(beside)}
    size = sum(map(len, files.values()))
    if size > LARGEST_BUNDLE:
        raise ScenarioError(
            f"{path}: with the files it names it is {size:,} bytes; at most {LARGEST_BUNDLE:,} can travel"
        )
    return Bundle(path.name, files)


def _imported_files(folder: Path, imported: set[str]) -> set[Path]:
    """Modules below the folder that the scenario brought in."""
    files = (getattr(sys.modules.get(name), "__file__", None) for name in imported)
    return {path for path in (Path(file) for file in files if file) if _is_own(path, folder)}


def _named_files(folder: Path, source: Path) -> set[Path]:
    """Files below the folder that the source names in a string; large ones (rows) do not travel."""
    found = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 0 < len(node.value) < 200:  # noqa: PLR2004 - a file's name
            try:
                path = (folder / node.value).resolve()
                if folder in path.parents and path.is_file() and path.stat().st_size <= LARGEST_NAMED:
                    found.add(path)
            except (OSError, ValueError):
                continue
    return found


@dataclass(frozen=True)
class Work:
    """A plan with what only the master knows: the rows and the keys of each step."""

    plan: Plan
    """The steps."""
    rows: tuple[Sequence[Any] | None, ...]
    """By step: its rows; None when items are counted."""
    keys: tuple[Sequence[Any] | None, ...]
    """By step: the key of each item; None when it has none, or no fixed number of items."""
    key_of: tuple[Callable[[int], Any] | None, ...] = ()
    """By step: the key of an item, also of one beyond the rows, which are gone through again and again."""

    def planned(self, plan: Plan) -> Work:
        """The same steps with other numbers of items.  Raises ScenarioError for no rows."""
        keys = list(self.keys)
        for before, step in zip(self.plan.steps, plan.steps, strict=True):
            rows, key_of = self.rows[step.index], self.key_of[step.index]
            if step.items != before.items and rows is not None and not rows:
                raise ScenarioError(f"step {step.name} has no rows to be gone through")
            if step.items != before.items and key_of is not None:
                keys[step.index] = None if step.endless else [key_of(item) for item in range(step.items)]
        return Work(plan, self.rows, tuple(keys), self.key_of)


def make_work(loaded: Loaded, options: Any, *, steps: Sequence[str] = (), chunk: int | None = None) -> Work:
    """Turn a scenario and its options into a plan.

    `steps`: names of those to run; empty: all that have no `when` against it.
    Raises ScenarioError and FeedError.
    """
    names = [step.name for step in loaded.scenario.steps]
    for name in steps:
        if name not in names:
            raise ScenarioError(f"--step {name}: no such step in {loaded.path}; there are {', '.join(names)}")
    chosen = [step for step in loaded.scenario.steps if _is_chosen(step, steps, options)]
    if not chosen:
        raise ScenarioError(f"{loaded.path}: no step is left; name one with --step: {', '.join(names)}")
    plans, rows, keys, key_of = [], [], [], []
    for index, step in enumerate(chosen):
        count, data = _items(step, options, loaded.path)
        budget = step.retry.budget if step.retry is not None else 0.0
        plans.append(StepPlan(index, step.name, count, step.delivery, budget, chunk))
        rows.append(data)
        keys.append(_keys(step, count, data, options))
        key_of.append(_key_of(step, data, options))
    return Work(Plan(tuple(plans)), tuple(rows), tuple(keys), tuple(key_of))


def _is_chosen(step: Step[..., Any], named: Sequence[str], options: Any) -> bool:
    if named or step.when is None:
        return not named or step.name in named
    return bool(_ask(step, "when", step.when, options))


def _items(step: Step[..., Any], options: Any, path: Path) -> tuple[int, Sequence[Any] | None]:
    items: Any = _ask(step, "items", step.items, options) if callable(step.items) else step.items
    if isinstance(items, Feed):
        items = items.rows(path.resolve().parent)
    if isinstance(items, bool | str | bytes) or not isinstance(items, int | Sequence):
        raise ScenarioError(
            f"{where(step.function)}: items of {step.name} must be a count or rows, not {_short(items)}"
        )
    if isinstance(items, int):
        if items < 0:
            raise ScenarioError(
                f"{where(step.function)}: items of {step.name} is {items}; 0 or more is needed"
            )
        return items, None
    if isinstance(items, range):
        items = list(items)
    try:
        msgspec.msgpack.encode(items)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ScenarioError(
            f"{where(step.function)}: rows of {step.name} must be plain data: {error}"
        ) from error
    return len(items), items


def _keys(step: Step[..., Any], count: int, rows: Sequence[Any] | None, options: Any) -> Sequence[Any] | None:
    key = step.key
    if key is None:
        return None
    try:
        keys = [key(rows[index] if rows else index, options) for index in range(count)]
        set(keys)  # one that cannot be hashed is found now, not when the step begins
    except LoadgenError:
        raise
    except Exception as error:
        raise ScenarioError(f"{where(step.function)}: key of {step.name}: {_said(error)}") from error
    return keys


def _key_of(step: Step[..., Any], rows: Sequence[Any] | None, options: Any) -> Callable[[int], Any] | None:
    key = step.key
    if key is None:
        return None
    return lambda item: key(rows[item % len(rows)] if rows else item, options)


def _ask(step: Step[..., Any], what: str, function: Callable[[Any], R], options: Any) -> R:
    try:
        return function(options)
    except FeedError:
        raise
    except Exception as error:
        raise ScenarioError(f"{where(step.function)}: {what} of {step.name}: {_said(error)}") from error


def _short(value: object) -> str:
    """A value in a message: one line, not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def only_copy(loaded: Loaded, digest: str) -> Mapping[str, bytes]:
    """The files of a worker's own copy, when they are what the master runs.

    Raises ScenarioError with both digests when they differ.
    """
    if loaded.bundle.digest != digest:
        raise ScenarioError(
            f"{loaded.path}: differs from the master's scenario "
            f"(digest {loaded.bundle.digest[:12]}, the master has {digest[:12]})"
        )
    return loaded.bundle.files
