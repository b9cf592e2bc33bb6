"""The dashboard, as a person sees it: a real run in a real browser."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browser import browsing
from harness import Cli, Running, Target, until

ON = {"LOADGEN_NO_DASHBOARD": ""}
SLOWLY = '''"""Put <i>things</i> on a shelf."""

from dataclasses import dataclass

from loadgen import Scenario, Session, option


@dataclass(frozen=True)
class Options:
    things: int = 100_000
    password: str = option("", env="SHELF_PASSWORD", secret=True)


scenario = Scenario(options=Options, timeout=1, thresholds=["failed<50%", "p95<1us"])


@scenario.step(items=lambda options: options.things)
def put(http: Session, item: int, options: Options) -> int:
    http.post(f"/things/{item}")
    return item
'''
TAKEN = """
window.heard ??= new EventSource('/events');
window.heard.onmessage ??= () => { window.taken = (window.taken ?? 0) + 1; };
return window.taken ?? 0
"""
"""How many messages another stream had."""
STREAMS = """
return performance.getEntriesByType('resource').map(each => new URL(each.name))
  .map(url => url.pathname + url.search).filter(path => path.startsWith('/events'))
"""
"""Those that the page has closed."""
HOSTILE = "<img src=x onerror=document.title='broken'>"


class Page:
    """What is on the screen."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser

    def text(self, name: str) -> str:
        return str(self._browser.find_element("id", name).text)

    def number(self, tile: str) -> float:
        found = self._browser.find_elements("css selector", f"#tile-{tile} dd")
        return float(re.sub(r"[^0-9.]", "", found[0].text) or 0) if found else 0.0

    def click(self, where: str) -> None:
        self._browser.find_element("css selector", where).click()

    def type(self, name: str, text: str) -> None:
        field = self._browser.find_element("id", name)
        field.clear()
        field.send_keys(text + "\n")

    def phase(self) -> str:
        return str(self._browser.find_element("css selector", "#phases [aria-current]").text)

    def workers(self) -> dict[str, str]:
        rows = self._browser.execute_script(
            "return [...document.querySelectorAll('#workers tr')].map(row => [row.children[0].textContent,"
            " row.children[1].textContent])"
        )
        return {str(name): str(state) for name, state in rows}

    def picture(self, chart: str) -> str:
        """A chart, as it is drawn."""
        script = "return document.querySelector(arguments[0] + ' canvas').toDataURL()"
        return str(self._browser.execute_script(script, f"#{chart}"))

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        until(condition, f"{what}; it shows {self.text('word')!r}, {self.text('said')!r}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as it:
        yield it


def address(run: Running) -> str:
    return str(until(lambda: re.match(r"dashboard: (http://\S+)", run.out), "the line that says where")[1])


def test_a_run_is_watched_and_steered(cli: Cli, target: Target, browser: Any) -> None:
    """Numbers move, a worker joins and dies, pause pauses, limits hold, stop ends."""
    target.delay_s = 0.01
    target.answer = lambda seen: (500, HOSTILE) if seen.item == 3 else (200, "{}")
    options = ["--target", target.url, "--concurrency", 2, "--dashboard", "127.0.0.1:0", "--lease-ttl", 2]
    run = cli.start_run(cli.scenario(SLOWLY), *options, env={**ON, "SHELF_PASSWORD": "sesame-open"})
    where = address(run)
    browser.get(where)
    page = Page(browser)

    page.wait(lambda: page.number("done") > 20, "items are done")
    assert "loadgen_items_planned 100000" in scraped(where)
    assert page.text("title") == "Put <i>things</i> on a shelf."
    assert page.phase() == "running"
    before, drawn = page.number("done"), [page.picture("throughput"), page.picture("latency")]
    page.wait(lambda: page.number("done") > before and page.number("items-s-now") > 0, "numbers move")
    page.wait(lambda: page.picture("throughput") != drawn[0], "a chart grows")
    page.wait(lambda: page.picture("latency") != drawn[1], "and another")
    assert page.number("failed") == 1
    page.wait(lambda: "p95<1us is crossed" in page.text("word"), "a threshold is crossed")

    without_a_mouse(page, browser)
    in_the_background(page, browser)

    worker = cli.start("worker", "--server", f"127.0.0.1:{cli.port()}", "--processes", 1, "--concurrency", 2)
    page.wait(lambda: list(page.workers().values()) == ["here", "here"], "a worker joins")
    os.killpg(worker.pid, signal.SIGKILL)
    page.wait(lambda: sorted(page.workers().values()) == ["here", "lost"], "a worker dies")
    page.wait(lambda: "1 worker lost" in page.text("word"), "which is told on top")
    assert "joined" in page.text("events")

    assert re.search(r"loadgen_call_service_time_seconds_count{.*} [1-9]", scraped(where)), "calls since then"

    page.click("#pause")
    page.wait(lambda: page.phase() == "paused" and page.number("in-flight") == 0, "pause pauses")
    held = len(target.seen)
    page.click("#continue")
    page.wait(lambda: page.phase() == "running" and len(target.seen) > held, "continue goes on")
    page.type("rate", "2000")
    page.wait(lambda: page.text("said").startswith("Set: rate=2000/s"), "a rate is set")
    page.type("rate", "fast")
    page.wait(lambda: "rate=fast" in page.text("said"), "a mistake is explained")

    page.click("#stop")
    page.click("#sure .danger")
    page.wait(lambda: page.text("word") == "NOT OK: stopped by hand", "stop ends")
    assert run.wait().code == 4
    assert page.phase() == "done"
    assert "loadgen resume" in page.text("next")
    assert HOSTILE in page.text("error-rows"), "what the target says is text"
    assert browser.title.startswith("NOT OK")
    assert "sesame-open" not in browser.page_source
    strange = [entry for entry in browser.get_log("browser") if "400 (Bad Request)" not in entry["message"]]
    assert strange == []


def scraped(where: str) -> str:
    """As Prometheus does."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{where}metrics") as answer:
        return str(answer.read().decode())


def without_a_mouse(page: Page, browser: Any) -> None:
    """A chart can be walked through by keys, and says what it shows; everything has a name."""
    chart = browser.find_element("css selector", "#latency canvas")
    page.wait(lambda: re.search(r"p50 \d", chart.get_attribute("aria-label")), "the chart says what it shows")
    chart.send_keys("\ue010")  # End
    page.wait(lambda: "at 0:" in page.text("latency"), "the legend says when")
    assert browser.execute_script("return document.querySelector('#latency [aria-live]').textContent")
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, input, canvas')].filter(each => !(each.textContent ||"
        " each.labels?.length || each.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0


def in_the_background(page: Page, browser: Any) -> None:
    """Nothing is sent or drawn while nobody looks; then all of it."""
    hide = (
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    browser.execute_script(hide, True)
    page.wait(lambda: browser.execute_script("return new Promise(requestAnimationFrame)"), "the last frame")
    before = page.picture("throughput"), page.number("done")
    page.wait(lambda: browser.execute_script(TAKEN) > 2, "messages come")
    assert (page.picture("throughput"), page.number("done")) == before
    browser.execute_script(hide, False)
    page.wait(lambda: page.number("done") > before[1], "it is drawn again")
    page.wait(
        lambda: browser.execute_script(STREAMS) == ["/events", "/events?idle"], "neither is open any more"
    )


def test_a_run_that_nobody_watches(cli: Cli, target: Target) -> None:
    """Says where it could be watched, unless it is to be quiet, and leaves nothing behind."""
    options = ["--target", target.url, "--dashboard", "127.0.0.1:0"]
    loud = cli.run(cli.scenario(), *options, env=ON)
    assert loud.code == 0, loud
    assert loud.out.startswith("dashboard: http://127.0.0.1:")
    quiet = cli.run(cli.scenario(), *options, "--quiet", env=ON)
    assert (quiet.code, "dashboard" in quiet.out + quiet.err) == (0, False)
