"""Makes the pictures of pages and terminals in the docs: `python tests/e2e/refresh_screens.py [compare]`.

A real run against the sandbox, whose uploads cost the more the more a project holds, and its page in a
headless Chromium: light, dark, on a phone, and with what went wrong.  Before that three runs against a target
that is slower the third time, and their comparison.  Names of this machine are replaced by neutral ones
before the pictures are taken.
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
import time
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
ALIKE = ("--concurrency", "8", "--set", "flows=1500", "--set", "projects=150", "--set", "schedules=0")
DARK, LIGHT = 0, 1
PHONE = """<!DOCTYPE html>
<body style="margin:0;background:#8a939d;display:grid;place-items:center;height:100vh">
<iframe src="page.html" style="border:0;border-radius:24px;width:390px;height:calc(100vh - 40px)"></iframe>"""


def loadgen(folder: Path, *args: str) -> int:
    """The exit code of a command, with runs in the folder."""
    return subprocess.run(
        [sys.executable, "-m", "loadgen", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env=surroundings(folder),
        check=False,  # one of them goes badly, as it should
    ).returncode


def surroundings(folder: Path) -> dict[str, str]:
    """Without settings of whoever makes the pictures."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADGEN_")}
    return {**kept, "LOADGEN_STATE_DIR": str(folder / "state")}


def run(folder: Path, *args: str) -> None:
    """A run."""
    loadgen(
        folder, "run", str(SCENARIO), "--processes", "1", "--listen", "127.0.0.1:0", "--no-dashboard", *args
    )


def page(folder: Path, *args: str) -> None:
    """A run, and its report as page.html in the folder."""
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    run(folder, "--out", str(out), *args)
    (file,) = out.glob("*/report.html")
    neutral(file, folder / "page.html", out)


def compared(folder: Path) -> None:
    """Three runs against the same address, where a slower target answers the third, as page.html."""
    out = folder / "compared"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for latency in ("60", "60", "75"):
        command = [sys.executable, "-m", "loadgen", "sandbox", "azkaban", "--port", port]
        with subprocess.Popen(
            [*command, "--latency", latency, "--base-cost", "1", "--cost-per-flow", "0"],
            stdout=subprocess.DEVNULL,
            env=surroundings(folder),
        ) as target:
            try:
                while not answers(int(port)):
                    time.sleep(0.1)
                run(folder, "--out", str(out), "--target", f"http://127.0.0.1:{port}", *ALIKE)
            finally:
                target.terminate()
    names = sorted(path.name for path in out.iterdir())
    if loadgen(folder, "compare", *names, "--out", str(out), "--format", "html", "--output", "compare.html"):
        sys.exit("refresh_screens: the runs could not be compared")
    neutral(folder / "compare.html", folder / "page.html", out)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def neutral(source: Path, goal: Path, out: Path) -> None:
    """A page without what is this machine's."""
    text = source.read_text(encoding="ascii")
    told, bundle, code = text.partition('<script type="application/gzip"')  # what is packed stays as it is
    told = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "box", told.replace(f" --out {out}", ""))
    goal.write_text(told + bundle + code, encoding="ascii")


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
    """Five runs, four pictures, and the terminals'; or only the one of a comparison."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        compared(folder)
        shoot(folder, "page.html", "pictures/compare.png", (1080, 2300))
        if "compare" in sys.argv:
            return
        refresh_terminals.main()
        (folder / "phone.html").write_text(PHONE, encoding="ascii")
        page(folder, *GOOD)
        shoot(folder, "page.html", "report-light.png", (1080, 2600))
        shoot(folder, "phone.html", "report-phone.png", (500, 1500))
        page(folder, *BAD)
        shoot(folder, "page.html", "report-dark.png", (1080, 2200), DARK)


if __name__ == "__main__":
    main()
