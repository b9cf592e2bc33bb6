"""Every call as a row of a Parquet file: for pandas, DuckDB, Spark.

Written in row groups, in memory that does not grow with the run; the summary lies in the file's metadata
under `loadgen.summary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.errors import UsageError
from loadgen.record import CallTable

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 100_000
"""In a row group, at least, but for the last."""
_TIMES = ("dns_us", "connect_us", "tls_us", "first_byte_us", "total_us", "lag_us")
_SIZES = ("bytes_out", "bytes_in")


def write(
    tables: Iterable[CallTable],
    path: Path,
    *,
    steps: Mapping[int, str],
    workers: Mapping[int, str],
    summary: bytes,
) -> None:
    """Write the file.  Raises OSError, and UsageError when pyarrow is not installed.

    `steps` and `workers`: names by index.
    """
    arrow, parquet = _libraries()
    schema = _schema(arrow).with_metadata({"loadgen.summary": summary})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(tables):
            batches = [_batch(arrow, table, schema, steps, workers) for table in group]
            writer.write_table(arrow.Table.from_batches(batches, schema))


def _libraries() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"--format parquet needs pyarrow: pip install 'loadgen[parquet]' ({error})"
        ) from error
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any) -> pa.Schema:
    word = arrow.dictionary(arrow.int32(), arrow.string())
    return arrow.schema(
        [
            ("step", word),
            ("item", arrow.int64()),
            ("attempt", arrow.int64()),
            ("worker", word),
            ("call", word),
            ("start", arrow.timestamp("us", tz="UTC")),
            *((name, arrow.int64()) for name in (*_TIMES, *_SIZES)),
            ("status", arrow.int64()),
            ("error", word),
        ]
    )


def _groups(tables: Iterable[CallTable]) -> Iterator[list[CallTable]]:
    group: list[CallTable] = []
    for table in tables:
        if not len(table.samples):
            continue
        group.append(table)
        if sum(len(each.samples) for each in group) >= ROWS:
            yield group
            group = []
    if group:
        yield group


def _batch(
    arrow: Any, table: CallTable, schema: Any, steps: Mapping[int, str], workers: Mapping[int, str]
) -> pa.RecordBatch:
    samples = table.samples
    count = len(samples)
    columns: dict[str, Sequence[Any]] = {
        "step": [steps.get(table.step)] * count,
        # calls outside any item: a login, the master's setup and verify
        "item": [None if item < 0 else item for item in samples.numbers("item")],
        "worker": [workers.get(table.worker)] * count,
        "call": samples.texts("label"),
        "start": samples.numbers("start_us"),
        "error": [text or None for text in samples.texts("error")],
    }
    arrays = [
        arrow.array(columns[field.name] if field.name in columns else samples.numbers(field.name), field.type)
        for field in schema
    ]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)
