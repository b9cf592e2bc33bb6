"""Pages in a real browser: charts wake up, nothing sticks out on a phone, nothing is complained of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import fake_records
import pytest

from loadgen.reports.html import comparison, document
from loadgen.reports.schema import Verdict
from loadgen.reports.side_by_side import lay
from loadgen.reports.summary import total
from loadgen.reports.verdict import judge

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FRAMES = """<!DOCTYPE html><body><iframe src="bad.html" width="1000" height="9000"></iframe>
<iframe src="evil.html" width="390" height="9000"></iframe>
<iframe src="compare.html" width="390" height="9000"></iframe><pre id="seen"></pre><script>
"use strict";
function look(frame) {
  const page = frame.contentDocument, all = (what) => page.querySelectorAll(what).length;
  const root = page.documentElement || page.createElement("html"), seen = (it) => it.getClientRects().length;
  const figures = [...page.querySelectorAll("figure")].filter(seen);
  const other = page.querySelector("input[name=latency][value=max]");
  if (other && !other.checked) other.click();
  return { charts: figures.length, still: figures.filter((it) => it.querySelector("svg.still")).length,
           drawn: figures.filter((it) => it.querySelector(".live .main-svg .trace path")).length,
           shown: [...page.querySelectorAll("svg.still")].filter(seen).length,
           ids: figures.map((it) => it.id), wide: root.scrollWidth, room: root.clientWidth,
           packed: all("#plotly"), evil: all("img") };
}
const timer = setInterval(() => {
  const seen = [...document.querySelectorAll("iframe")].map(look);
  document.getElementById("seen").textContent = JSON.stringify(seen);
  if (!seen.every((each) => each.charts && each.drawn === each.charts)) return;
  clearInterval(timer);
}, 100);
</script>"""


def a_browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no chromium here")
    return found


def write(record, path: Path) -> None:
    document.write(document.report(record, judge(total(record), record.verified())), path)


def test_in_a_browser(tmp_path):
    """One start of the browser for all.

    A bad run on a desk; on a phone one whose names are traps, and a comparison, in which one chooses.
    """
    browser = a_browser()
    verdict = Verdict(ok=True, exit_code=0)
    told = lay([(fake_records.bad(), verdict), (fake_records.bad(), verdict)])
    document.write(comparison.page(told), tmp_path / "compare.html")
    write(fake_records.bad(), tmp_path / "bad.html")
    write(fake_records.evil(), tmp_path / "evil.html")
    frames = tmp_path / "frames.html"
    frames.write_text(FRAMES, encoding="utf-8")
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}"),
            *("--allow-file-access-from-files", "--enable-logging=stderr", "--window-size=1900,9100"),
            *("--virtual-time-budget=10000", "--dump-dom", frames.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    said = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said is not None
    pages = json.loads(unescape(said[1]))
    chosen = {"time-0-max", "time-1-max", "items-0-p95", "items-1-p95", "rate-0", "rate-1"}
    assert set(pages[2]["ids"]) == {*chosen, "curve-0", "curve-1"}
    for seen in pages:
        assert seen["drawn"] == seen["still"] == seen["charts"] >= 7
        assert seen["shown"] == 0, "the live chart takes the place of the still one"
        assert seen["wide"] <= seen["room"], "it can be read without scrolling sideways"
        assert seen["packed"] == 0, "the packed script is not kept twice"
        assert seen["evil"] == 0
