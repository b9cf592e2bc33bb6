"""Puts the report of a real run into README.md: `python tests/e2e/refresh_readme.py`.

The run is the full one, 10,000 flows, shown at 80 columns.  Names of this machine are replaced by neutral
ones; all else stands as it was printed.  `test_readme.py` compares the excerpt with a small run's report,
line by line, without what differs from run to run (`skeleton`).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
README = REPO / "README.md"
EXCERPT = re.compile(r"(<!-- report: (\S+) -->\n```\n)(.*?)(^```)", re.MULTILINE | re.DOTALL)
HOST = "box"


def real_report(scenario: str, *args: str) -> str:
    """What a run prints at its end, at 80 columns."""
    strange = ("loadgen_", "azkaban_", "http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if not name.lower().startswith(strange)}
    with tempfile.TemporaryDirectory() as folder:
        mine = {"LOADGEN_STATE_DIR": f"{folder}/state", "COLUMNS": "80", "PYTHONUTF8": "1", "NO_COLOR": "1"}
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "loadgen",
                "run",
                REPO / scenario,
                "--listen",
                "127.0.0.1:0",
                "--no-dashboard",
                *args,
            ],
            cwd=folder,
            env={**kept, **mine},
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=True,
        )
    _, line, report = ended.stdout.partition("\nOK ")
    return neutral(line.strip() + " " + report)


def neutral(report: str) -> str:
    """The report without the names of the machine."""
    return report.replace(f" {socket.gethostname()}-", f" {HOST}-")  # where a worker is named in a sentence


def skeleton(report: str) -> list[str]:
    """A report without what differs from run to run: ids, numbers, times, curves, where lines wrap."""
    facts, _, rest = report.partition("\nSteps (")
    text = re.sub(r"\n {11}", " ", facts) + f"\nSteps ({rest}"
    for pattern, word in (
        (r"\d{8}-\d+-(\w+?)-[0-9a-f]{4}\b", r"ID-\1"),
        (r"\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\btag=\w+", "TAG"),
        (r"^Generator .*\n", ""),  # says more when the machine was busy
        (r"most time in .*?:", "most time in CALL:"),
        (r" p90\b", ""),  # the first column to go when numbers are wide
        (r"(?<!\w)\d[\d.:,-]*", "#"),
        (r"# (min|h) # (s|min)|# (ms|s)\b", "TIME"),
        (r"[ \t]+", " "),
        (r"# (# )+", "# "),
    ):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return [line.strip() for line in text.splitlines()]


def main() -> None:
    """Rewrite the excerpts."""
    text = README.read_text(encoding="utf-8")
    refreshed = EXCERPT.sub(lambda found: found[1] + real_report(found[2]) + found[4], text)
    README.write_text(refreshed, encoding="utf-8")


if __name__ == "__main__":
    main()
