"""The forms for machines: readers that are not ours take each apart, and find what summary.json says."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import fake_records
import jsonschema
import junitparser
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from prometheus_client.parser import text_string_to_metric_families
from pyarrow import parquet
from rich.console import Console

from loadgen.errors import UsageError
from loadgen.reports import published
from loadgen.reports.forms import FILES, FORMS, export, render
from loadgen.reports.hlog import tags
from loadgen.reports.markdown import escaped
from loadgen.reports.metrics import PERCENTILES, rank
from loadgen.reports.schema import Verdict
from loadgen.reports.summary import encode, summarize, total
from loadgen.reports.verdict import under_way
from loadgen.reports.words import three

NASTY = '=cmd|"x", <b>\\n`_*流[1](x)'
"""A label with something for each syntax."""
TIMES = ("min", "p50", "p75", "p90", "p95", "p99", "p999", "max")


@pytest.fixture(scope="module")
def record() -> fake_records.FakeRecord:
    """A run in which much went wrong, and whose words are no better."""
    made = fake_records.bad()
    made.run = fake_records.some_facts(
        settings={"thresholds": ["create_flow.p95<1ms", "failed<50%", "calls.nothing.p50<1s"]}
    )
    made.calls += [
        fake_records.a_call(label=NASTY, start_us=500_000 + 9_000 * n, total_us=1_000 + 17 * n, connect_us=3)
        for n in range(200)
    ]
    made.tries.append(fake_records.an_attempt(error='bell \x07, quote " and \\\nline | pipe ]]> @team'))
    return made


VERDICT = Verdict(ok=False, exit_code=3, reasons=("60 of 3100 items failed",))


@pytest.fixture(scope="module")
def told(record: fake_records.FakeRecord) -> dict[str, Any]:
    """What summary.json says."""
    return dict(json.loads(encode(summarize(record, VERDICT))))


def text_of(form: str, record: fake_records.FakeRecord) -> str:
    file = io.StringIO()
    render(form, record, VERDICT, Console(file=file, width=100))
    return file.getvalue()


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """All that is in a JSON value, by the way to it."""
    if isinstance(value, dict):
        parts = [leaves(part, f"{path}.{name}") for name, part in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        parts = [leaves(part, f"{path}.{number}") for number, part in enumerate(value)]
    else:
        return {path: value}
    return {name: leaf for part in parts for name, leaf in part.items()}


def number(text: str) -> Any:
    return json.loads(text) if text and text not in ("true", "false") else None


# One test takes them all apart


def test_every_number_is_the_same_in_every_form(record, told, tmp_path):
    numbers = {path: leaf for path, leaf in leaves(told).items() if type(leaf) in (int, float)}
    assert len(numbers) > 150
    assert numbers_in_csv(text_of("csv", record)) == numbers
    in_folder(record, told, tmp_path / "tables")
    in_junit(text_of("junit", record), told)
    in_prometheus(text_of("prom", record), told)
    in_markdown(text_of("md", record), told)
    in_hlog(record, told, tmp_path / "run.hlog")
    in_parquet(record, told, tmp_path / "run.parquet")
    assert json.loads(text_of("json", record)) == told


def numbers_in_csv(text: str) -> dict[str, Any]:
    """By the way to them in the summary."""
    found = {}
    for row in csv.DictReader(io.StringIO(text)):
        try:
            value = json.loads(row["value"])
        except ValueError:
            continue
        if type(value) in (int, float):
            prefix = "" if row["table"] == "run" else f".{row['table']}.{row['row']}"
            found[f"{prefix}.{row['field']}"] = value
    return found


def in_folder(record: Any, told: dict[str, Any], folder: Path) -> None:
    export("csv", record, VERDICT, folder)
    assert {path.stem for path in folder.iterdir()} == {
        "run",
        "steps",
        "calls",
        "workers",
        "errors",
        "thresholds",
    }
    for table in ("steps", "calls", "workers", "errors", "thresholds"):
        with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(told[table])
        for row, part in zip(rows, told[table], strict=True):
            for path, leaf in leaves(part).items():
                if type(leaf) in (int, float):
                    assert number(row[path[1:]]) == leaf, (table, path)


def in_junit(text: str, told: dict[str, Any]) -> None:
    (suite,) = junitparser.JUnitXml.fromstring(text.encode())
    cases = {(case.classname.split(".")[1], case.name): case for case in suite}
    for group, key in (("steps", "name"), ("calls", "name"), ("thresholds", "expr")):
        for part in told[group]:
            properties = {
                each.name: each.value for each in cases[group, part[key]].child(junitparser.Properties)
            }
            for path, leaf in leaves(part).items():
                if type(leaf) in (int, float):
                    assert number(properties[path[1:]]) == leaf, (group, path)
    run = {each.name: each.value for each in suite.properties()}
    assert number(run["items.failed"]) == told["items"]["failed"] == 60
    assert number(run["verification.missing"]) == told["verification"]["missing"]


def in_prometheus(text: str, told: dict[str, Any]) -> None:
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return float(found[name, *sorted(labels.items())])

    for step in told["steps"]:
        for end in ("done", "failed", "unknown", "pending"):
            assert value("loadgen_items_total", step=step["name"], outcome=end) == step["items"][end]
        stats_in_prometheus(value, "loadgen_item_duration_seconds", step["item_time"], step=step["name"])
    for call in told["calls"]:
        labels = {"call": call["name"]}
        assert value("loadgen_call_errors_total", **labels) == call["errors"]
        assert value("loadgen_calls_per_second", **labels) == call["rate_per_s"]
        for status, count in call["statuses"].items():
            assert value("loadgen_calls_total", status=status, **labels) == count
        for time in ("service_time", "time_to_first_byte", "connect_time", "dns_time", "tls_time"):
            stats_in_prometheus(value, f"loadgen_call_{time}_seconds", call[time], **labels)
    for worker in told["workers"]:
        assert value("loadgen_worker_items_total", worker=worker["name"]) == worker["items"]
    for error in told["errors"]:
        assert value("loadgen_errors_total", fingerprint=error["fingerprint"]) == error["count"]
    assert value("loadgen_verified_objects", kind="missing") == told["verification"]["missing"]
    assert value("loadgen_run_phase_duration_seconds", phase="active") == told["run"]["active_s"]


def stats_in_prometheus(value: Any, name: str, stats: dict[str, Any], **labels: str) -> None:
    assert value(f"{name}_count", **labels) == stats["count"]
    if not stats["count"]:
        return
    assert value(f"{name}_sum", **labels) == pytest.approx(stats["mean"] * stats["count"] / 1000, abs=1e-9)
    quantiles = {"min": "0", **{k: f"{round(v / 100, 5):g}" for k, v in PERCENTILES.items()}, "max": "1"}
    for field, quantile in quantiles.items():
        assert value(name, quantile=quantile, **labels) * 1000 == pytest.approx(stats[field], rel=1e-12)


def in_markdown(text: str, told: dict[str, Any]) -> None:
    """People get three digits of them."""
    for call in told["calls"]:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {escaped(call['name'])} |")]
        cells = line.removesuffix(" |").rsplit(" | ", 13)[1:]
        assert cells[:2] == [str(call["count"]), str(call["errors"])]
        service = call["service_time"]
        names = ("min", "mean", "p50", "p90", "p95", "p99", "p999", "max")
        assert cells[3 : 3 + len(names)] == [three(service[name]) for name in names]


def in_hlog(record: Any, told: dict[str, Any], path: Path) -> None:
    export("hdr", record, VERDICT, path)
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    whole: dict[str, HdrHistogram] = {}
    places = []
    while (part := reader.get_next_interval_histogram()) is not None:
        places.append((part.get_start_time_stamp(), part.get_tag()))
        merged = whole.setdefault(part.get_tag(), HdrHistogram(1, 3_600_000_000, 3))
        merged.add(part)
    reader.input_file.close()
    assert places == sorted(places), "one tag an interval, in the order of time"
    assert len(set(places)) == len(places) > 10
    assert places[0][0] >= fake_records.STARTED_US // 1000
    tag_of = tags([call["name"] for call in told["calls"]])
    for call in told["calls"]:
        histogram, stats = whole[tag_of[call["name"]]], call["service_time"]
        assert histogram.get_total_count() == call["count"]
        for name, share in PERCENTILES.items():
            at = 100 * rank(call["count"], share) / call["count"]
            ms = min(histogram.get_value_at_percentile(at) / 1000, stats["max"])
            assert ms == stats[name], (call["name"], name)


def in_parquet(record: Any, told: dict[str, Any], path: Path) -> None:
    export("parquet", record, VERDICT, path)
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == sum(call["count"] for call in told["calls"]) == len(record.calls)
    statuses = Counter((row["call"], str(row["status"])) for row in rows)
    for call in told["calls"]:
        mine = sorted(row["total_us"] for row in rows if row["call"] == call["name"])
        assert (mine[0] / 1000, mine[-1] / 1000) == (call["service_time"]["min"], call["service_time"]["max"])
        assert round(math.fsum(mine) / len(mine) / 1000, 3) == call["service_time"]["mean"]
        assert sum(row["bytes_in"] for row in rows if row["call"] == call["name"]) == call["bytes_in"]
        assert {s: n for (name, s), n in statuses.items() if name == call["name"]} == call["statuses"]
    kept = parquet.read_metadata(path).metadata[b"loadgen.summary"]
    assert json.loads(kept) == told


# What is each one's own


def test_the_published_schema_is_that_of_the_code():
    assert published.FILE.read_text(encoding="utf-8") == published.text(), published.__doc__


@pytest.mark.parametrize("name", ["bad", "interrupted", "empty", "single"])
def test_summaries_keep_to_the_published_schema(name):
    schema = json.loads(published.FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    record = getattr(fake_records, name)()
    told = json.loads(encode(summarize(record, VERDICT)))
    jsonschema.validate(told, schema, jsonschema.Draft202012Validator)
    told["steps"] = [{"name": 7}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", ["interrupted", "empty", "single"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_every_run(form, name):
    record = getattr(fake_records, name)()
    assert text_of(form, record).strip()


def test_junit_says_in_words_what_failed(record):
    (suite,) = junitparser.JUnitXml.fromstring(text_of("junit", record).encode())
    failed = {case.name: case.result[0].message for case in suite if case.result and not case.is_skipped}
    assert failed["create_flow"] == "2900 of 3000 items done: 60 failed, 40 unknown"
    assert failed["verification"] == "found 2950 of 3000 expected, 50 missing, 2 unexpected"
    assert failed["create_flow.p95<1ms"].startswith("threshold crossed: create_flow.p95<1ms: ")
    assert failed["verdict"].startswith("exit code 99: 60 of 3100 items failed; threshold crossed")
    assert "failed<50%" not in failed
    (flow,) = [case for case in suite if case.name == "create_flow" and "steps" in case.classname]
    assert "60 x POST /manager answered 500: project <name> is locked by <n>" in flow.result[0].text
    assert (suite.tests, suite.failures) == (len(list(suite)), len(failed))
    good = fake_records.interrupted()
    (suite,) = junitparser.JUnitXml.fromstring(text_of("junit", good).encode())
    assert [case.name for case in suite if case.is_skipped] == ["verification"]


def test_a_run_that_goes_on_has_failed_nowhere():
    """What is pending is no failure yet, in no form."""
    record = fake_records.interrupted()
    verdict = under_way(total(record))
    texts = {}
    for form in ("json", "junit", "prom", "csv", "html", "md"):
        file = io.StringIO()
        render(form, record, verdict, Console(file=file, width=100))
        texts[form] = file.getvalue()
    assert json.loads(texts["json"])["verdict"]["running"] is True
    (suite,) = junitparser.JUnitXml.fromstring(texts["junit"].encode())
    assert suite.failures == 0
    assert {case.name for case in suite if case.is_skipped} >= {"verdict", "verification"}
    assert "loadgen_run_running 1" in texts["prom"]
    assert "loadgen_run_exit_code" not in texts["prom"]
    assert "verdict.running,true" in texts["csv"].lower()
    assert "RUNNING: 3,100 of 11,100 settled so far" in texts["html"]
    assert "Exit code" not in texts["html"]
    assert "RUNNING" in texts["md"]


def test_junit_in_ascii_loses_nothing(record):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as file:
        render("junit", record, VERDICT, Console(file=file))
        file.flush()
        (suite,) = junitparser.JUnitXml.fromstring(raw.getvalue())
    assert NASTY in {case.name for case in suite}


def test_prometheus_keeps_to_its_conventions(record, told):
    families = list(text_string_to_metric_families(text_of("prom", record)))
    for family in families:
        assert family.name.startswith("loadgen_"), family.name
        assert family.documentation.endswith("."), family.name
        assert "_ms" not in family.name
        assert family.type in ("gauge", "counter", "summary")
        totals = {sample.name.endswith("_total") for sample in family.samples}
        assert totals == {family.type == "counter"}, family.name
    errors = next(family for family in families if family.name == "loadgen_errors")
    assert {sample.labels["fingerprint"] for sample in errors.samples} == {
        error["fingerprint"] for error in told["errors"]
    }
    assert len({family.name for family in families}) == len(families)


def test_a_csv_is_no_formula(record):
    assert "'=cmd|" in text_of("csv", record)
    assert '"=cmd|' not in text_of("csv", record)


def test_tags_have_no_spaces_and_are_all_different():
    found = tags(["a b", "a_b", "a,b", ""])
    assert len(set(found.values())) == len(found) == 5
    assert not any(set(tag) & set(" ,\n") or not tag for tag in found.values())


def test_intervals_grow_with_the_run():
    record = fake_records.single()
    hour_us = 3_600_000_000
    record.calls = [fake_records.a_call(start_us=n * hour_us // 100, label=f"c{n % 3}") for n in range(1_000)]
    lines = [line for line in text_of("hdr", record).splitlines() if line.startswith("Tag=")]
    assert 200 < len(lines) <= 3 * 300


def test_markdown_calls_nobody_and_hides_nothing(record):
    text = text_of("md", record)
    assert "@team" not in text
    assert "<b>" not in text
    assert "\\<b\\>" in text
    header = next(line for line in text.splitlines() if line.startswith("| Calls"))
    rows = [line for line in text.splitlines() if "流" in line and line.startswith("| ")]
    assert rows[0].replace("\\|", "").count("|") == header.count("|")
    blocks = text.split("```")
    assert len(blocks) == 3, "one drawing"
    assert "p95" in blocks[1]


def test_parquet_comes_in_row_groups(tmp_path, monkeypatch, record):
    monkeypatch.setattr("loadgen.reports.parquet.ROWS", 500)
    export("parquet", record, VERDICT, tmp_path / "x.parquet")
    file = parquet.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups > 3
    assert file.metadata.num_rows == len(record.calls)
    rows = file.read().to_pylist()
    first, sample = rows[0], record.calls[0]
    assert (first["item"], first["step"], first["call"]) == (0, "create_project", sample.label)
    assert first["worker"] == "loader-1:4001"
    assert first["start"].timestamp() * 1e6 == pytest.approx(sample.start_us, abs=1)
    assert first["connect_us"] == sample.connect_us
    assert {row["item"] for row in rows if row["call"] == "login POST /"} == {None}
    assert {row["error"] for row in rows} == {None, "HTTP 500", "connection refused by 127.0.0.1:8081"}


def test_parquet_without_pyarrow_is_one_clear_line(tmp_path, monkeypatch, record):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'loadgen\[parquet\]'"):
        export("parquet", record, VERDICT, tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


def test_files_are_whole_or_not_there(tmp_path, monkeypatch, record):
    with pytest.raises(UsageError, match="--output"):
        render("parquet", record, VERDICT, Console(file=io.StringIO()))
    with pytest.raises(UsageError, match="no report format 'pdf'"):
        export("pdf", record, VERDICT, tmp_path / "x.pdf")
    with pytest.raises(UsageError, match=r"--output .*No such file"):
        export("json", record, VERDICT, tmp_path / "no" / "x.json")
    monkeypatch.setattr("loadgen.reports.prometheus.prometheus", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export("prom", record, VERDICT, tmp_path / "x.prom")
    assert not list(tmp_path.iterdir())
    export("terminal", record, VERDICT, tmp_path / "x.txt")
    assert "FAILED" in (tmp_path / "x.txt").read_text() or "THRESHOLD" in (tmp_path / "x.txt").read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_csv_for_a_pipe_is_one_table(tmp_path):
    """As `--output >(gzip >x)` is: no folder, though its name has no suffix."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    export("csv", fake_records.single(), VERDICT, path)
    assert os.read(reader, 10) == b"table,row,"
    os.close(reader)


def test_forms_have_one_name_each():
    assert not FORMS.keys() & FILES.keys()
