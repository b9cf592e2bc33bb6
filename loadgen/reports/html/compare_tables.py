"""The tables of a comparison's page: the runs, and every number with its change and noise.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadgen.reports.advice import word
from loadgen.reports.compare import Line
from loadgen.reports.html.charts import LETTERS
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.parts import Section, note, swatch
from loadgen.reports.html.tables import Column, table
from loadgen.reports.likeness import options, said, settings, target
from loadgen.reports.side_by_side import SideBySide, Told
from loadgen.reports.words import count, duration, three

MOST = 40
"""Tables of steps, and of calls; more are in the data block."""
WIDE, HIGH = 160, 14
"""Of a picture of a change, in its own units."""
_LEAST = 10.0
"""Percent that the picture reaches to each side, at least."""
_NOISE = (
    "The change is between the ends of its band with 95 %, by a block bootstrap over slices of time of both"
    " runs: of twenty figures that are no different, one is called different by chance. In its picture the"
    " upright line is no change, the dot the change, the bar its band; one that touches the edge goes on."
)


@dataclass(frozen=True, slots=True)
class _Fact:
    """One thing about all runs."""

    name: str
    values: tuple[str, ...]


def runs(told: SideBySide) -> Section:
    """Who is who, and in what they differ."""
    facts = [*_always(told.runs), *_differing(told.runs)]
    columns = [Column[_Fact]("", lambda fact: fact.name)]
    columns += [
        Column(_key(run, number), _value_of(number), words=True) for number, run in enumerate(told.runs)
    ]
    differ = list(dict.fromkeys(text for each in told.comparisons for text in each.differences))
    finding = (
        f"Unlike in {count(len(differ), 'thing')}, accepted by --anyway" if differ else "The runs are alike"
    )
    more = len(told.runs) - len(LETTERS)
    return Section(
        "runs",
        "Runs",
        finding,
        join(
            table("Runs", columns, facts),
            note("Options, settings and versions that are not named are the same in all."),
            note(f"Charts show the first {len(LETTERS)} runs, not the {more} after them.")
            if more > 0
            else None,
        ),
    )


def steps(told: SideBySide) -> Section:
    """A table for each step."""
    return _tables(told, "items", ("tables", "Steps"), f"{told.item_time}s, rates and errors by step")


def calls(told: SideBySide) -> Section:
    """A table for each label."""
    return _tables(told, "calls", ("calls", "Calls"), f"{told.call_time}s, rates and errors by label")


@dataclass(frozen=True, slots=True)
class _Row:
    """A measure of a step or a label, in all runs."""

    lines: tuple[Line | None, ...]
    """By comparison; None: that run does not have it."""

    @property
    def any(self) -> Line:
        """One of them: of the base they all say the same."""
        return next(line for line in self.lines if line is not None)


def _tables(told: SideBySide, of: str, named: tuple[str, str], finding: str) -> Section:
    rows: dict[tuple[str, str], dict[str, list[Line | None]]] = {}
    for number, comparison in enumerate(told.comparisons):
        for line in comparison.lines:
            if line.of == of:
                measures = rows.setdefault((line.name, line.time), {})
                measures.setdefault(line.measure, [None] * len(told.comparisons))[number] = line
    telling = {
        key: found
        for key, measures in rows.items()
        if (found := [row for row in (_Row(tuple(lines)) for lines in measures.values()) if _tells(row)])
    }
    shown = {f"{name} ({time})": found for (name, time), found in list(telling.items())[:MOST]}
    parts = (
        join(tag("h3", title), table(title, _columns(told, found), found)) for title, found in shown.items()
    )
    silent = dict.fromkeys(name for name, time in rows if (name, time) not in telling)
    more = len(telling) - len(shown)
    notes = [
        f"Too little to tell: {', '.join(silent)}." if silent else "",
        f"and {count(more, 'table')} more, in the data block." if more else "",
        _NOISE,
    ]
    body = join(*parts, *map(note, filter(None, notes)))
    return Section(*named, f"{finding[0].upper()}{finding[1:]}", body)


def _tells(row: _Row) -> bool:
    """No errors in any of the runs are not worth a line."""
    known = [line for line in row.lines if line is not None and line.finding != "unknown"]
    return any(line.measure != "errors" or line.base or line.other for line in known)


def _columns(told: SideBySide, rows: Sequence[_Row]) -> list[Column[_Row]]:
    reach = _reach(rows)
    made = [
        Column[_Row]("measure", lambda row: f"{row.any.measure}, {row.any.unit}"),
        Column(told.runs[0].letter, lambda row: three(row.any.base)),
    ]
    for number, run in enumerate(told.runs[1:]):
        made += [
            Column(run.letter, _of(number, lambda line: three(line.other))),
            Column(f"{run.letter}: change (95 % band)", _of(number, lambda line: line.text), words=True),
            Column("", _of(number, lambda line: drawn(line, reach))),
        ]
    return made


def _of(number: int, say: Callable[[Line], str]) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        line = row.lines[number]
        return "-" if line is None else say(line)

    return cell


def _reach(rows: Sequence[_Row]) -> float:
    """How far the pictures of a table go: so that each change is seen, if not each band's ends."""
    changes = [abs(line.change or 0.0) for row in rows for line in row.lines if line and line.unit != "%"]
    return max(1.5 * max(changes, default=0.0), _LEAST)


def drawn(line: Line, reach: float) -> Markup:
    """The change and its band, from -reach to reach percent; nothing of errors, which are told in points."""
    if line.change is None or line.low is None or line.high is None or line.measure == "errors":
        return Markup()

    def across(percent: float) -> float:
        return WIDE / 2 * (1 + min(max(percent / reach, -1.0), 1.0))

    low, change, high = map(across, (line.low, line.change, line.high))
    return tag(
        "svg",
        tag("path", d=f"M{low:.1f} 4H{max(high, low + 1):.1f}V10H{low:.1f}Z", class_="noise"),
        tag("path", d=f"M{WIDE // 2} 0V{HIGH}", class_="axis"),
        tag("circle", cx=f"{change:.1f}", cy=HIGH // 2, r=3.5),
        viewBox=f"0 0 {WIDE} {HIGH}",
        class_=f"change {line.finding}",
        aria_hidden="true",
    )


def _key(run: Told, number: int) -> Markup:
    """A run's letter, with how its lines look."""
    return join(swatch(LETTERS[number], "line") if number < len(LETTERS) else None, run.letter)


def _value_of(number: int) -> Callable[[_Fact], str]:
    return lambda fact: fact.values[number]


def _always(told: Sequence[Told]) -> Iterator[_Fact]:
    summaries = [each.side.summary for each in told]
    yield _Fact("run", tuple(each.run.id for each in summaries))
    yield _Fact("started", tuple(f"{each.run.started_at[:19].replace('T', ' ')} UTC" for each in summaries))
    yield _Fact("verdict", tuple(map(word, summaries)))
    yield _Fact("items", tuple(f"{each.items.done:,} of {each.items.planned:,} done" for each in summaries))
    yield _Fact("active", tuple(duration(each.run.active_s) for each in summaries))
    yield _Fact("its times are", tuple(each.generator.verdict or "not judged" for each in summaries))
    yield _Fact("scenario", tuple(f"{each.run.scenario}, {each.run.digest[:12]}" for each in summaries))
    yield _Fact("target", tuple(target(each.facts) for each in told))
    yield _Fact("load", tuple(each.run.load for each in summaries))


def _differing(told: Sequence[Told]) -> Iterator[_Fact]:
    """Options, versions, and settings that change what is measured, which are not the same in all."""
    parts: list[tuple[str, list[Mapping[str, Any]]]] = [
        ("option", [options(each.facts) for each in told]),
        ("setting", [settings(each.facts) for each in told]),
        ("version", [each.facts.versions for each in told]),
    ]
    for kind, values in parts:
        for name in dict.fromkeys(name for each in values for name in each):
            shown = tuple(said(each.get(name)) for each in values)
            if len(set(shown)) > 1:
                yield _Fact(f"{kind} {name}", shown)
