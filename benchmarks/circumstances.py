"""Under which circumstances it was measured: without them figures mean nothing."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.lab import CHECKOUT, Lab, Missing
from benchmarks.servers import Web

PROGRAMS = {
    "nginx": ["nginx", "-v"],
    "wrk": ["wrk", "-v"],
    "hey": ["hey", "-version"],
    "k6": ["k6", "version"],
    "oha": ["oha", "--version"],
    "vegeta": ["vegeta", "-version"],
}
PACKAGES = ("loadgen", "requests", "pycurl", "msgspec", "locust")
LIBCURL = [sys.executable, "-c", "import pycurl; print(pycurl.version)"]


def gather(lab: Lab, web: Web) -> dict[str, Any]:
    """What there is to know, before anything is measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "mode": f"{'quick' if lab.quick else 'long' if lab.long else 'default'}, {lab.rounds} rounds",
        "commit": _commit(lab),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory": _memory(),
        "pinned": _pinned(lab),
        "platform": _platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libcurl": _first_line(lab, LIBCURL),
        "server": web.what,
        "packages": {name: _version(name) for name in PACKAGES},
        "programs": {name: _first_line(lab, command) for name, command in PROGRAMS.items()},
        "load_before": _load() + _busy(),
    }


def add_end(known: dict[str, Any], took_s: float) -> dict[str, Any]:
    """The same, afterwards."""
    return {**known, "load_after": _load(), "took_s": round(took_s, 1)}


def render(known: dict[str, Any]) -> str:
    """As a Markdown list."""
    lines = []
    for name, value in known.items():
        shown = (
            ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        )
        lines.append(f"- {name.replace('_', ' ')}: {shown}")
    return "### Circumstances\n\n" + "\n".join(lines)


def _first_line(lab: Lab, command: list[str]) -> str:
    try:
        ended = lab.run(command, limit_s=20)
    except Missing:
        return "missing"
    lines = (ended.out.strip() or ended.err.strip()).splitlines()
    match = re.search(r"\d+\.\d+[\w.+-]*.*", lines[0]) if lines else None
    return (
        (lines[0] if command == LIBCURL else match[0].split(" [")[0].split(" Copyright")[0])
        if match
        else "present"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _commit(lab: Lab) -> str:
    try:
        head = lab.run(["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"], limit_s=20)
        changed = lab.run(["git", "-C", str(CHECKOUT), "status", "--porcelain", "-uno"], limit_s=20)
    except Missing:
        return "unknown"
    if head.code:
        return "unknown"
    return head.out.strip() + (" and changes" if changed.out.strip() else "")


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return match[1] if match else platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"


def _platform() -> str:
    release = ".".join(platform.release().split(".")[:2])
    return " ".join(filter(None, [platform.system(), release, platform.machine(), *platform.libc_ver()]))


def _pinned(lab: Lab) -> str:
    if lab.client_core is None:
        return "no: there are not two cores to choose from"
    return f"clients to core {lab.client_core}, the server to core {lab.server_core}"


def _busy() -> str:
    """A word of warning."""
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1) / 2
    return " - the machine was busy with other things: trust the ratios only" if busy else ""


def _load() -> str:
    try:
        return " ".join(f"{each:.2f}" for each in os.getloadavg())
    except OSError:
        return "unknown"
