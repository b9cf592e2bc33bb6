"""Makes the pictures of docs/report.md, and those of terminals: `python tests/e2e/refresh_screens.py`.

A real run against the sandbox, whose uploads cost the more the more a project holds, and its page in a
headless Chromium: light, dark, on a phone, and with what went wrong.  Names of this machine are replaced
by neutral ones before the pictures are taken.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import refresh_terminals

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
SCENARIO = REPO / "scenarios" / "azkaban_flows.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SLOW = "sandbox:azkaban?base-cost=10&cost-per-flow=0.3"
GOOD = ("--target", SLOW, "--set", "flows=2000", "--set", "projects=20", "--set", "schedules=500")
BAD = (
    *("--target", f"{SLOW}&fail-rate=0.3&seed=3", "--set", "flows=1000", "--set", "projects=20"),
    *("--threshold", "flows.p95<60ms", "--threshold", "failed<1%"),
)
DARK, LIGHT = 0, 1
PHONE = """<!DOCTYPE html>
<body style="margin:0;background:#8a939d;display:grid;place-items:center;height:100vh">
<iframe src="page.html" style="border:0;border-radius:24px;width:390px;height:calc(100vh - 40px)"></iframe>"""


def page(folder: Path, *args: str) -> None:
    """A run, and its report as page.html in the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADGEN_")}
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "loadgen", "run", str(SCENARIO), "--processes", "1"]
    subprocess.run(
        [*command, "--listen", "127.0.0.1:0", "--out", str(out), *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env={**kept, "LOADGEN_STATE_DIR": str(folder / "state")},
        check=False,  # one of them goes badly, as it should
    )
    (file,) = out.glob("*/report.html")
    text = file.read_text(encoding="ascii")
    told, bundle, code = text.partition('<script type="application/gzip"')  # what is packed stays as it is
    told = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "box", told.replace(f" --out {out}", ""))
    (folder / "page.html").write_text(told + bundle + code, encoding="ascii")


def shoot(folder: Path, source: str, name: str, size: tuple[int, int], scheme: int = LIGHT) -> None:
    """A picture of a page, in docs/."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("refresh_screens: there is no Chromium here")
    subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=15000"),
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={DOCS / name}",
            (folder / source).as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )


def main() -> None:
    """Two runs, four pictures; and the terminals'."""
    refresh_terminals.main()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        (folder / "phone.html").write_text(PHONE, encoding="ascii")
        page(folder, *GOOD)
        shoot(folder, "page.html", "report-light.png", (1080, 2600))
        shoot(folder, "phone.html", "report-phone.png", (500, 1500))
        page(folder, *BAD)
        shoot(folder, "page.html", "report-dark.png", (1080, 2200), DARK)


if __name__ == "__main__":
    main()
