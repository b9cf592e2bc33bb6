"""`python -m benchmarks [TABLE...]`: measures loadgen side by side with its peers, on this machine, now."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import circumstances, servers, tables
from benchmarks.lab import Failed, Lab, Missing
from benchmarks.servers import Web
from benchmarks.tables import Table

NAMES = (
    "startup",
    "throughput",
    "truth",
    "dispatch",
    "memory",
    "growth",
    "azkaban",
    "story",
    "workers",
    "faults",
    "open_rates",
    "open_queue",
    "open_peers",
    "open_stall",
    "steering",
    "dashboard",
    "report",
)
"""Each is a module with `measure(lab, web) -> Table`."""
GROUPS = {"open": ("open_rates", "open_queue", "open_peers", "open_stall")}
"""One word for several of them."""
ROUNDS = 3
FEWER = 2


def main(words: list[str] | None = None) -> int:
    """Measure; 0 when every table could be, 1 when one could not, whatever its figures say."""
    asked = _arguments(words)
    if os.name != "posix":
        print("benchmarks: they need a POSIX system", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _leave)
    _allow_connections()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="loadgen-benchmarks-") as folder:
        try:
            with _lab(asked, Path(folder)) as lab, servers.web_server(lab) as web:
                known = circumstances.gather(lab, web)
                measured, broken = _measure(lab, web, _tables(asked.tables) or NAMES)
        except KeyboardInterrupt:
            print("benchmarks: interrupted", file=sys.stderr)
            return 130
        except Failed as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    known = circumstances.add_end(known, time.monotonic() - began_s)
    print(circumstances.render(known))
    if asked.page:
        _fill(asked.page, measured, known)
    if asked.json:
        document = {"circumstances": known, "tables": [tables.plain(table) for table in measured]}
        asked.json.write_text(
            json.dumps({**document, "broken": broken, "failed": lab.failed}, indent=2) + "\n"
        )
    return 1 if broken or lab.failed else 0


def _fill(page: Path, measured: Sequence[Table], known: dict[str, Any]) -> None:
    """Put what was measured into the places that the page has for it, and drawings beside it."""
    text = page.read_text(encoding="utf-8")
    for table in measured:
        before, text = text, tables.placed(text, table.name, tables.render(table))
        if table.drawing and text != before:
            page.with_name(f"{table.name}.svg").write_text(table.drawing, encoding="utf-8")
    text = tables.placed(text, "circumstances", circumstances.render(known))
    page.write_text(text, encoding="utf-8")


def _measure(lab: Lab, web: Web, names: Sequence[str]) -> tuple[list[Table], dict[str, str]]:
    """The tables, printed as they come; and which could not be measured, and why."""
    measured: list[Table] = []
    broken: dict[str, str] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        began_s = time.monotonic()
        try:
            table: Table = importlib.import_module(f"benchmarks.{name}").measure(lab, web)
        except (Missing, Failed) as error:
            broken[name] = str(error)
            print(f"### {name}\n\n- could not be measured: {error}\n", flush=True)
        else:
            measured.append(table)
            print(tables.render(table), end="\n\n", flush=True)
        print(f"  {name} took {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    return measured, broken


def _tables(asked: Sequence[str]) -> list[str]:
    """Their names, for those that were asked for."""
    return [name for word in asked for name in GROUPS.get(word, (word,))]


def _lab(asked: argparse.Namespace, folder: Path) -> Lab:
    client, server = servers.cores()
    rounds = asked.repeat or (1 if asked.quick else ROUNDS)
    return Lab(
        folder=folder,
        quick=asked.quick,
        long=asked.long,
        rounds=rounds,
        fewer=asked.repeat or min(rounds, FEWER),
        client_core=client,
        server_core=server,
    )


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"of {', '.join((*NAMES, *GROUPS))}; all by default"
    )
    parser.add_argument(
        "--repeat", type=int, metavar="N", help=f"rounds; {ROUNDS} by default, {FEWER} of long ones"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of less than a minute")
    parser.add_argument("--long", action="store_true", help="also what takes very long: ten million items")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value of every round there")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="put the tables into this page, drawings beside it",
    )
    asked = parser.parse_args(words)
    unknown = [name for name in _tables(asked.tables) if name not in NAMES]
    if unknown:
        parser.error(f"no such table: {', '.join(unknown)}; there are {', '.join((*NAMES, *GROUPS))}")
    if asked.repeat is not None and asked.repeat < 1:
        parser.error("--repeat: at least 1")
    if asked.json is not None and not asked.json.absolute().parent.is_dir():
        parser.error(f"--json {asked.json}: its folder does not exist")
    if asked.page is not None and not asked.page.is_file():
        parser.error(f"--page {asked.page}: no such file")
    return asked


def _allow_connections() -> None:
    """As many open files as this user may have: a thousand workers are a thousand connections."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # where unlimited is not allowed after all
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _leave(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends all that was started, as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
