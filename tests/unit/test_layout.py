"""The house is kept in order: every module tells its story, stays short, and does nothing when imported."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import loadgen

HOUSE = Path(loadgen.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
MODULES = [
    ".".join(file.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in FILES
    if file.name != "__main__.py"
]
LONGEST_FILE = 420
LONGER = {
    "queues/leases.py": 600,
    "queues/memory.py": 460,
    "record.py": 450,
    "scenario.py": 425,
}
"""The lease machine is one table, to be read as one."""

TREES = {file.relative_to(HOUSE).as_posix(): ast.parse(file.read_bytes()) for file in FILES}


def test_there_is_a_house() -> None:
    """The other tests would pass on an empty one."""
    assert {"loadgen", "loadgen.plan", "loadgen.queues.wire", "loadgen.ledger.store"} <= set(MODULES)
    assert (HOUSE / "py.typed").is_file()


def test_a_module_tells_its_story() -> None:
    """In a docstring."""
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_a_file_is_not_long() -> None:
    """What no longer fits is two things."""
    lines = {name: len((HOUSE / name).read_text(encoding="utf-8").splitlines()) for name in TREES}
    assert {name: count for name, count in lines.items() if count > LONGER.get(name, LONGEST_FILE)} == {}


def test_a_module_only_declares() -> None:
    """Imports, constants, types, functions, classes; no loop, no call for its effect, no open file."""
    others = {
        f"{name}:{node.lineno}": ast.unparse(node)[:60]
        for name, tree in TREES.items()
        for node in tree.body
        if not _declares(node, main=name.endswith("__main__.py"))
    }
    assert others == {}


def _declares(node: ast.stmt, *, main: bool) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Expr(value=ast.Constant(value=str())):
            return True  # the story, or what explains the constant above it
        case ast.Assign() | ast.AnnAssign():
            called = {ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
            return not called & {"open", "print", "input", "os.getenv", "time.time", "threading.Lock"}
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True  # nothing of it runs
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return main
        case ast.If() | ast.Try():
            return False  # what a module is must not depend on where it is
        case _:
            return main


def test_a_module_has_no_state() -> None:
    """No function reassigns a global of its module."""
    reassigned = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global)
    ]
    assert reassigned == []


WATCH = """
import importlib, json, logging, os, signal, sys, threading, warnings

done, watched = [], ("socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.system", "os.putenv",
                     "os.mkdir", "os.remove", "os.rename", "signal.pthread_kill", "sqlite3.connect")

def hook(event, args):
    if event in watched or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")):
        done.append(f"{module}: {event} {args}"[:200])

def state():
    signals = [signal.getsignal(number) for number in signal.valid_signals()]
    loggers = [*logging.root.handlers, logging.root.level]
    return {"signals": signals, "environ": dict(os.environ), "path": list(sys.path), "cwd": os.getcwd(),
            "filters": list(warnings.filters), "excepthook": sys.excepthook, "loggers": loggers,
            "threads": threading.active_count(), "recursion": sys.getrecursionlimit()}

module, library = "", sys.argv[1:]
for module in library:  # what the libraries do is not ours: the second time only our own modules are new
    importlib.import_module(module)
before = state()
for name in [name for name in sys.modules if name.partition(".")[0] == "loadgen"]:
    del sys.modules[name]
sys.addaudithook(hook)
for module in library:
    importlib.import_module(module)
after = state()
done += [name for name in before if before[name] != after[name]]
print(json.dumps(done))
"""


def test_importing_everything_does_nothing() -> None:
    """No thread, no socket, no process, no file written; signals, environment, paths, logging as before."""
    command = [sys.executable, "-B", "-W", "error", "-c", WATCH, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [], "and nothing else was printed"


def test_the_map_shows_every_room() -> None:
    """Whoever looks for a file finds it in CONTRIBUTING.md."""
    guide = Path(__file__).parents[2].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    places = set(re.findall(r"`([a-z_]+(?:\.py|/))`", guide.partition("## The map")[2].partition("\n## ")[0]))
    rooms = {f"{path.name}/" if path.is_dir() else path.name for path in HOUSE.iterdir()}
    assert {room for room in rooms if not room.startswith("_") and room != "py.typed"} <= places
