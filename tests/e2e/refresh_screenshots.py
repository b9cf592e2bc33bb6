"""`python tests/e2e/refresh_screenshots.py`: the dashboard's pictures in the docs, from a real run.

It needs Chromium with its driver, and Selenium.
"""

from __future__ import annotations

import base64
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from browser import browsing
from harness import AZKABAN, REPO, Cli
from test_dashboard import ON, Page, address

PICTURES = REPO / "docs" / "pictures"
SECONDS = 20
"""How long it goes on before a worker dies, and from there until it is looked at."""
LOOKS = {
    "dashboard": ("light", 940, 1250),
    "dashboard-dark": ("dark", 940, 985),
    "dashboard-phone": ("light", 390, 1300),
}
"""Colours, width, and how much of the height."""
RUN = [
    *(
        "--set",
        "flows=60000",
        "--concurrency",
        4,
        "--threshold",
        "flows.p95<250ms",
        "--threshold",
        "failed<1%",
    ),
    *(
        "--target",
        "sandbox:azkaban?latency=6&fail-rate=0.01",
        "--max-rate",
        "700/s",
        "--dashboard",
        "127.0.0.1:0",
    ),
]


def main() -> None:
    """Take them."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        cli = Cli(Path(folder))
        try:
            run = cli.start_run(AZKABAN, *RUN, env=ON)
            browser.get(address(run))
            page = Page(browser)
            page.wait(lambda: page.number("done") > 0, "items are done")
            port = cli.port()
            worker = cli.start(
                "worker", "--server", f"127.0.0.1:{port}", "--processes", 1, "--concurrency", 4
            )
            time.sleep(SECONDS)
            os.killpg(worker.pid, signal.SIGKILL)
            page.click("#pause")
            page.wait(lambda: page.phase() == "paused", "it is paused")
            page.click("#continue")
            time.sleep(SECONDS)
            for name, (scheme, width, most) in LOOKS.items():
                _take(browser, PICTURES / f"{name}.png", (scheme, width, most))
            page.click("#stop")
            page.click("#sure .danger")
        finally:
            cli.close()


def _take(browser: Any, path: Path, look: tuple[str, int, int]) -> None:
    """The page, or the upper part of it."""
    scheme, width, most = look
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for _ in range(2):  # its height is known when it was laid out for the width
        height = browser.execute_script("return document.body.scrollHeight")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        time.sleep(1.5)
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, most), "scale": 1}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
    path.write_bytes(base64.b64decode(picture["data"]))
    print(f"{path}: {path.stat().st_size:,} bytes")  # noqa: T201 - what a script is for


if __name__ == "__main__":
    main()
