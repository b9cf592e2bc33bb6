"""Holds ledger, manifest and summary of a finished run against what the target saw.

Numbers in brackets are those of the invariants: one outcome an item (1), no known result ignored (2),
at most one send (3), at least one (4), an attempt sent once (5), one effect where the target can be asked
(10), figures that equal the rows (12).  What a key promises is checked too: no overlap, and order.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from loadgen.ledger.reader import Reader
from loadgen.record import AttemptRow, Settled, StepFacts
from loadgen.sample import Outcome

from .target import Hit, Log

Place = tuple[int, int]
"""Step and item."""


@dataclass(slots=True)
class Findings:
    """What a run looks like from outside."""

    items: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    lost: int = 0
    """Without an outcome, or done without an effect."""
    twice: int = 0
    """Counted more than once."""
    resent: int = 0
    """Sent more often than the policy allows."""
    again: int = 0
    """Attempts after the first."""
    violations: list[str] = field(default_factory=list)

    def expect(self, problems: Iterable[object], rule: str) -> int:
        """Note a broken rule, with examples; returns how often it was broken."""
        found = list(problems)
        if found:
            self.violations.append(f"{rule}: {len(found)}, such as {found[:3]}")
        return len(found)


def check(directory: Path, log: Log, *, exit_code: int, keys: int = 0, retries: bool = False) -> Findings:
    """Check a finished run.  `keys`: items of one remainder share a key; `retries`: the steps retry."""
    found = Findings()
    with Reader(directory) as reader:
        steps = reader.steps()
        settled = {
            (step.index, each.item): each for step in steps for each in reader.past(step.index).each_settled()
        }
        rows = list(reader.attempt_rows())
        _outcomes(found, reader, steps, settled)
        _rows(found, settled, rows, retries=retries)
        _sends(found, steps, settled, log)
        _calls(found, reader, rows, steps, log)
        _written(found, directory, reader, steps, settled, rows)
    _verdict(found, directory, exit_code)
    if keys:
        _keys(found, log.hits, keys, ordered=not retries)
    return found


def _outcomes(found: Findings, reader: Reader, steps: list[StepFacts], settled: dict[Place, Settled]) -> None:
    tally = Counter(each.outcome for each in settled.values())
    found.items = sum(step.items for step in steps)
    found.done, found.failed = tally[Outcome.DONE], tally[Outcome.FAILED]
    found.unknown = tally[Outcome.UNKNOWN]
    missing = [(s.index, i) for s in steps for i in range(s.items) if (s.index, i) not in settled]
    found.lost += found.expect(missing, "(1) items without an outcome")
    for step in steps:
        counts = reader.counts(step)
        if counts.settled != step.items:
            found.violations.append(f"(1) {step.name}: {counts} do not add up to {step.items}")


def _rows(found: Findings, settled: dict[Place, Settled], rows: list[AttemptRow], *, retries: bool) -> None:
    by_item: dict[Place, list[AttemptRow]] = defaultdict(list)
    for row in rows:
        by_item[row.step, row.item].append(row)
    counted = Counter((row.step, row.item) for row in rows if row.counted)
    found.again = sum(row.attempt > 1 for row in rows)
    found.twice += found.expect((p for p, n in counted.items() if n > 1), "items counted twice")
    found.expect(
        (p for p, each in settled.items() if each.has_result and not counted[p]),
        "(2) settled by a result that has no row",
    )
    tries = Counter((row.step, row.item, row.attempt) for row in rows)
    found.expect((p for p, n in tries.items() if n > 1), "(7) one attempt, several rows")
    known = (Outcome.DONE, Outcome.FAILED)
    ignored = [
        place for place in by_item if place in settled and settled[place].outcome not in known and not retries
    ]
    found.expect(ignored, "(2) a known result was ignored")


def _sends(found: Findings, steps: list[StepFacts], settled: dict[Place, Settled], log: Log) -> None:
    numbers = {step.name: step.index for step in steps}
    delivery = {step.index: step.delivery for step in steps}
    attempts = Counter((numbers[hit.step], hit.item, hit.attempt) for hit in log.hits)
    sends = Counter((numbers[hit.step], hit.item) for hit in log.hits)
    effects = {(numbers[step], item): count for (step, item), count in log.effects.items()}
    found.resent += found.expect((p for p, n in attempts.items() if n > 1), "(5) an attempt sent twice")
    found.resent += found.expect(
        (p for p, n in sends.items() if n > 1 and delivery[p[0]] == "at_most_once"), "(3) sent more than once"
    )
    found.resent += found.expect(
        (p for p, n in effects.items() if n > 1 and delivery[p[0]] == "verify"), "(10) more than one effect"
    )
    found.lost += found.expect(
        (p for p, each in settled.items() if each.outcome is Outcome.DONE and not effects.get(p)),
        "(2) done, and the target knows nothing of it",
    )
    found.expect(
        (p for p, each in settled.items() if each.outcome is Outcome.CANCELLED and sends[p]),
        "(6) cancelled, and it was sent",
    )
    found.expect(
        (
            p
            for p, each in settled.items()
            if delivery[p[0]] == "at_least_once" and each.outcome is not Outcome.FAILED and not sends[p]
        ),
        "(4) never sent",
    )


def _calls(found: Findings, reader: Reader, rows: list[AttemptRow], steps: list[StepFacts], log: Log) -> None:
    """Each attempt has its call, but for those that could not even log in."""
    numbers = {step.name: step.index for step in steps}
    sends = Counter((numbers[hit.step], hit.item) for hit in log.hits)
    tried = Counter((row.step, row.item) for row in rows)
    called = Counter(
        (table.step, sample.item)
        for table in reader.call_tables()
        for sample in table.samples.rows()
        if " POST /do/" in sample.label
    )
    found.expect(
        (
            p
            for p in tried.keys() | called.keys()
            if called[p] != tried[p] and not sends[p] <= called[p] < tried[p]
        ),
        "(12) attempts and calls differ",
    )


def _written(
    found: Findings,
    directory: Path,
    reader: Reader,
    steps: list[StepFacts],
    settled: dict[Place, Settled],
    rows: list[AttemptRow],
) -> None:
    """The manifest has each item once that a result settled as done; the summary has the ledger's figures."""
    numbers = {step.name: step.index for step in steps}
    lines = [json.loads(line) for line in (directory / "manifest.jsonl").read_text().splitlines()]
    listed = Counter((numbers[line["step"]], line["item"]) for line in lines)
    wanted = {p for p, each in settled.items() if each.outcome is Outcome.DONE and each.has_result}
    found.twice += found.expect((p for p, n in listed.items() if n > 1), "in the manifest twice")
    found.lost += found.expect(wanted - listed.keys(), "(8) done by a result, and not in the manifest")
    found.expect(listed.keys() - wanted, "in the manifest, and not done")
    found.expect((line for line in lines if line["value"] != line["item"]), "the manifest mixes up items")
    summary = json.loads((directory / "summary.json").read_text())
    counts, tries = summary["items"], summary["attempts"]
    if counts["planned"] != sum(value for name, value in counts.items() if name != "planned"):
        found.violations.append(f"(1) the summary does not add up: {counts}")
    mine = (found.items, found.done, found.failed, found.unknown)
    if mine != tuple(counts[name] for name in ("planned", "done", "failed", "unknown")):
        found.violations.append(f"(12) the summary says {counts}, the ledger {mine}")
    if tries["total"] != len(rows) or tries["retries"] != found.again:
        found.violations.append(f"(12) the summary says {tries}, the ledger has {len(rows)} attempts")
    timed = sum(step["item_time"]["count"] for step in summary["steps"])
    calls = sum(call["count"] for call in summary["calls"])
    samples = sum(len(table.samples) for table in reader.call_tables())
    if calls != samples:
        found.violations.append(f"(12) {calls} calls in the histograms, {samples} in the ledger")
    counted = sum(row.counted for row in rows)
    if timed != counted:
        found.violations.append(f"(12) {timed} item times in the histograms, {counted} attempts that count")


def _verdict(found: Findings, directory: Path, exit_code: int) -> None:
    verdict = json.loads((directory / "summary.json").read_text())["verdict"]
    wanted = 0 if found.done == found.items else 3
    if not exit_code == verdict["exit_code"] == wanted:
        found.violations.append(f"exit code {exit_code}, the summary says {verdict}, expected {wanted}")


def _keys(found: Findings, hits: list[Hit], keys: int, *, ordered: bool) -> None:
    """Items of a key never overlap, and are sent in order; what is sent again may come behind others."""
    for first, second in _neighbours(hits, keys):
        if not first.ended_s or second.came_s < first.ended_s:
            pair = ((first.item, first.attempt), (second.item, second.attempt))
            found.expect([pair], "two items of a key at the same time")
    seen: set[tuple[str, int]] = set()
    fresh = []
    for hit in hits:
        if (hit.step, hit.item) not in seen:
            fresh.append(hit)
        seen.add((hit.step, hit.item))
    if ordered:
        wrong = [(a.item, b.item) for a, b in _neighbours(fresh, keys) if b.item < a.item]
        found.expect(wrong, "items of a key out of order")


def _neighbours(hits: list[Hit], keys: int) -> Iterator[tuple[Hit, Hit]]:
    lanes: dict[tuple[str, int], list[Hit]] = defaultdict(list)
    for hit in hits:
        lanes[hit.step, hit.item % keys].append(hit)
    for lane in lanes.values():
        yield from pairwise(lane)
