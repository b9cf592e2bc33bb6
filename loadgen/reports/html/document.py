"""report.html as a whole: one file that needs nothing else, neither a network nor a mouse nor JavaScript.

Scripts and styles lie in the file; a policy in its head forbids all others by their hashes, so that not
even text that slipped through as markup could run.  plotly lies compressed in it, and wakes when the
page is read in a browser.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import msgspec

from loadgen.files import whole
from loadgen.record import ItemCounts
from loadgen.reports.advice import first_reason, next_steps, word
from loadgen.reports.detail import DetailBuilder
from loadgen.reports.html.charts import Chart, span
from loadgen.reports.html.markup import Markup, island, join, tag
from loadgen.reports.html.parts import Section, Story, pairs
from loadgen.reports.html.sections import sections
from loadgen.reports.html.svg import marks
from loadgen.reports.metrics import Distributions
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import Record, encode, tell
from loadgen.reports.words import clock, percent, three

FILE = "report.html"
_ASKED = {
    "Go on": "Do what is left",
    "Again": "Do what failed again",
    "Stop": "Stop it",
    "Report": "This report in a terminal",
    "Undo": "Undo on the target what the run made",
}
_FOOT = (
    "Made by loadgen. Percentiles come from merged HDR histograms of three digits; times are milliseconds"
    " unless they say otherwise; the data block “summary” in this file is summary.json."
)


def watcher(record: Record) -> DetailBuilder:
    """What must see the rows, while the summary is made, for a report of the run."""
    steps = record.steps()
    lanes = {step.index: record.lanes(step) for step in steps}
    return DetailBuilder(steps, lanes, record.phases().started_us)


def report(record: Record, verdict: Verdict) -> str:
    """The whole file, from the record."""
    details = watcher(record)
    summary, distributions = tell(record, verdict, [details])
    return page(story(record, summary, distributions, details))


def story(record: Record, summary: Summary, distributions: Distributions, details: DetailBuilder) -> Story:
    """What a report is made of."""
    return Story(
        summary=summary,
        detail=details.build(),
        distributions=distributions,
        events=record.events(),
        started_us=record.phases().started_us,
        settings=record.facts().settings,
        directory=record.directory,
    )


def page(told: Story) -> str:
    """The whole file; ASCII, so that no reader can take it for another encoding."""
    data = {"summary": json.loads(encode(told.summary))}
    title = f"{word(told.summary)}: {told.summary.run.id}"
    return frame(title, join(_head(told), _verdict(told)), sections(told), _FOOT, data)


def frame(title: str, head: Markup, parts: Sequence[Section], foot: str, data: Mapping[str, object]) -> str:
    """A page of parts below a head, with data for programs, by name; ASCII as above."""
    code, plotly = _asset("report.js"), _plotly()
    charts = {chart.id: _described(chart) for part in parts for chart in part.charts}
    body = tag(
        "body",
        tag("main", head, _nav(parts), *map(_section, parts)),
        tag("footer", foot),
        Markup("\n"),
        *(island(name, each) for name, each in data.items()),
        island("charts", charts),
        _bundle(plotly) if plotly else None,
        Markup(f"<script>{code}</script>\n"),
    )
    about = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content=_policy([code, *([plotly] if plotly else [])]),
        ),
        tag("title", title),
        Markup(f"<style>{_asset('report.css')}</style>"),
    )
    page = join(Markup("<!DOCTYPE html>\n"), tag("html", about, Markup("\n"), body, lang="en"), Markup("\n"))
    return page.encode("ascii", "xmlcharrefreplace").decode()


def write(text: str, path: Path) -> None:
    """Put a report into the file at `path`, whole or not at all.  Raises OSError."""
    with whole(path) as draft:
        draft.write_text(text, encoding="ascii")


def _head(told: Story) -> Markup:
    run = told.summary.run
    when = f"{run.started_at[:10]} {clock(run.started_at)} UTC"
    return tag(
        "header",
        tag("h1", run.title or run.scenario),
        tag("p", f"{run.id} · {when} · {run.target}", class_="about"),
    )


def _verdict(told: Story) -> Markup:
    summary = told.summary
    verdict, generator = summary.verdict, summary.generator
    more = verdict.reasons[1:]
    style = "verdict" if verdict.ok or verdict.running else "verdict not"
    doubt = None
    if generator.verdict not in (None, "ok"):
        doubt = tag(
            "p",
            tag("b", f"Times are {generator.verdict}."),
            Markup(" "),
            "; ".join(generator.reasons),
            class_="doubt",
        )
    return join(
        tag(
            "section",
            tag("p", f"{word(summary)}: {first_reason(summary)}", class_="word"),
            tag("ul", *(tag("li", reason) for reason in more)) if more else None,
            doubt,
            _next(told),
            class_=style,
            id="verdict",
            aria_label="Verdict",
        ),
        _tiles(summary),
    )


def _next(told: Story) -> Markup:
    """What to do: look at what went wrong, then the commands."""
    summary = told.summary
    found = summary.verification
    missed = found is not None and bool(found.missing or found.unexpected)
    crossed = any(not gate.ok for gate in summary.thresholds)
    looks = (
        (bool(summary.errors), "errors", "Errors: what failed, by kind, with a sample of each"),
        (missed, "verification", "Verification: what is missing, and what should not be there"),
        (crossed, "thresholds", "Thresholds: which were crossed, and by how much"),
    )
    links = [
        ("Look at", tag("a", label, href=f"#{id_}"))
        for is_there, id_, label in looks
        if is_there and not summary.verdict.ok
    ]
    commands = [
        (_ASKED.get(label, label), tag("code", command))
        for label, command in next_steps(summary, told.directory)
    ]
    code = [] if summary.verdict.running else [("Exit code", str(summary.verdict.exit_code))]
    return pairs([*code, *links, *commands])


def _tiles(summary: Summary) -> Markup:
    items = summary.items
    always = ("planned", "done", "failed", "unknown", "dropped")
    counts = {name: getattr(items, name) for name in ItemCounts().__slots__}
    tiles = [
        _tile(
            name,
            _share(name, number, items.planned),
            "bad" if number and name not in ("planned", "done") else "" if number else "none",
        )
        for name, number in {**counts, "pending": items.pending}.items()
        if number or name in always
    ]
    main = max(summary.steps, key=lambda step: step.items.planned, default=None)
    if main is not None and main.times.count:
        what = " response time" if summary.paced else ""
        tiles.append(_tile(f"{main.name}{what} p95", f"{three(main.times.p95)} ms", ""))
        tiles.append(_tile(f"{main.name} a second", three(main.rate_per_s), ""))
        if summary.paced:
            tiles.append(_tile("meant a second", three(main.target_rate_per_s), ""))
    return tag("dl", *tiles, class_="tiles")


def _share(name: str, number: int, planned: int) -> str:
    """A number of items; of those that were dropped the share, too, since no time tells of them."""
    return f"{number:,} ({percent(number, planned)})" if name == "dropped" and number else f"{number:,}"


def _tile(name: str, value: str, kind: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), class_=kind or None)


def _nav(parts: Sequence[Section]) -> Markup:
    return tag(
        "nav",
        *(tag("a", part.label, href=f"#{part.id}") for part in parts),
        aria_label="Parts of this report",
    )


def _section(part: Section) -> Markup:
    heading = tag("h2", tag("small", part.label), part.finding)
    return tag("section", heading, part.body, id=part.id, aria_label=part.label)


def _described(chart: Chart) -> object:
    """With what plotly would find out by itself otherwise, and not as the still picture has it."""
    ranges = span(chart)
    logs = [
        replace(axis, ticks=tuple(marks(axis, *range_))) if axis.log else axis
        for axis, range_ in zip((chart.x, chart.y), ranges, strict=True)
    ]
    return {**msgspec.to_builtins(replace(chart, x=logs[0], y=logs[1])), "range": ranges}


def _policy(scripts: Sequence[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _bundle(code: str) -> Markup:
    level = 4  # the usual 6 takes twice as long, at the end of every run, for 4 % less
    packed = base64.b64encode(gzip.compress(code.encode(), level, mtime=0)).decode()
    return Markup(f'<script type="application/gzip" id="plotly">{packed}</script>\n')


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str | None:
    """The bundle for browsers, without importing plotly; None where it is not installed."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("package_data") / "plotly.min.js"
    return path.read_text(encoding="utf-8") if path.is_file() else None
